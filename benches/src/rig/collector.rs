//! Collectors that take every export and look at none: what the router pays for exporting, without what another
//! program would do with it.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::Failure;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";

/// One gRPC message without fields, not compressed: a full success of OTLP.
const GRPC_MESSAGE: &[u8] = &[0; 5];

/// By which protocol it takes exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collector {
    /// OTLP over HTTP/1.1.
    Http,
    /// OTLP over gRPC.
    Grpc,
}

impl Collector {
    /// Listens on a thread of its own until the program ends; the address.
    pub(crate) fn start(self) -> Result<SocketAddr, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let thread = std::thread::Builder::new().name("collector".to_owned());
        match self {
            Collector::Http => thread.spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A connection that breaks is the exporter's to open again.
                    std::thread::spawn(move || serve(stream).is_ok());
                }
            })?,
            Collector::Grpc => {
                listener.set_nonblocking(true)?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                thread.spawn(move || runtime.block_on(serve_grpc(listener)))?
            }
        };
        Ok(address)
    }
}

/// Reads exports over HTTP/1.1 and throws them away.
fn serve(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        writer.write_all(ANSWER)?;
    }
}

/// Reads exports over HTTP/2 and throws them away.
async fn serve_grpc(listener: TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let service = hyper::service::service_fn(take);
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 22)
            .initial_connection_window_size(1 << 22)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

async fn take(
    request: Request<Incoming>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Frame::data(Bytes::from_static(GRPC_MESSAGE)), Frame::trailers(trailers)];
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames.map(Ok))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}
