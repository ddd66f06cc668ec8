//! When things around the server fail: locks, disks, ports, a writer that dies; and stopping.

use crate::harness::tab::End;
use crate::harness::{Sql, TestApp, client_id, try_start};
use campfire::domain::account::UserRef;
use campfire::domain::error::Error;
use campfire::domain::event::ServerFrame;
use campfire::domain::message::{Draft, Message};
use campfire::domain::{MessageId, RoomId};
use campfire::server::rich_text;
use futures::future::join_all;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const ALL_TALK: RoomId = RoomId::new(1);

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused_in_a_sentence() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let refused = try_start(app.data(), "127.0.0.1:0").await.unwrap_err().to_string();
    let folder = app.data().display();
    let expected = format!("another campfire is already running on the data folder {folder}; stop it first");
    assert_eq!(refused, expected);
    david.posts("the first one is not disturbed").in_(ALL_TALK).await;
    let app = app.restart().await;
    assert_eq!(app.meet(&david).page(ALL_TALK, "").await.messages.len(), 1);
}

#[tokio::test]
async fn a_busy_port_is_refused_in_a_sentence_and_leaves_the_folder_free() {
    let app = TestApp::start().await;
    let other = TempDir::new().unwrap();
    let addr = app.running.addr.to_string();
    let refused = try_start(other.path(), &addr).await.unwrap_err().to_string();
    assert!(refused.starts_with(&format!("cannot listen on {addr}: ")), "{refused}");
    assert!(refused.ends_with("Choose another address with CAMPFIRE_ADDR"), "{refused}");
    let running = try_start(other.path(), "127.0.0.1:0").await.unwrap();
    assert!(running.finish().await);
}

