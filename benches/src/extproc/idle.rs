//! A processor that lets everything pass: what the protocol costs, before anybody does anything.

use std::net::SocketAddr;
use std::pin::Pin;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Part;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response as Reply;
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use futures_util::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::rig::Failure;

struct Idle;

#[tonic::async_trait]
impl ExternalProcessor for Idle {
    type ProcessStream = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let replies = request.into_inner().map(|message| Ok(passed(message?)));
        Ok(Response::new(Box::pin(replies)))
    }
}

fn passed(message: ProcessingRequest) -> ProcessingResponse {
    let response = message.request.map(|part| match part {
        Part::RequestHeaders(_) => Reply::RequestHeaders(Default::default()),
        Part::RequestBody(_) => Reply::RequestBody(Default::default()),
        Part::RequestTrailers(_) => Reply::RequestTrailers(Default::default()),
        Part::ResponseHeaders(_) => Reply::ResponseHeaders(Default::default()),
        Part::ResponseBody(_) => Reply::ResponseBody(Default::default()),
        Part::ResponseTrailers(_) => Reply::ResponseTrailers(Default::default()),
    });
    ProcessingResponse { response, ..ProcessingResponse::default() }
}

/// Listens on a thread of its own until the program ends; the address.
pub(super) fn start() -> Result<SocketAddr, Failure> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("idle".to_owned()).spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let server = Server::builder().add_service(ExternalProcessorServer::new(Idle));
            server.serve_with_incoming(incoming).await.map_err(std::io::Error::other)
        })
    })?;
    Ok(address)
}
