//! A request as it came, with the facts that were read from it.
//!
//! What it is: the client's bytes, the position of every top-level member, message and text in them, and the
//! few facts that routing, guarding and tracing need. What it is not: a typed request; members that nobody
//! reads are checked to be JSON and otherwise left alone.
//!
//! Invariant: a value of this type holds well-formed JSON whose read members have the right types and stand
//! only once (a second `messages` would let a caller show the checks one prompt and the backend another).

mod canonical;
mod error;
mod facts;
mod messages;
mod parts;
mod read;
mod subject;

use std::sync::Arc;

use bytes::Bytes;

use crate::Dialect;
use crate::json::{Literal, Span};

pub use error::RequestError;
pub use facts::{Facts, Sampling, Shape};
pub use messages::{MessageView, Role, TextId, TextKind, TextView};

/// A request body and what was read from it. Cheap to clone; never changes.
#[derive(Clone, Debug)]
pub struct ParsedRequest {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dialect: Dialect,
    body: Bytes,
    root: Span,
    members: Vec<Member>,
    messages: Vec<messages::Message>,
    texts: Vec<messages::Text>,
    facts: Facts,
}

/// One member of the top-level object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) key: Literal,
    pub(crate) value: Span,
}

impl ParsedRequest {
    /// Reads a request body. Linear in its length, whatever it holds.
    ///
    /// # Errors
    ///
    /// [`RequestError`], always the client's fault: the body is not JSON, or a member that is read is missing,
    /// has the wrong type, or is given twice.
    pub fn parse(dialect: Dialect, body: Bytes) -> Result<Self, RequestError> {
        let inner = read::read(dialect, body)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The endpoint family that the body was read as.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    /// The body, byte for byte as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.inner.body
    }

    /// What was read from the body.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.inner.facts
    }

    /// The model that the client names; `None` when it is missing or null.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.inner.facts.model.as_deref()
    }

    /// Whether the client asks for a stream.
    #[must_use]
    pub fn stream(&self) -> bool {
        self.inner.facts.stream
    }

    /// `stream_options.include_usage`; `None` when the client says nothing of it.
    #[must_use]
    pub fn include_usage(&self) -> Option<bool> {
        self.inner.facts.include_usage
    }

    /// The client's own name for its end user, as it claims.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.inner.facts.user.as_deref()
    }

    /// The raw JSON of a top-level member, for readers that need one which [`Facts`] does not have.
    /// Of several with the same name, the last, as most parsers have it.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&str> {
        let body = &self.inner.body;
        let found = self.inner.members.iter().rev().find(|member| member.key.decoded(body) == name)?;
        Some(found.value.of(body))
    }

    /// The string values of `metadata`, in the order given; values of other types are left out.
    #[must_use]
    pub fn metadata(&self) -> Vec<(String, String)> {
        self.member("metadata").map(parts::string_map).unwrap_or_default()
    }

    pub(crate) fn raw_members(&self) -> &[Member] {
        &self.inner.members
    }

    /// The span of the whole top-level object.
    pub(crate) fn root(&self) -> Span {
        self.inner.root
    }
}
