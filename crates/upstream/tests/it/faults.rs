//! What a backend can do wrong, and what it is called.

use pipeline::exchange::UpstreamFaultKind;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use crate::support::{
    Backend, CHUNKED_HEAD, call, chunk, client, endpoint, endpoint_of, fault_of, read_request,
};

async fn fault_after(answer: impl Into<Vec<u8>>) -> (UpstreamFaultKind, String) {
    let backend = Backend::saying(answer).await;
    fault_of(&client(), call(endpoint_of(&backend))).await
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable() {
    // Bound but not listening: refused for certain, since nobody else can take the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let (kind, description) = fault_of(&client(), call(endpoint("http", "127.0.0.1", port))).await;
    assert_eq!(kind, UpstreamFaultKind::Unreachable);
    assert!(description.contains("Connection refused"), "{description}");
}

#[tokio::test]
async fn a_host_without_an_address_is_unreachable() {
    // A label of more than 63 characters is no name, so that no server is asked.
    let host = format!("{}.invalid", "x".repeat(64));
    let (kind, description) = fault_of(&client(), call(endpoint("http", &host, 80))).await;
    assert_eq!(kind, UpstreamFaultKind::Unreachable);
    assert!(description.contains("dns error"), "{description}");
}

#[tokio::test]
async fn an_address_that_makes_no_uri_is_unreachable() {
    let (kind, description) = fault_of(&client(), call(endpoint("http", "no such host", 80))).await;
    assert_eq!(kind, UpstreamFaultKind::Unreachable);
    assert!(description.contains("no URI"), "{description}");
}

#[tokio::test]
async fn a_connection_closed_before_the_head_is_a_reset() {
    assert_eq!(fault_after("").await.0, UpstreamFaultKind::Reset);
    assert_eq!(fault_after("HTTP/1.1 200 OK\r\ncontent-").await.0, UpstreamFaultKind::Reset);
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_a_reset() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\":";
    assert_eq!(fault_after(answer).await.0, UpstreamFaultKind::Reset);
}

#[tokio::test]
async fn a_stream_cut_before_its_last_chunk_is_a_reset() {
    let cut = [CHUNKED_HEAD, &chunk("data: {}\n\n")].concat();
    assert_eq!(fault_after(cut).await.0, UpstreamFaultKind::Reset);
    let cut_inside = [CHUNKED_HEAD, "ff\r\ndata: {}"].concat();
    assert_eq!(fault_after(cut_inside).await.0, UpstreamFaultKind::Reset);
}

#[tokio::test]
async fn a_connection_reset_in_the_middle_is_a_reset() {
    let backend = Backend::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all([CHUNKED_HEAD, &chunk("data: {}\n\n")].concat().as_bytes()).await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    assert_eq!(fault_of(&client(), call(endpoint_of(&backend))).await.0, UpstreamFaultKind::Reset);
}

#[tokio::test]
async fn what_is_not_http_is_invalid() {
    for answer in
        ["SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"]
    {
        assert_eq!(fault_after(answer).await.0, UpstreamFaultKind::Invalid, "{answer:?}");
    }
}

#[tokio::test]
async fn a_chunk_without_a_size_is_invalid() {
    let answer = [CHUNKED_HEAD, "not a size\r\ndata\r\n"].concat();
    assert_eq!(fault_after(answer).await.0, UpstreamFaultKind::Invalid);
}

#[tokio::test]
async fn a_head_past_the_limit_is_invalid() {
    let long = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "x".repeat(100 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-many: 1\r\n".repeat(200));
    for answer in [long, many] {
        // The client may close the connection before all of it has been written.
        let backend = Backend::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_request(&mut stream).await.unwrap();
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        assert_eq!(fault_of(&client(), call(endpoint_of(&backend))).await.0, UpstreamFaultKind::Invalid);
    }
}
