//! The processor over TLS, with client certificates and without.

use std::net::SocketAddr;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::envoy::{Processor, replaced};
use crate::authority::{Authority, Leaf};
use crate::support::{Setup, chat, policy};

fn setup(authority: &Authority, clients: Option<&Authority>) -> Setup {
    let mut setup = Setup::new(policy(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 1).into()));
    setup.tls = Some(authority.tls(clients));
    setup
}

async fn started(authority: &Authority, clients: Option<&Authority>, shown: Option<Leaf>) -> Processor {
    let trusted = Certificate::from_pem(authority.pem());
    let reach = async move |address: SocketAddr| {
        let mut tls = ClientTlsConfig::new().ca_certificate(trusted);
        if let Some(leaf) = shown {
            tls = tls.identity(Identity::from_pem(leaf.certificate, leaf.key));
        }
        let endpoint = Channel::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap();
        endpoint.connect_lazy()
    };
    Processor::reached(setup(authority, clients), reach).await
}

async fn health(processor: &Processor) -> Result<(), tonic::Status> {
    let request = HealthCheckRequest { service: String::new() };
    HealthClient::new(processor.channel.clone()).check(request).await.map(drop)
}

#[tokio::test]
async fn the_processor_is_reached_over_tls() {
    let authority = Authority::new();
    let processor = started(&authority, None, None).await;
    health(&processor).await.unwrap();
    let mut talk = processor.talk(BodySendMode::Buffered, BodySendMode::Streamed).await;
    talk.head(&[]).await;
    talk.request_head().await;
    talk.chat(&chat("write a haiku")).await;
    let common = talk.request_body().await;
    assert!(replaced(&common).is_some(), "{common:?}");
}

#[tokio::test]
async fn where_clients_need_certificates_only_those_of_their_authority_count() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let known = started(&authority, Some(&clients), Some(clients.signs("envoy"))).await;
    health(&known).await.unwrap();
    for shown in [None, Some(authority.signs("envoy"))] {
        let stranger = started(&authority, Some(&clients), shown).await;
        assert!(health(&stranger).await.is_err());
    }
}
