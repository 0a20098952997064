//! Envoy's side of the protocol, message by message, over a real gRPC connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    CommonResponse, HeaderMutation, HttpBody, HttpHeaders, HttpTrailers, ImmediateResponse,
    ProcessingRequest, ProcessingResponse, ProtocolConfiguration,
};
use gateway::in_flight::InFlight;
use gateway::listener::Listener;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use trace::Record;

use crate::ports::Kept;
use crate::support::Setup;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running door, and a connection to it.
pub(super) struct Processor {
    pub(super) channel: Channel,
    pub(super) kept: Arc<Kept>,
    pub(super) in_flight: Arc<InFlight>,
    _stop: oneshot::Sender<()>,
    _serving: JoinHandle<()>,
}

/// One stream: what Envoy sends, and what it gets.
pub(super) struct Talk {
    messages: mpsc::Sender<ProcessingRequest>,
    replies: Streaming<ProcessingResponse>,
    modes: Option<ProtocolConfiguration>,
    watching: bool,
}

impl Processor {
    pub(super) async fn start(setup: Setup) -> Processor {
        let reach = async |address| {
            Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
        };
        Processor::reached(setup, reach).await
    }

    /// Started, and reached as the test wants it.
    pub(super) async fn reached(
        mut setup: Setup,
        reach: impl AsyncFnOnce(SocketAddr) -> Channel,
    ) -> Processor {
        let tls = setup.tls.take();
        let (door, kept) = setup.extproc();
        let in_flight = Arc::clone(&door.in_flight);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            let listener = Listener { tcp: listener, tls };
            gateway::extproc::serve(listener, Arc::new(door), stopped).await.unwrap();
        });
        let channel = reach(address).await;
        Processor { channel, kept, in_flight, _stop: stop, _serving: serving }
    }

    pub(super) async fn talk(&self, request_body: BodySendMode, response_body: BodySendMode) -> Talk {
        self.talk_with(Some(modes(request_body, response_body)), &[]).await
    }

    pub(super) async fn talk_with(
        &self,
        modes: Option<ProtocolConfiguration>,
        metadata: &[(&'static str, &'static str)],
    ) -> Talk {
        let (messages, mut sent) = mpsc::channel::<ProcessingRequest>(16);
        let sent = futures_util::stream::poll_fn(move |context| sent.poll_recv(context));
        let mut request = tonic::Request::new(sent);
        for (name, value) in metadata {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        let mut client =
            ExternalProcessorClient::new(self.channel.clone()).max_decoding_message_size(64 << 20);
        let replies = client.process(request).await.unwrap().into_inner();
        Talk { messages, replies, modes, watching: false }
    }

    /// The only record, once its stream has ended.
    pub(super) async fn record(&self) -> Record {
        self.records(1).await.remove(0)
    }

    pub(super) async fn records(&self, count: usize) -> Vec<Record> {
        let records = self.kept.wait_for(count).await;
        assert_eq!(records.len(), count, "{records:?}");
        assert_eq!(self.in_flight.count(), 0, "a place is still taken");
        records
    }
}

pub(super) fn modes(request: BodySendMode, response: BodySendMode) -> ProtocolConfiguration {
    ProtocolConfiguration {
        request_body_mode: request.into(),
        response_body_mode: response.into(),
        send_body_without_waiting_for_header_response: false,
    }
}

pub(super) fn lines(lines: &[(&str, &str)]) -> core::HeaderMap {
    let line = |(key, value): &(&str, &str)| core::HeaderValue {
        key: (*key).to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..Default::default()
    };
    core::HeaderMap { headers: lines.iter().map(line).collect() }
}

impl Talk {
    /// Nothing that is said counts.
    pub(super) fn watching(mut self) -> Talk {
        self.watching = true;
        self
    }

    pub(super) async fn send(&mut self, request: Request) {
        let message = ProcessingRequest {
            request: Some(request),
            observability_mode: self.watching,
            protocol_config: self.modes.take(),
            ..Default::default()
        };
        // A door that has ended the stream says so in its replies.
        let _ = self.messages.send(message).await;
    }

    /// The head of a chat request, with further lines.
    pub(super) async fn head(&mut self, further: &[(&str, &str)]) {
        let mut all = vec![
            (":method", "POST"),
            (":path", "/v1/chat/completions"),
            (":scheme", "http"),
            (":authority", "router"),
            ("content-type", "application/json"),
        ];
        all.retain(|(name, _)| !further.iter().any(|(other, _)| name == other));
        all.extend_from_slice(further);
        self.send(Request::RequestHeaders(HttpHeaders { headers: Some(lines(&all)), ..Default::default() }))
            .await;
    }

    pub(super) async fn body(&mut self, body: impl Into<Vec<u8>>, last: bool) {
        self.send(Request::RequestBody(HttpBody {
            body: body.into(),
            end_of_stream: last,
            ..Default::default()
        }))
        .await;
    }

