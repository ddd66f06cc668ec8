//! The browser's calls to the JSON API, with the same types the server answers with.

use crate::domain::error::{ErrorBody, ErrorDetail};
use crate::domain::message::{Message, MessagePage};
use crate::domain::timeline::Outgoing;
use crate::domain::{MessageId, RoomId};
use gloo_net::http::{Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Why a call did not work.
#[derive(Clone, Debug)]
pub enum CallError {
    /// Nobody answered, or the server is in trouble: trying again may help.
    Passing,
    /// The session has ended.
    SignedOut,
    /// The server said no, in words.
    Refused(ErrorDetail),
}

type Answer<T> = Result<T, CallError>;

/// Sends a message; sending it again is harmless.
///
/// # Errors
/// [`CallError`].
pub async fn create_message(room_id: RoomId, outgoing: &Outgoing) -> Answer<Arc<Message>> {
    #[derive(Serialize)]
    struct Body<'a> {
        body: &'a str,
        client_message_id: crate::domain::message::ClientMessageId,
    }
    let body = Body { body: &outgoing.body, client_message_id: outgoing.client_message_id };
    let request = Request::post(&format!("/api/rooms/{room_id}/messages"));
    read(request.json(&body).map_err(unsendable)?.send().await).await
}

/// Gives a message new text.
///
/// # Errors
/// [`CallError`].
pub async fn edit_message(id: MessageId, body: &str) -> Answer<Arc<Message>> {
    #[derive(Serialize)]
    struct Body<'a> {
        body: &'a str,
    }
    let request = Request::patch(&format!("/api/messages/{id}"));
    read(request.json(&Body { body }).map_err(unsendable)?.send().await).await
}

/// Deletes a message.
///
/// # Errors
/// [`CallError`].
pub async fn remove_message(id: MessageId) -> Answer<()> {
    let sent = Request::delete(&format!("/api/messages/{id}")).send().await;
    checked(sent).await.map(|_| ())
}

/// Reads history: `query` is empty for the newest page, or `before=7`, or `after=7`.
///
/// # Errors
/// [`CallError`].
pub async fn load_page(room_id: RoomId, query: &str) -> Answer<MessagePage> {
    read(Request::get(&format!("/api/rooms/{room_id}/messages?{query}")).send().await).await
}

/// Whether the session still runs.
///
/// # Errors
/// [`CallError`].
pub async fn check_session() -> Answer<()> {
    checked(Request::get("/api/me").send().await).await.map(|_| ())
}

fn unsendable(_: gloo_net::Error) -> CallError {
    CallError::Passing
}

async fn read<T: DeserializeOwned>(sent: Result<Response, gloo_net::Error>) -> Answer<T> {
    checked(sent).await?.json().await.map_err(|_| CallError::Passing)
}

async fn checked(sent: Result<Response, gloo_net::Error>) -> Answer<Response> {
    let response = sent.map_err(|_| CallError::Passing)?;
    match response.status() {
        200..300 => Ok(response),
        401 => Err(CallError::SignedOut),
        408 | 425 | 429 | 500.. => Err(CallError::Passing),
        _ => Err(response
            .json::<ErrorBody>()
            .await
            .map_or(CallError::Passing, |body| CallError::Refused(body.error))),
    }
}