#[tokio::test]
async fn a_request_whose_headers_never_end_does_not_keep_its_connection() {
    let app = TestApp::start().await;
    let mut slow = TcpStream::connect(app.running.addr).await.unwrap();
    slow.write_all(b"GET /up HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    // Whoever connects later is served, so the server has met the slow one by now.
    assert_eq!(app.get_as_nobody("/up").await.status, 200);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(76)).await;
    tokio::time::resume();
    let mut said = Vec::new();
    let ended = timeout(Duration::from_secs(3), slow.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "still open after 76 s");
    assert!(!said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_is_refused_in_a_sentence() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    for path in [file.clone(), file.join("below")] {
        let refused = try_start(&path, "127.0.0.1:0").await.unwrap_err().to_string();
        let expected = format!("the data folder {} cannot be used: ", path.display());
        assert!(refused.starts_with(&expected), "{refused}");
    }
    let garbage = folder.path().join("garbage");
    std::fs::create_dir(&garbage).unwrap();
    std::fs::write(garbage.join("campfire.db"), "x".repeat(8_192)).unwrap();
    let refused = try_start(&garbage, "127.0.0.1:0").await.unwrap_err().to_string();
    assert!(refused.starts_with("the database in "), "{refused}");
    assert!(refused.contains("cannot be opened: "), "{refused}");
    let left = std::fs::read(garbage.join("campfire.db")).unwrap();
    assert_eq!(left, "x".repeat(8_192).as_bytes(), "what is not ours is not touched");
}

#[tokio::test]
async fn the_data_folder_is_for_its_owners_eyes_only() {
    let app = TestApp::start().await;
    let mode = std::fs::metadata(app.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_locked_database_refuses_writes_after_a_while_and_recovers() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    david.posts("before").in_(ALL_TALK).await;
    let mut foreign = app.sql().await;
    foreign.run("BEGIN IMMEDIATE").await;
    let asked = Instant::now();
    let id = client_id();
    let answer = david.posts("patience").named(id).perhaps_in(ALL_TALK).await;
    assert_eq!(answer.refusal(), (503, "unavailable".into(), None));
    let waited = asked.elapsed().as_secs();
    assert!((4..8).contains(&waited), "{waited} s");
    assert_eq!(david.page(ALL_TALK, "before=9").await.messages.len(), 1, "reading goes on");
    assert_eq!(david.get("/health").await.status, 200);
    foreign.run("ROLLBACK").await;
    let message = david.posts("patience").named(id).in_(ALL_TALK).await;
    assert_eq!(message.body, "patience", "the same send succeeds, once");
    assert_eq!(app.sql().await.number("SELECT count(*) FROM messages").await, 2);
}

#[tokio::test]
async fn everybody_who_waits_for_a_locked_database_is_answered_after_one_while() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut foreign = app.sql().await;
    foreign.run("BEGIN IMMEDIATE").await;
    let asked = Instant::now();
    let writer = &app.running.app.writer;
    let posts = (0..3).map(|_| {
        let text = rich_text::render(&Draft::parse("patience").unwrap(), &rich_text::Known::default());
        let author = UserRef { id: david.user_id(), name: "david".into() };
        writer.create_message_with_deduplication(ALL_TALK, author, client_id(), text)
    });
    // One group of three: none of them is to blame, so none has to be tried alone.
    let answers = join_all(posts).await;
    let waited = asked.elapsed();
    assert!(answers.iter().all(|answer| *answer == Err(Error::Unavailable)));
    foreign.run("ROLLBACK").await;
    assert!(waited < Duration::from_secs(9), "three waited {waited:?}, 64 would wait minutes");
}

/// A small disk of its own, for as long as the value lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount anything.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Self::run("mount", &["-t", "tmpfs", "-o", size, "tmpfs"], at);
        mounted.then(|| Self(at.to_owned()))
    }

    fn resize(&self, size: &str) {
        assert!(Self::run("mount", &["-o", &format!("remount,{size}")], &self.0));
    }

    fn run(program: &str, arguments: &[&str], at: &Path) -> bool {
        let done = Command::new(program).args(arguments).arg(at).output();
        done.is_ok_and(|done| done.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Self::run("umount", &["--lazy"], &self.0);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reading_and_heals() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("disk");
    let Some(disk) = SmallDisk::mount(&data, "size=2m") else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    let app = TestApp::start_in(folder, data, &["--limits", "off"]).await;
    let david = app.first_run("david").await;
    let mut tab = david.watches(ALL_TALK).await;
    let body = "lorem ipsum ".repeat(800);
    let mut stored = Vec::new();
    let refused = loop {
        let answer = david.posts(&body).perhaps_in(ALL_TALK).await;
        if answer.status != 201 {
            break answer;
        }
        stored.push(answer.json::<Message>().id);
        assert!(stored.len() < 1_000, "the disk never filled");
    };
    assert_eq!(refused.refusal(), (507, "storage_full".into(), None));
    for _ in 0..3 {
        assert_eq!(david.posts(&body).perhaps_in(ALL_TALK).await.status, 507, "and again");
    }
    let page = david.page(ALL_TALK, "limit=500").await;
    assert_eq!(page.messages.iter().map(|m| m.id).collect::<Vec<MessageId>>(), stored);
    assert_eq!(david.page(ALL_TALK, "limit=5&before=20").await.messages.len(), 5, "from disk");
    assert_eq!(david.get("/rooms/1").await.status, 200);

    disk.resize("size=64m");
    let healed = david.posts("there is room again").in_(ALL_TALK).await;
    assert!(stored.last().is_some_and(|last| *last < healed.id));
    let heard = tab.hears_until_now(&david).await;
    let created = heard.iter().filter(|f| matches!(f, ServerFrame::MessageCreated { .. })).count();
    assert_eq!(created, stored.len() + 1, "only what was stored is told");
    let mut sql = app.sql().await;
    assert_eq!(sql.texts("PRAGMA integrity_check").await, ["ok"]);
    assert_eq!(sql.number("SELECT count(*) FROM message_search").await, i64::try_from(created).unwrap());
    let (in_order, _folder) = app.stop().await;
    assert!(in_order);
}

#[tokio::test]
async fn a_writer_that_dies_is_noticed_at_once_and_ends_the_server() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    david.posts("safe").in_(ALL_TALK).await;
    let mut tab = david.watches(ALL_TALK).await;
    tab.feels_a_pulse().await;
    app.clock.breaks(true);
    let asked = Instant::now();
    let read = app.running.app.writer.read_room(david.user_id(), ALL_TALK, MessageId::new(1));
    assert_eq!(read.await, Err(Error::WriterUnavailable));
    app.clock.breaks(false);
    let answer = david.posts("lost").perhaps_in(ALL_TALK).await;
    assert_eq!(answer.refusal(), (503, "writer_unavailable".into(), None));
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(david.page(ALL_TALK, "").await.messages.len(), 1, "reading goes on");
    assert_eq!(david.get("/health").await.status, 503, "and whoever watches is told");

    // The program ends, so that whatever supervises it can start it again.
    let in_order = app.running.run_until(std::future::pending()).await;
    assert!(!in_order);
    let (reason, _) = tab.ends().await;
    assert_eq!(reason.as_deref(), Some("restart"));
}

