//! What has to be there before the loop can begin, and what to tell a person where it is not.

use std::time::Duration;

use kube::{Api, Client, Config, api::ListParams, core::Status, runtime::watcher};
use tracing::info;

use super::{Stage, Standing, cached::Cached, error::call, standing::INSTALL};
use crate::causes;

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
                Some(status) => standing.trouble(&remedy(status, scope).unwrap_or_else(|| {
                    format!("the Kubernetes API server refuses: {error}; it is asked again")
                })),
                None => standing.trouble(&format!(
                    "the Kubernetes API server does not answer: {error}; it is asked again; check \
                     that {server} can be reached from here"
                )),
            },
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// What a person should read of a watch that failed.
pub(super) fn unwatched(error: &watcher::Error, scope: &str) -> String {
    let status = match error {
        watcher::Error::WatchError(status) => Some(status.as_ref()),
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => match error {
            kube::Error::Api(status) => Some(status.as_ref()),
            _ => None,
        },
        watcher::Error::NoResourceVersion => None,
    };
    status
        .and_then(|status| remedy(status, scope))
        .unwrap_or_else(|| causes::told(error))
}

/// What a person should read of a refusal, and what to do about it, where that is known.
fn remedy(status: &Status, scope: &str) -> Option<String> {
    let said = &status.message;
    match status.code {
        401 => Some(format!(
            "the Kubernetes API server does not accept our credentials: {said}; renew the token or \
             certificate in the kubeconfig and restart the controller, which reads it once; a token \
             in a file of its own, as a pod has it, is read again by itself"
        )),
        403 => Some(format!(
            "no permission to list releases {scope}: {said}; grant get, list, watch and patch on \
             bluegreenreleases and update on bluegreenreleases/status (the Helm chart's role does)"
        )),
        404 => Some(format!(
            "the Kubernetes API server does not know the CustomResourceDefinition \
             bluegreenreleases.bluegreen.dev: {said}; {INSTALL}"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_failed_is_told_with_its_remedy_where_there_is_one() {
        let refused = |code| {
            Status::failure("the server's words", "Because")
                .with_code(code)
                .boxed()
        };
        let told = |error| unwatched(&error, "in namespace games");
        for (code, remedy) in [
            (401, "restart the controller"),
            (403, "grant get, list, watch and patch"),
            (404, "install the chart bluegreen-crds"),
            (410, ""),
        ] {
            let started = watcher::Error::WatchStartFailed(kube::Error::Api(refused(code)));
            for error in [watcher::Error::WatchError(refused(code)), started] {
                let text = told(error);
                assert!(text.contains("the server's words"), "{text}");
                assert!(text.contains(remedy), "{text}");
            }
        }
        assert!(told(watcher::Error::NoResourceVersion).contains("resourceVersion"));
    }
}
