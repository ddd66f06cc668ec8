//! A WebSocket in the hands of a person.

use super::PATIENCE;
use super::person::Person;
use campfire::domain::event::{ClientFrame, PROTOCOL, ServerFrame};
use campfire::domain::message::Message;
use campfire::domain::room::SidebarRoom;
use campfire::domain::{RoomId, Seq};
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// One open socket. Whatever it hears is kept in [`heard`](Self::heard), in order.
pub struct Tab {
    stream: WebSocketStream<TcpStream>,
    /// Every frame so far.
    pub heard: Vec<ServerFrame>,
    has_pulse: bool,
}

/// How a socket came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server said why.
    Closed(u16),
    /// The stream ended without a word.
    Broken,
}

impl Tab {
    pub(super) async fn open(person: &Person) -> Self {
        let bearer = format!("Bearer {}", person.token);
        Self::try_open(person, &[("authorization", &bearer)]).await.unwrap()
    }

    /// Opens a socket with these headers; refusals come back as their status.
    ///
    /// # Errors
    /// The HTTP status of a refused upgrade.
    pub async fn try_open(person: &Person, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{}/ws", person.addr).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(person.addr).await.unwrap();
        let config =
            WebSocketConfig::default().max_message_size(Some(256 << 20)).max_frame_size(Some(256 << 20));
        match timeout(PATIENCE, client_async_with_config(request, tcp, Some(config))).await.unwrap() {
            Ok((stream, _)) => Ok(Self { stream, heard: Vec::new(), has_pulse: false }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("the socket did not open: {error}"),
        }
    }

    /// Says a frame.
    pub async fn says(&mut self, frame: &ClientFrame) {
        self.says_text(&serde_json::to_string(frame).unwrap()).await;
    }

    /// Says a frame, perhaps to nobody.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn tries_to_say(&mut self, frame: &ClientFrame) -> Result<(), Error> {
        let text = serde_json::to_string(frame).unwrap();
        timeout(PATIENCE, self.stream.send(WsMessage::text(text))).await.unwrap()
    }

    /// Says anything.
    pub async fn says_text(&mut self, text: &str) {
        self.sends(WsMessage::text(text)).await;
    }

    /// Sends anything at all.
    pub async fn sends(&mut self, message: WsMessage) {
        timeout(PATIENCE, self.stream.send(message)).await.unwrap().unwrap();
    }

    /// Sends a text frame whose bytes are no text.
    pub async fn sends_invalid_text(&mut self) {
        let payload = [0xff_u8, 0xfe, 0xfd];
        let header =
            FrameHeader { opcode: OpCode::Data(Data::Text), mask: Some([0; 4]), ..FrameHeader::default() };
        let frame = Frame::from_payload(header, payload.to_vec().into());
        self.sends(WsMessage::Frame(frame)).await;
    }

    /// Says hello and waits for the welcome and, given a room and a cursor, what was missed.
    pub async fn greets(&mut self, incarnation: Option<&str>, room_id: Option<RoomId>, cursor: Option<Seq>) {
        let incarnation = incarnation.map(str::to_owned);
        let hello = ClientFrame::Hello { protocol: PROTOCOL, incarnation, room_id, cursor };
        self.says(&hello).await;
        self.hears(|frame| matches!(frame, ServerFrame::Welcome { .. })).await;
        if room_id.is_some() && cursor.is_some() {
            self.hears_what_was_missed().await;
        }
    }

    /// Waits for the next frame that is wanted; those before it are kept in `heard`.
    pub async fn hears(&mut self, wanted: impl Fn(&ServerFrame) -> bool) -> ServerFrame {
        let found = timeout(PATIENCE, async {
            loop {
                match self.next().await {
                    Ok(frame) if wanted(&frame) => return Ok(frame),
                    Ok(_) => {}
                    Err(end) => return Err(end),
                }
            }
        });
        match found.await {
            Ok(Ok(frame)) => frame,
            Ok(Err(end)) => panic!("the socket ended ({end:?}) after {:?}", self.latest()),
            Err(_) => panic!("nothing wanted was heard; the latest: {:?}", self.latest()),
        }
    }