#[tokio::test]
async fn stopping_says_goodbye_and_when_to_come_back() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let mut tabs = Vec::new();
    for _ in 0..5 {
        tabs.push(david.watches(ALL_TALK).await);
    }
    let stopping = Instant::now();
    let (in_order, _folder) = app.stop().await;
    assert!(in_order && stopping.elapsed() < Duration::from_secs(4), "{:?}", stopping.elapsed());
    let mut delays = Vec::new();
    for tab in &mut tabs {
        let (reason, end) = tab.ends().await;
        assert_eq!((reason.as_deref(), end), (Some("restart"), End::Closed(1_012)));
        delays.extend(tab.heard.iter().filter_map(|frame| match frame {
            ServerFrame::Goodbye { retry_ms, .. } => Some(*retry_ms),
            _ => None,
        }));
    }
    assert!(delays.iter().all(|delay| (250..2_000).contains(delay)), "{delays:?}");
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays.len(), 5, "nobody comes back in the same moment");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_while_stopping_is_stored() {
    let app = TestApp::start().await;
    let david = app.first_run("david").await;
    let data = app.data().to_owned();
    let (all_under_way, mut under_way) = tokio::sync::mpsc::channel(1_000);
    let posting = (0..8).map(|author| {
        let (david, under_way) = (david.clone(), all_under_way.clone());
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for at in 0.. {
                let post = david.posts(&format!("{author}: {at}"));
                match post.tries_in(ALL_TALK).await {
                    Ok(answer) if answer.status == 201 => {
                        acknowledged.push(answer.json::<Message>().id.get());
                    }
                    // Refused or cut: it was never promised.
                    _ => break,
                }
                let _full = under_way.try_send(());
            }
            acknowledged
        })
    });
    let posting: Vec<_> = posting.collect();
    for _ in 0..50 {
        under_way.recv().await.unwrap();
    }
    let (in_order, _folder) = app.stop().await;
    assert!(in_order);
    let mut acknowledged = Vec::new();
    for author in posting {
        acknowledged.extend(author.await.unwrap());
    }
    assert!(acknowledged.len() >= 50);
    let mut sql = Sql::open(&data).await;
    let stored = sql.numbers("SELECT id FROM messages").await;
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains(id)).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", acknowledged.len());
    let wal = data.join("campfire.db-wal");
    let wal = std::fs::metadata(wal).map_or(0, |file| file.len());
    assert_eq!(wal, 0, "the log was folded into the database");
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_tab_that_reads_nothing() {
    let app = TestApp::start().await;
    let (david, jason) = (app.first_run("david").await, app.join("jason").await);
    let asleep = jason.watches(ALL_TALK).await;
    let text =
        rich_text::render(&Draft::parse(&"\u{1f525}".repeat(10_000)).unwrap(), &rich_text::Known::default());
    for _ in 0..200 {
        let author = UserRef { id: david.user_id(), name: "david".into() };
        let writer = &app.running.app.writer;
        let text = text.clone();
        writer.create_message_with_deduplication(ALL_TALK, author, client_id(), text).await.unwrap();
    }
    let stopping = Instant::now();
    let (in_order, _folder) = app.stop().await;
    let took = stopping.elapsed();
    drop(asleep);
    assert!(in_order && took < Duration::from_secs(7), "in order: {in_order}, after {took:?}");
}
