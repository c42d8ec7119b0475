//! What has to be there before the loop can begin, and what to tell a person where it is not.

use std::time::Duration;

use kube::{Api, Client, Config, api::ListParams, core::Status};
use tracing::info;

use super::{
    Stage, Standing,
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

/// Waits until the API server knows the resource and lets us read it.
///
/// Whatever is wrong is said and waited for: a cluster is being built or mended, a permission is
/// granted, a token renewed. No restart would help more than asking again.
pub(super) async fn definition(api: &Api<Cached>, scope: &str, server: &str, standing: &Standing) {
    let one = ListParams::default().limit(1);
    loop {
        standing.beat();
        match call("listing releases", api.list(&one)).await {
            Ok(_) => {
                standing.no_trouble();
                return;
            }
            Err(error) => match error.status() {
                // A real server answers for a group that it does not know in plain text, so there
                // is a code and no reason.
                Some(status) if status.code == 404 => {
                    standing.no_trouble();
                    if standing.enters(Stage::Undefined) {
                        info!("{}", Stage::Undefined.text());
                    }
                }
                Some(status) => standing.trouble(&refused(status, scope, &error)),
                None => standing.trouble(&format!(
                    "the Kubernetes API server does not answer: {error}; it is asked again; check \
                     that {server} can be reached from here"
                )),
            },
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// What a person should read of a refusal.
fn refused(status: &Status, scope: &str, error: &Error) -> String {
    if status.is_forbidden() {
        return format!(
            "no permission to list releases {scope}: {}; grant get, list, watch and patch on \
             bluegreenreleases and update on bluegreenreleases/status (the Helm chart's role does)",
            status.message
        );
    }
    if status.code == 401 {
        return format!(
            "the Kubernetes API server does not accept our credentials: {}; renew the token or \
             certificate in the kubeconfig",
            status.message
        );
    }
    format!("the Kubernetes API server refuses: {error}; it is asked again")
}
