//! Databases of earlier versions: one that stopped at each released schema, with people and
//! messages in it, opens and works.

use crate::harness::{Sql, TestApp};
use campfire::server::auth;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use std::borrow::Cow;
use std::path::Path;
use tempfile::TempDir;

const TOKEN: &str = "abcdefghijklmnopqrstuvwxyz012345";

/// A database as a server left it that knew migrations up to `version` only.
async fn leave_behind(data: &Path, version: i64) {
    std::fs::create_dir(data).unwrap();
    let options = SqliteConnectOptions::new().filename(data.join("campfire.db"));
    let mut connection = options.create_if_missing(true).connect().await.unwrap();
    let all = sqlx::migrate!("./migrations");
    let known = all.iter().filter(|one| one.version <= version).cloned().collect();
    let migrator = Migrator { migrations: Cow::Owned(known), ..Migrator::DEFAULT };
    migrator.run(&mut connection).await.unwrap();
    drop(connection);
    let mut sql = Sql::open(data).await;
    let digest: String = auth::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    let far = 4_000_000_000_000_i64;
    for statement in [
        "INSERT INTO sequence VALUES (1, 'before', 3, 2)",
        "INSERT INTO accounts (id, name, join_code, created_at)
         VALUES (1, 'Saltmarsh', 'AAAA-BBBB-CCCC', 0)",
        "INSERT INTO users (id, name, email_address, password_digest, role, created_at)
         VALUES (1, 'David', 'david@example.com', '', 'administrator', 0),
                (2, 'Jason', 'jason@example.com', '', 'member', 0)",
        "INSERT INTO rooms (id, name, kind, creator_id, last_message_id, last_creator_id,
                            last_message_at, created_at)
         VALUES (1, 'All Talk', 'open', 1, 2, 2, 0, 0)",
        "INSERT INTO memberships (user_id, room_id, involvement, created_at)
         VALUES (1, 1, 'mentions', 0), (2, 1, 'mentions', 0)",
        "INSERT INTO messages (id, seq, room_id, creator_id, client_message_id, body, body_html,
                               created_at)
         VALUES (1, 2, 1, 1, '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'The harbour is open',
                 '<p>The harbour is open</p>', 0),
                (2, 3, 1, 2, '7c9e6679-7425-40de-944b-e07fc1f90ae8', 'At last', '<p>At last</p>', 0)",
    ] {
        sql.run(statement).await;
    }
    sql.run(&format!(
        "INSERT INTO sessions (token_digest, user_id, user_agent, ip_address, last_active_at,
                               expires_at, created_at)
         VALUES (x'{digest}', 1, '', '', 0, {far}, 0)"
    ))
    .await;
    if version < 4 {
        sql.run("INSERT INTO message_search (rowid, body) SELECT id, body FROM messages").await;
    }
}

#[tokio::test]
async fn a_database_of_any_earlier_version_opens_and_works() {
    for version in 1..7 {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("storage");
        leave_behind(&data, version).await;
        let app = TestApp::start_in(folder, data, &["--limits", "off"]).await;
        let get = async |path: &str| {
            let asked = app.http.get(app.url(path)).bearer_auth(TOKEN).send().await.unwrap();
            assert_eq!(asked.status(), 200, "{path} after version {version}");
            asked.text().await.unwrap()
        };
        let page = get("/rooms/1").await;
        assert!(page.contains("Saltmarsh") && page.contains("The harbour is open"), "{page}");
        let found = get("/searches?q=harbours").await;
        assert!(found.contains("<mark>harbour</mark>"), "after version {version}: {found}");
        let jason: Value = serde_json::from_str(&get("/api/users/2").await).unwrap();
        assert_eq!((&jason["status"], &jason["bio"]), (&json!("active"), &json!("")));
        // The account's only link was its code; it works on, once that version has made it one.
        if version == 1 {
            assert_eq!(app.join_code().await, "AAAA-BBBB-CCCC");
            let kevin = app.join("kevin").await;
            let room = json!({"kind": "direct", "user_ids": [1]});
            assert_eq!(kevin.send(Method::POST, "/api/rooms", &room).await.status, 201);
            kevin.posts("Good morning @David").in_(campfire::domain::RoomId::new(1)).await;
            let rooms: Value = serde_json::from_str(&get("/api/rooms").await).unwrap();
            assert_eq!(rooms[0]["mentions"], 1, "{rooms}");
        }
    }
}
