//! The gRPC service: one call, one conversation.
//!
//! A conversation is pulled by its own replies: the next message is read when Envoy has taken what the one before led to.
//! So nothing is buffered here, and a stream that Envoy resets is dropped where it stands.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessor;
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use futures_util::{FutureExt, Stream, stream};
use tonic::{Code, Request, Response, Status, Streaming};

use super::ExtProcDoor;
use super::conversation::{Message, Origin, State, Turn};
use crate::connection::Peer;

/// The service.
pub(super) struct Processor(pub(super) Arc<ExtProcDoor>);

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        let (metadata, _, messages) = request.into_parts();
        let (door, metadata) = (Arc::clone(&self.0), metadata.into_headers());
        let origin = Origin { door, peer, metadata, opened: Instant::now() };
        let conversation =
            Conversation { messages, state: State::Begun(origin), replies: VecDeque::new(), failure: None };
        let replies = stream::unfold(conversation, |mut conversation| async move {
            let reply = conversation.next().await?;
            Some((reply, conversation))
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

struct Conversation {
    messages: Streaming<ProcessingRequest>,
    state: State,
    replies: VecDeque<ProcessingResponse>,
    failure: Option<Status>,
}

impl Drop for Conversation {
    /// Envoy has reset the stream, or its connection is gone. What had come may have been all.
    fn drop(&mut self) {
        if self.replies.is_empty() {
            std::mem::replace(&mut self.state, State::Closed).ended();
        }
    }
}

impl Conversation {
    /// The next reply; `None` when the stream ends.
    async fn next(&mut self) -> Option<Result<ProcessingResponse, Status>> {
        loop {
            if let Some(reply) = self.replies.pop_front() {
                return Some(Ok(reply));
            }
            if let Some(failure) = self.failure.take() {
                return Some(Err(failure));
            }
            if matches!(self.state, State::Answered(_) | State::Closed) {
                // Every reply was taken.
                std::mem::replace(&mut self.state, State::Closed).ended();
                return None;
            }
            let turn = self.turn().await?;
            self.state = turn.state;
            self.replies.extend(turn.replies);
            self.failure = turn.failure;
        }
    }

    /// What follows from the next message; `None` when no other comes.
    async fn turn(&mut self) -> Option<Turn> {
        let message = match self.state.deadline() {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), self.messages.message()).await,
            None => Ok(self.messages.message().await),
        };
        let state = std::mem::replace(&mut self.state, State::Closed);
        let message = match message {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => {
                state.ended();
                return None;
            }
            Ok(Err(status)) if status.code() == Code::OutOfRange => return Some(state.oversized()),
            // Envoy resets a stream that it needs no more, and one that broke; the state knows whether all has come.
            Ok(Err(_)) => {
                state.ended();
                return None;
            }
            Err(_) => return Some(state.late()),
        };
        let Some(message) = Message::read(message) else { return Some(Turn::of(state, Vec::new())) };
        // A panic is a bug of the router's, and costs one request its answer; the record, which the state owns, has noted
        // it when it was dropped.
        match AssertUnwindSafe(state.step(message)).catch_unwind().await {
            Ok(turn) => Some(turn),
            Err(_) => Some(Turn::broken(Status::internal("the router failed at this request"))),
        }
    }
}
