//! Somebody who uses the chat over HTTP, and the answers they get.

use super::tab::Tab;
use super::{PATIENCE, TestApp, client_id};
use campfire::domain::error::{ErrorBody, ErrorDetail};
use campfire::domain::message::{ClientMessageId, Message, MessagePage};
use campfire::domain::room::{Room, SidebarRoom};
use campfire::domain::{MessageId, RoomId, UserId};
use reqwest::Method;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::time::timeout;

/// A signed-in person on one device.
#[derive(Clone)]
pub struct Person {
    /// Their id.
    pub id: i64,
    /// Their name.
    pub name: String,
    /// Their session's token.
    pub token: String,
    /// Where the server is.
    pub addr: SocketAddr,
    http: reqwest::Client,
}

impl Person {
    pub(super) fn new(app: &TestApp, id: i64, name: &str, token: &str) -> Self {
        let (name, token) = (name.to_owned(), token.to_owned());
        Self { id, name, token, addr: app.running.addr, http: app.http.clone() }
    }

    /// Their id.
    pub fn user_id(&self) -> UserId {
        UserId::new(self.id)
    }

    /// The same person showing another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// A request with their token, ready to be changed.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.addr)).bearer_auth(&self.token)
    }

    /// A request as their browser sends it: the cookie, and where it comes from.
    pub fn browses(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("http://{}{path}", self.addr))
            .header("cookie", format!("session_token={}", self.token))
            .header("sec-fetch-site", "same-origin")
    }

    /// Asks for something.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::read(self.request(Method::GET, path)).await
    }

    /// Sends JSON.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        Answer::read(self.request(method, path).json(body)).await
    }

    /// Begins to say something; say where with [`Post::in_`].
    pub fn posts(&self, body: &str) -> Post<'_> {
        Post { author: self, body: body.to_owned(), id: client_id() }
    }

    /// Opens a room for everybody.
    pub async fn opens_room(&self, name: &str) -> Room {
        let body = json!({"name": name, "kind": "open"});
        let answer = self.send(Method::POST, "/api/rooms", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Opens a closed room with these people.
    pub async fn opens_closed_room(&self, name: &str, people: &[&Person]) -> Room {
        let ids: Vec<i64> = people.iter().map(|person| person.id).collect();
        let body = json!({"name": name, "kind": "closed", "user_ids": ids});
        let answer = self.send(Method::POST, "/api/rooms", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Asks for the direct room with these people.
    pub async fn writes_to(&self, people: &[&Person]) -> Answer {
        let ids: Vec<i64> = people.iter().map(|person| person.id).collect();
        let body = json!({"kind": "direct", "user_ids": ids});
        self.send(Method::POST, "/api/rooms", &body).await
    }

    /// Changes a room, perhaps.
    pub async fn changes_room(&self, room_id: RoomId, change: &Value) -> Answer {
        self.send(Method::PATCH, &format!("/api/rooms/{room_id}"), change).await
    }

    /// Deletes a room, perhaps.
    pub async fn tries_to_delete_room(&self, room_id: RoomId) -> Answer {
        Answer::read(self.request(Method::DELETE, &format!("/api/rooms/{room_id}"))).await
    }

    /// Leaves a room, perhaps.
    pub async fn leaves(&self, room_id: RoomId) -> Answer {
        Answer::read(self.request(Method::POST, &format!("/api/rooms/{room_id}/leave"))).await
    }

    /// Wants to hear so much of a room.
    pub async fn wants(&self, room_id: RoomId, involvement: &str) {
        let path = format!("/api/rooms/{room_id}/involvement");
        let answer = self.send(Method::PUT, &path, &json!({"involvement": involvement})).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// Gives a message new text.
    pub async fn edits(&self, id: MessageId, body: &str) -> Message {
        let answer = self.tries_to_edit(id, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Gives a message new text, perhaps.
    pub async fn tries_to_edit(&self, id: MessageId, body: &str) -> Answer {
        self.send(Method::PATCH, &format!("/api/messages/{id}"), &json!({"body": body})).await
    }

    /// Deletes a message.
    pub async fn deletes(&self, id: MessageId) {
        let answer = self.tries_to_delete(id).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// Deletes a message, perhaps.
    pub async fn tries_to_delete(&self, id: MessageId) -> Answer {
        Answer::read(self.request(Method::DELETE, &format!("/api/messages/{id}"))).await
    }

    /// Has seen a room up to a message.
    pub async fn reads(&self, room_id: RoomId, id: i64) -> Answer {
        let path = format!("/api/rooms/{room_id}/read");
        self.send(Method::PUT, &path, &json!({"message_id": id})).await
    }

    /// Marks a room unread from a message on.
    pub async fn marks_unread(&self, room_id: RoomId, id: MessageId) -> Answer {
        let path = format!("/api/rooms/{room_id}/unread");
        self.send(Method::PUT, &path, &json!({"message_id": id})).await
    }

    /// A page of a room: `query` as in `limit=10&before=7`.
    pub async fn page(&self, room_id: RoomId, query: &str) -> MessagePage {
        let answer = self.get(&format!("/api/rooms/{room_id}/messages?{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Their rooms.
    pub async fn rooms(&self) -> Vec<SidebarRoom> {
        let answer = self.get("/api/rooms").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// One of their rooms as their sidebar shows it.
    pub async fn sidebar(&self, room_id: RoomId) -> SidebarRoom {
        self.rooms().await.into_iter().find(|room| room.id == room_id).unwrap()
    }

    /// Whether a room stands in their list.
    pub async fn sees(&self, room_id: RoomId) -> bool {
        self.rooms().await.iter().any(|room| room.id == room_id)
    }

    /// Signs out.
    pub async fn signs_out(&self) -> Answer {
        Answer::read(self.request(Method::DELETE, "/api/session")).await
    }

    /// Opens a socket and says nothing yet.
    pub async fn connects(&self) -> Tab {
        Tab::open(self).await
    }

    /// Opens a socket and looks at a room, from now on.
    pub async fn watches(&self, room_id: RoomId) -> Tab {
        let cursor = self.page(room_id, "limit=1").await.cursor;
        let mut tab = self.connects().await;
        tab.greets(None, Some(room_id), Some(cursor)).await;
        tab
    }
}

/// Something about to be said.
pub struct Post<'a> {
    author: &'a Person,
    body: String,
    id: ClientMessageId,
}

impl Post<'_> {
    /// With this name instead of a fresh one.
    pub fn named(self, id: ClientMessageId) -> Self {
        Self { id, ..self }
    }

    /// Says it, and it must be new.
    pub async fn in_(self, room_id: RoomId) -> Message {
        let answer = self.perhaps_in(room_id).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Says it, whatever the server answers.
    pub async fn perhaps_in(self, room_id: RoomId) -> Answer {
        self.tries_in(room_id).await.unwrap()
    }

    /// Says it, perhaps to nobody.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn tries_in(self, room_id: RoomId) -> Result<Answer, reqwest::Error> {
        let body = json!({"body": self.body, "client_message_id": self.id});
        let path = format!("/api/rooms/{room_id}/messages");
        Answer::try_read(self.author.request(Method::POST, &path).json(&body)).await
    }
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// Sends a request and reads all of the answer.
    pub async fn read(request: reqwest::RequestBuilder) -> Self {
        Self::try_read(request).await.unwrap()
    }

    /// Sends a request; the connection may break.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn try_read(request: reqwest::RequestBuilder) -> Result<Self, reqwest::Error> {
        let response = timeout(PATIENCE * 3, request.send()).await.unwrap()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // After an upgrade there is no body but a conversation, which is not ours.
        let body = if status == 101 { Vec::new() } else { response.bytes().await?.to_vec() };
        Ok(Self { status, headers, body })
    }

    /// The body.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Bytes of the body, as they came.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} {error}: {}", self.status, self.text()))
    }

    /// The error in the body.
    pub fn error(&self) -> ErrorDetail {
        self.json::<ErrorBody>().error
    }

    /// Status, code and field of a refusal.
    pub fn refusal(&self) -> (u16, String, Option<String>) {
        let error = self.error();
        (self.status, error.code, error.field)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Seconds to wait, of a limited request.
    pub fn retry_after(&self) -> u64 {
        self.headers.get(RETRY_AFTER).unwrap().to_str().unwrap().parse().unwrap()
    }

    /// Database statements that the request has cost.
    pub fn statements(&self) -> u32 {
        let timing = self.header("server-timing").unwrap();
        timing.strip_prefix("statements;desc=").unwrap().parse().unwrap()
    }
}