    pub(super) async fn chat(&mut self, body: &Value) {
        self.body(body.to_string(), true).await;
    }

    pub(super) async fn trailers(&mut self) {
        self.send(Request::RequestTrailers(HttpTrailers::default())).await;
    }

    pub(super) async fn answer_head(&mut self, status: &str, content_type: &str) {
        let headers = Some(lines(&[(":status", status), ("content-type", content_type)]));
        self.send(Request::ResponseHeaders(HttpHeaders { headers, ..Default::default() })).await;
    }

    pub(super) async fn answer_body(&mut self, body: impl Into<Vec<u8>>, last: bool) {
        self.send(Request::ResponseBody(HttpBody {
            body: body.into(),
            end_of_stream: last,
            ..Default::default()
        }))
        .await;
    }

    pub(super) async fn answer_trailers(&mut self) {
        self.send(Request::ResponseTrailers(HttpTrailers::default())).await;
    }

    pub(super) async fn next(&mut self) -> Result<Option<ProcessingResponse>, Status> {
        tokio::time::timeout(PATIENCE, self.replies.message()).await.expect("the door says something")
    }

    /// The next reply.
    pub(super) async fn reply(&mut self) -> ProcessingResponse {
        self.next().await.expect("no failure").expect("a reply")
    }

    /// What becomes of the request's head.
    pub(super) async fn request_head(&mut self) -> (CommonResponse, ProcessingResponse) {
        let reply = self.reply().await;
        let Some(Response::RequestHeaders(head)) = reply.response.clone() else { panic!("{reply:?}") };
        (head.response.unwrap_or_default(), reply)
    }

    pub(super) async fn request_body(&mut self) -> CommonResponse {
        let reply = self.reply().await;
        let Some(Response::RequestBody(body)) = reply.response else { panic!("{reply:?}") };
        body.response.unwrap_or_default()
    }

    pub(super) async fn response_head(&mut self) -> (CommonResponse, ProcessingResponse) {
        let reply = self.reply().await;
        let Some(Response::ResponseHeaders(head)) = reply.response.clone() else { panic!("{reply:?}") };
        (head.response.unwrap_or_default(), reply)
    }

    pub(super) async fn response_body(&mut self) -> CommonResponse {
        let reply = self.reply().await;
        let Some(Response::ResponseBody(body)) = reply.response else { panic!("{reply:?}") };
        body.response.unwrap_or_default()
    }

    pub(super) async fn immediate(&mut self) -> ImmediateResponse {
        let reply = self.reply().await;
        let Some(Response::ImmediateResponse(immediate)) = reply.response else { panic!("{reply:?}") };
        immediate
    }

    /// The answer that comes from the door: its status and the code of its error. The stream ends with it.
    pub(super) async fn refused(&mut self) -> (i32, String) {
        let immediate = self.immediate().await;
        let body: Value = serde_json::from_slice(&immediate.body).unwrap();
        assert!(self.next().await.unwrap().is_none(), "the stream goes on");
        let status = immediate.status.unwrap().code;
        assert!(body["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
        (status, body["error"]["code"].as_str().unwrap().to_owned())
    }

    /// Whether the door ends the stream now, in good order.
    pub(super) async fn ends(&mut self) {
        assert_eq!(self.next().await.unwrap(), None);
    }

    /// Envoy needs no more.
    pub(super) fn close(self) -> Streaming<ProcessingResponse> {
        self.replies
    }
}

/// What a header is set to.
pub(super) fn set(mutation: &HeaderMutation, name: &str) -> Option<String> {
    let option = mutation.set_headers.iter().find(|option| {
        option.append_action == i32::from(HeaderAppendAction::OverwriteIfExistsOrAdd)
            && option.header.as_ref().is_some_and(|header| header.key == name)
    })?;
    Some(String::from_utf8(option.header.clone()?.raw_value).unwrap())
}

/// The bytes that take the place of a message's.
pub(super) fn replaced(common: &CommonResponse) -> Option<Vec<u8>> {
    match common.body_mutation.as_ref()?.mutation.as_ref()? {
        Mutation::Body(bytes) => Some(bytes.clone()),
        Mutation::ClearBody(_) => Some(Vec::new()),
        Mutation::StreamedResponse(streamed) => panic!("{streamed:?}"),
    }
}

/// The bytes of a piece in `FULL_DUPLEX_STREAMED`, and whether it is the last.
pub(super) fn piece(common: &CommonResponse) -> (Vec<u8>, bool) {
    match common.body_mutation.as_ref().and_then(|mutation| mutation.mutation.as_ref()) {
        Some(Mutation::StreamedResponse(streamed)) => (streamed.body.clone(), streamed.end_of_stream),
        other => panic!("{other:?}"),
    }
}