    /// Waits for the answer to a cursor: the messages of `changes`, or `None` for a reset.
    pub async fn hears_what_was_missed(&mut self) -> Option<Vec<Arc<Message>>> {
        let missed = |frame: &ServerFrame| {
            matches!(
                frame,
                ServerFrame::Changes { .. } | ServerFrame::Reset { .. } | ServerFrame::Error { .. }
            )
        };
        match self.hears(missed).await {
            ServerFrame::Changes { messages, .. } => Some(messages),
            ServerFrame::Reset { .. } => None,
            other => panic!("refused: {other:?}"),
        }
    }

    /// Waits for a message to be created.
    pub async fn hears_message(&mut self, body: &str) -> Arc<Message> {
        let wanted = |frame: &ServerFrame| matches!(frame, ServerFrame::MessageCreated { message } if message.body == body);
        match self.hears(wanted).await {
            ServerFrame::MessageCreated { message } => message,
            other => panic!("not a message: {other:?}"),
        }
    }

    /// Waits for news of a room: how it stands now, or `None` when it has gone.
    pub async fn hears_of_room(&mut self, wanted: RoomId) -> Option<SidebarRoom> {
        let news = self.hears(|frame| match frame {
            ServerFrame::Room { room } => room.id == wanted,
            ServerFrame::RoomRemoved { room_id } => *room_id == wanted,
            _ => false,
        });
        match news.await {
            ServerFrame::Room { room } => Some(room),
            _ => None,
        }
    }

    /// Waits for a refusal and returns its code.
    pub async fn hears_refusal(&mut self) -> String {
        match self.hears(|frame| matches!(frame, ServerFrame::Error { .. })).await {
            ServerFrame::Error { code, .. } => code,
            other => panic!("not a refusal: {other:?}"),
        }
    }

    /// Waits for an answer to a ping: the server has read everything said before.
    pub async fn is_answered(&mut self) {
        self.says(&ClientFrame::Ping).await;
        self.hears(|frame| matches!(frame, ServerFrame::Pong)).await;
    }

    /// Waits for the server's first heartbeat: for the next twenty seconds it does nothing by
    /// itself.
    pub async fn feels_a_pulse(&mut self) {
        while !self.has_pulse {
            self.is_answered().await;
        }
    }

    /// Everything heard until a word that reaches every tab: `crier` opens a room. Frames for one
    /// tab arrive in the order of their publication, so nothing published before is missing.
    pub async fn hears_until_now(&mut self, crier: &Person) -> Vec<ServerFrame> {
        let before = self.heard.len();
        let marker = crier.opens_room("marker").await.id;
        self.hears(|frame| matches!(frame, ServerFrame::Room { room } if room.id == marker)).await;
        let mut frames = self.heard.split_off(before);
        frames.pop();
        frames
    }

    /// Reads until the connection ends. Returns the goodbye's reason, if one was said, and how it
    /// ended.
    pub async fn ends(&mut self) -> (Option<String>, End) {
        let end = timeout(PATIENCE, async {
            loop {
                if let Err(end) = self.next().await {
                    return end;
                }
            }
        });
        let end = end.await.unwrap();
        let reason = self.heard.iter().rev().find_map(|frame| match frame {
            ServerFrame::Goodbye { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        (reason, end)
    }

    /// Leaves without a word, as a crashed browser does.
    pub fn vanishes(self) {
        drop(self);
    }

    /// The next frame and its bytes on the wire.
    pub async fn next_text(&mut self) -> Result<String, End> {
        loop {
            match self.stream.next().await {
                Some(Ok(WsMessage::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(WsMessage::Close(frame))) => {
                    return Err(frame.map_or(End::Broken, |frame| End::Closed(frame.code.into())));
                }
                Some(Ok(WsMessage::Ping(_))) => self.has_pulse = true,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(End::Broken),
            }
        }
    }

    async fn next(&mut self) -> Result<ServerFrame, End> {
        let text = self.next_text().await?;
        let frame = ServerFrame::parse(&text).unwrap().unwrap();
        self.heard.push(frame.clone());
        Ok(frame)
    }

    fn latest(&self) -> &[ServerFrame] {
        self.heard.split_at(self.heard.len().saturating_sub(5)).1
    }
}
