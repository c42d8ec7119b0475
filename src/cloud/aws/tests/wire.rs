//! The HTTP client that the product uses, over a socket, and credentials that are missing.

use std::sync::Arc;

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{arn, caller, targets};
use crate::{
    cloud::{Cloud, Error, aws::Clouds, aws::config},
    plan::FailureKind,
};

const ANSWER: &str = "<RegisterTargetsResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/\
                      doc/2015-12-01/\"><RegisterTargetsResult/></RegisterTargetsResponse>";

async fn register_at(url: &str, credentials: SharedCredentialsProvider) -> Result<(), Error> {
    let clouds = Clouds::new(config::over_sockets(url, credentials), Arc::new(()));
    let cloud = clouds.region(None)?;
    cloud.register(&caller(), &arn(), &targets(1)).await
}

fn made_up() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::from_keys("made-up", "made-up", None))
}

#[tokio::test]
async fn an_endpoint_of_ones_own_is_asked_in_place_of_aws() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        let mut buffer = [0; 4096];
        while !request.contains("Targets.member.1.Port=8080") {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the request ended early: {request}");
            request.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        let length = ANSWER.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{ANSWER}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    register_at(&url, made_up()).await.unwrap();
    let request = server.await.unwrap();
    assert!(request.contains("AWS4-HMAC-SHA256"), "{request}");
}

#[tokio::test]
async fn a_connection_that_is_refused_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let failed = register_at(&url, made_up()).await.unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Unavailable);
    assert!(failed.to_string().contains("cannot be reached"), "{failed}");
}

#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("there are none")))
    }
}

#[tokio::test]
async fn without_credentials_it_says_that_a_role_is_missing() {
    let nobody = SharedCredentialsProvider::new(Nobody);
    let failed = register_at("http://127.0.0.1:9", nobody).await.unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Denied);
    assert!(
        failed.to_string().contains("no AWS credentials"),
        "{failed}"
    );
}
