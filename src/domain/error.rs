//! What can go wrong, in the words a person may read.
//!
//! One enum for the whole product. The server maps it to a status in one place
//! (`server::http`), the browser reads it back from [`ErrorBody`]. Internal causes are logged
//! where they happen and never travel: [`Error::Unavailable`] and [`Error::Unexpected`] carry no
//! detail on purpose.

use serde::{Deserialize, Serialize};

/// One broken rule of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's name as in the request, for example `body`.
    pub field: String,
    /// A sentence that tells the person what to do.
    pub message: String,
}

impl FieldError {
    /// A broken rule of `field`.
    pub fn new(field: &str, message: &str) -> Self {
        Self { field: field.to_owned(), message: message.to_owned() }
    }
}

/// Why a request was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Outside input broke a rule; nothing was changed. Never empty.
    #[error("{}", .0.first().map_or("That is not valid.", |first| first.message.as_str()))]
    Validation(Vec<FieldError>),
    /// The request could not be read at all (not JSON, not UTF-8, wrong shape).
    #[error("{0}")]
    Malformed(&'static str),
    /// The address does not take this method.
    #[error("This address does not take that method.")]
    MethodNotAllowed,
    /// The body is larger than this address takes.
    #[error("That is too large to send.")]
    TooLarge,
    /// Nobody is signed in, or the session has ended.
    #[error("Please sign in.")]
    Unauthenticated,
    /// The e-mail and password do not belong together (or to nobody; the answer is the same).
    #[error("That e-mail and password do not match. Check for capital letters and try again.")]
    WrongCredentials,
    /// The viewer may see this but not do that.
    #[error("You are not allowed to do that.")]
    Forbidden,
    /// The request came from another site, or says so.
    #[error("This request did not come from the chat itself, so it was refused.")]
    CrossSite,
    /// No such room, message, user or page, or not for this viewer: the two look alike.
    #[error("There is nothing at this address.")]
    NotFound,
    /// First run was done before, by somebody else.
    #[error("This chat has already been set up. Ask its administrator for an invite link.")]
    AlreadySetUp,
    /// The e-mail already belongs to a user.
    #[error("Somebody with that e-mail is already a member. Sign in instead.")]
    AlreadyMember,
    /// The client message id was used by another author in this room.
    #[error("That message id is already taken. Send it again with a new one.")]
    ClientIdTaken,
    /// The last administrator would be gone, and nobody could make another.
    #[error("Somebody has to be administrator. Make another person administrator first.")]
    LastAdministrator,
    /// Too much in too short a time.
    #[error("That was a little too fast. Try again in {retry_after_s} s.")]
    RateLimited {
        /// Seconds until the next attempt can succeed.
        retry_after_s: u64,
    },
    /// The writer has stopped; nothing can be stored.
    #[error("The server is stopping. Nothing was lost; try again in a moment.")]
    WriterUnavailable,
    /// The disk is full or cannot be written.
    #[error("The server cannot store anything right now. Your text is still here; try again soon.")]
    StorageFull,
    /// The database did not answer as it should; the cause is in the log.
    #[error("Something failed on the server. Nothing you sent was lost; try again.")]
    Unavailable,
    /// A bug; the cause is in the log.
    #[error("Something failed on the server. Nothing you sent was lost; try again.")]
    Unexpected,
}

impl Error {
    /// A single broken field rule.
    pub fn invalid(field: &str, message: &str) -> Self {
        Self::Validation(vec![FieldError::new(field, message)])
    }

    /// The stable name of this error on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Validation(_) => "validation",
            Self::Malformed(_) => "malformed",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::Unauthenticated => "unauthenticated",
            Self::WrongCredentials => "wrong_credentials",
            Self::Forbidden => "forbidden",
            Self::CrossSite => "cross_site",
            Self::NotFound => "not_found",
            Self::AlreadySetUp => "already_set_up",
            Self::AlreadyMember => "already_member",
            Self::ClientIdTaken => "client_id_taken",
            Self::LastAdministrator => "last_administrator",
            Self::RateLimited { .. } => "rate_limited",
            Self::WriterUnavailable => "writer_unavailable",
            Self::StorageFull => "storage_full",
            Self::Unavailable => "unavailable",
            Self::Unexpected => "unexpected",
        }
    }

    /// The HTTP status. Kept beside the codes so that the two cannot drift apart.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unauthenticated | Self::WrongCredentials => 401,
            Self::Forbidden | Self::CrossSite => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::AlreadySetUp
            | Self::AlreadyMember
            | Self::ClientIdTaken
            | Self::LastAdministrator => 409,
            Self::TooLarge => 413,
            Self::Validation(_) => 422,
            Self::RateLimited { .. } => 429,
            Self::Unexpected => 500,
            Self::WriterUnavailable | Self::Unavailable => 503,
            Self::StorageFull => 507,
        }
    }

    /// The broken rules, if rules were broken.
    pub fn fields(&self) -> &[FieldError] {
        match self {
            Self::Validation(fields) => fields,
            _ => &[],
        }
    }

    /// The sentence for one field, for a form that is shown again.
    pub fn for_field(&self, field: &str) -> Option<&str> {
        self.fields().iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// `{"error": {...}}`: the body of every failed API call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// The inside of an [`ErrorBody`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// See [`Error::code`].
    pub code: String,
    /// The first broken field, when rules were broken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// A sentence a person can act on.
    pub message: String,
    /// Names this request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
}

impl ErrorBody {
    /// The wire form of `error`.
    pub fn new(error: &Error, request_id: Option<String>) -> Self {
        Self {
            error: ErrorDetail {
                code: error.code().to_owned(),
                field: error.fields().first().map(|first| first.field.clone()),
                message: error.to_string(),
                request_id,
            },
        }
    }
}
