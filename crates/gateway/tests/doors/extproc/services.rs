//! What stands beside the processor on the same port.

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::envoy::Processor;
use crate::support::{Setup, policy};

const PROCESSOR: &str = "envoy.service.ext_proc.v3.ExternalProcessor";

async fn started() -> Processor {
    Processor::start(Setup::new(policy(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 1).into()))).await
}

#[tokio::test]
async fn health_is_told_of_the_whole_and_of_the_processor() {
    let processor = started().await;
    let mut health = HealthClient::new(processor.channel.clone());
    for service in ["", PROCESSOR] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let told = health.check(request).await.unwrap().into_inner();
        assert_eq!(
            told.status(),
            tonic_health::pb::health_check_response::ServingStatus::Serving,
            "{service}"
        );
    }
    let unknown = health.check(HealthCheckRequest { service: "none".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn reflection_tells_of_the_processor_and_its_messages() {
    let processor = started().await;
    let mut reflection = ServerReflectionClient::new(processor.channel.clone());
    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let asked = futures_util::stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(PROCESSOR.to_owned())),
        ask(MessageRequest::FileContainingSymbol("envoy.config.core.v3.HeaderValueOption".to_owned())),
    ]);
    let mut told = reflection.server_reflection_info(asked).await.unwrap().into_inner();
    let mut next = async || told.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = next().await else { panic!("no list") };
    assert!(list.service.iter().any(|service| service.name == PROCESSOR), "{list:?}");
    for _ in 0..2 {
        let MessageResponse::FileDescriptorResponse(file) = next().await else { panic!("no file") };
        assert!(!file.file_descriptor_proto.is_empty());
    }
}
