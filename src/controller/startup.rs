//! What has to be there before the loop can begin, and what to tell a person where it is not.

use std::time::Duration;

use kube::{Api, Client, Config, api::ListParams};
use tracing::{info, warn};

use super::{
    Standing,
    cached::Cached,
    error::{Error, call},
};

/// How often to look for a definition that is not there. A person waits for it.
const AGAIN: Duration = Duration::from_secs(2);

/// Why the controller cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No configuration of a cluster.
    #[error("no usable kubeconfig: {0}; set KUBECONFIG, or run in a pod with a service account")]
    Kubeconfig(String),

    /// The configuration does not make a client.
    #[error("the kubeconfig does not make a client: {0}; check its certificates and its user")]
    Client(String),

    /// No answer.
    #[error(
        "the Kubernetes API server does not answer: {0}; check that {1} can be reached from here"
    )]
    Unreachable(String, String),

    /// It does not know us.
    #[error(
        "the Kubernetes API server does not accept our credentials: {0}; renew the token or certificate in the kubeconfig"
    )]
    Unauthorized(String),

    /// It knows us and refuses.
    #[error(
        "no permission to list releases {0}: {1}; grant get, list, watch and patch on bluegreenreleases and update on bluegreenreleases/status (the Helm chart's role does)"
    )]
    Forbidden(String, String),

    /// The web server failed.
    #[error("the web server failed: {0}")]
    Web(std::io::Error),

    /// The loop ended by itself.
    #[error(
        "the loop ended without having been asked to; this is an error in the program: please report it"
    )]
    LoopEnded,
}

/// The configuration of the cluster, from the environment, made fit for a controller.
///
/// # Errors
/// When there is none.
pub async fn client_config() -> Result<Config, StartError> {
    let mut config = Config::infer()
        .await
        .map_err(|error| StartError::Kubeconfig(error.to_string()))?;
    // kube tries a refused request up to 15 times by itself, writes too, for minutes. A write
    // belongs to one reading and must not land when that is old; the loop has its own backoff.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.write_timeout = Some(Duration::from_secs(10));
    Ok(config)
}

/// A client for a configuration.
///
/// # Errors
/// When certificates or credentials in it cannot be used.
pub fn connect(config: Config) -> Result<Client, StartError> {
    Client::try_from(config).map_err(|error| StartError::Client(error.to_string()))
}

/// Waits until the API server knows the resource.
///
/// # Errors
/// When the server does not answer the first time, or refuses: a person should see that at once.
/// Later on it is waited for, since then a cluster is being built or mended.
pub(super) async fn definition(
    api: &Api<Cached>,
    scope: &str,
    server: &str,
    standing: &Standing,
) -> Result<(), StartError> {
    let one = ListParams::default().limit(1);
    let mut first = true;
    loop {
        standing.beat();
        let Err(error) = call("listing releases", api.list(&one)).await else {
            standing.defined();
            return Ok(());
        };
        match error.status() {
            Some(status) if status.is_not_found() => {
                if first {
                    info!("{}", super::Pending::Definition.as_str());
                }
            }
            Some(status) if status.is_forbidden() => {
                return Err(StartError::Forbidden(
                    scope.to_owned(),
                    status.message.clone(),
                ));
            }
            Some(status) if status.code == 401 => {
                return Err(StartError::Unauthorized(status.message.clone()));
            }
            Some(_) | None if first => {
                return Err(unreachable(&error, server));
            }
            Some(_) | None => warn!(%error, "still waiting for the definition"),
        }
        first = false;
        tokio::time::sleep(AGAIN).await;
    }
}

fn unreachable(error: &Error, server: &str) -> StartError {
    StartError::Unreachable(error.to_string(), server.to_owned())
}
