//! The browser's calls to the JSON API, with the same types the server answers with.

use crate::domain::error::{ErrorBody, ErrorDetail};
use crate::domain::message::Outgoing;
use crate::domain::message::{Message, MessagePage};
use crate::domain::{MessageId, RoomId};
use futures::{FutureExt, select_biased};
use gloo_net::http::{Request, Response};
use gloo_timers::future::TimeoutFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// An answer that takes longer is not coming; sending again is harmless.
const ANSWER_TIMEOUT_MS: u32 = 12_000;

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
    let request = request.json(&body).map_err(unsendable)?;
    in_time(async { read(request.send().await).await }).await
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
    let request = request.json(&Body { body }).map_err(unsendable)?;
    in_time(async { read(request.send().await).await }).await
}

/// Deletes a message.
///
/// # Errors
/// [`CallError`].
pub async fn remove_message(id: MessageId) -> Answer<()> {
    let request = Request::delete(&format!("/api/messages/{id}"));
    in_time(async { checked(request.send().await).await.map(|_| ()) }).await
}

/// Reads history: `query` is empty for the newest page, or `before=7`, or `after=7`.
///
/// # Errors
/// [`CallError`].
pub async fn load_page(room_id: RoomId, query: &str) -> Answer<MessagePage> {
    let request = Request::get(&format!("/api/rooms/{room_id}/messages?{query}"));
    in_time(async { read(request.send().await).await }).await
}

/// Whether the session still runs.
///
/// # Errors
/// [`CallError`].
pub async fn check_session() -> Answer<()> {
    in_time(async { checked(Request::get("/api/me").send().await).await.map(|_| ()) }).await
}

fn unsendable(_: gloo_net::Error) -> CallError {
    CallError::Passing
}

async fn read<T: DeserializeOwned>(sent: Result<Response, gloo_net::Error>) -> Answer<T> {
    checked(sent).await?.json().await.map_err(|_| CallError::Passing)
}

/// Waits for an answer, but not for ever: a network that swallows packets never says so.
async fn in_time<T>(request: impl Future<Output = Answer<T>>) -> Answer<T> {
    select_biased! {
        answer = Box::pin(request).fuse() => answer,
        () = TimeoutFuture::new(ANSWER_TIMEOUT_MS).fuse() => Err(CallError::Passing),
    }
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
