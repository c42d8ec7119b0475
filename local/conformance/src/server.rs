//! A server that can be asked.

use std::{collections::BTreeSet, fmt, sync::Arc};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use kube::{Client, Config, client::Body};

use crate::{Api, Failure, Feature, answer::text};

/// How far a server's certificate is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// The server speaks plain HTTP.
    None,
    /// Certificates that this authority, in DER, signed.
    Authority(Vec<u8>),
    /// Any certificate: for a server on loopback that signed its own.
    Unverified,
}

/// Why a server cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is no URL.
    #[error(
        "the address {url:?} of the server {name} is no URL; give one such as https://127.0.0.1:6443: {source}"
    )]
    Url {
        /// The server's name.
        name: String,
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// The client could not be made.
    #[error(
        "no client could be made for the server {name}; check its certificate authority: {source}"
    )]
    Client {
        /// The server's name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The token has characters that a header cannot have.
    #[error(
        "the token for the server {name} cannot be sent in a header; give one of letters, digits and dashes"
    )]
    Token {
        /// The server's name.
        name: String,
    },
}

type Forget = Arc<dyn Fn(u64) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// One API server, with what it is known to lack.
#[derive(Clone)]
pub struct Server {
    name: String,
    client: Client,
    token: HeaderValue,
    lacks: BTreeSet<Feature>,
    forget: Option<Forget>,
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token.
        formatter
            .debug_struct("Server")
            .field("name", &self.name)
            .field("lacks", &self.lacks)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// The server at `url`, whose bearer token is an administrator's.
    ///
    /// # Errors
    /// When the URL, the authority or the token cannot be used. Nothing is sent yet.
    pub fn at(name: &str, url: &str, token: &str, tls: Tls) -> Result<Self, ConnectError> {
        let parsed = url.parse().map_err(|source| ConnectError::Url {
            name: name.to_owned(),
            url: url.to_owned(),
            source,
        })?;
        let mut config = Config::new(parsed);
        // An answer that asks to come back later is an answer, too.
        config.default_retry = false;
        match tls {
            Tls::None => {}
            Tls::Authority(certificate) => config.root_cert = Some(vec![certificate]),
            Tls::Unverified => config.accept_invalid_certs = true,
        }
        let client = Client::try_from(config).map_err(|source| ConnectError::Client {
            name: name.to_owned(),
            source: Box::new(source),
        })?;
        Self::over(name, client, token)
    }

    /// The server that `client` reaches; the client sends no credentials of its own.
    ///
    /// # Errors
    /// When the token cannot be sent in a header.
    pub fn over(name: &str, client: Client, token: &str) -> Result<Self, ConnectError> {
        let token =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ConnectError::Token {
                name: name.to_owned(),
            })?;
        Ok(Self {
            name: name.to_owned(),
            client,
            token,
            lacks: BTreeSet::new(),
            forget: None,
        })
    }

    /// Names what the server lacks. Cases that need it must not hold on it.
    #[must_use]
    pub fn lacking(mut self, features: impl IntoIterator<Item = Feature>) -> Self {
        self.lacks.extend(features);
        self
    }

    /// Says how the server is made to forget all history up to a resource version, as it does by
    /// itself after minutes. Without it the server counts as lacking [`Feature::Forgetting`].
    #[must_use]
    pub fn forgetting(
        mut self,
        forget: impl Fn(u64) -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        self.forget = Some(Arc::new(forget));
        self
    }

    /// The minor release of Kubernetes 1 that the server says it is.
    ///
    /// # Errors
    /// When it cannot be asked, or does not say so.
    pub async fn minor(&self) -> Result<u32, Failure> {
        let api = Api {
            server: self.clone(),
            namespace: String::new(),
        };
        let version = api.get("/version").await?.ok()?;
        // Some append a plus sign for patches of their own.
        let minor = text(&version, "/minor").trim_end_matches('+').parse();
        minor.map_err(|_| Failure::new(format!("/version names no minor release: {version}")))
    }

    /// What reports call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first of these features that the server lacks.
    pub(crate) fn first_lacking(&self, needs: &[Feature]) -> Option<Feature> {
        let lacks = |feature: &Feature| match feature {
            Feature::Forgetting if self.forget.is_none() => true,
            feature => self.lacks.contains(feature),
        };
        needs.iter().copied().find(lacks)
    }

    /// Sends a request as the administrator, unless it says who sends it.
    pub(crate) async fn send(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response<Body>, Failure> {
        let headers = request.headers_mut();
        if !headers.contains_key(AUTHORIZATION) {
            headers.insert(AUTHORIZATION, self.token.clone());
        }
        self.send_as_is(request).await
    }

    /// Sends a request with the credentials that it has, or without any.
    pub(crate) async fn send_as_is(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Body>, Failure> {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = self.client.send(request.map(Body::from)).await;
        answer.map_err(|error| Failure::new(format!("{what}: no answer: {error}")))
    }

    /// Forgets all history up to a resource version.
    pub(crate) async fn forget(&self, version: u64) -> Result<(), Failure> {
        let Some(forget) = &self.forget else {
            return Err(Failure::new("nobody said how this server forgets"));
        };
        forget(version).await.map_err(Failure::new)
    }
}
