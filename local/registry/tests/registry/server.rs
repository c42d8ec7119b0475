//! The registry over a real socket.

use bluegreen_net::Clock;
use bluegreen_registry::{Registry, ServeError, kubeconfig, serve};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    api::{PostParams, WatchEvent, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tokio::{net::TcpListener, sync::oneshot};

fn registry() -> Registry {
    let builder = Registry::builder(Clock::stepped()).token("s3cret");
    builder.in_memory().unwrap()
}

#[tokio::test]
async fn only_loopback_is_served() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = serve(listener, registry(), async {}).await.unwrap_err();
    assert!(matches!(error, ServeError::NotLoopback(_)), "{error}");
}

#[tokio::test]
async fn clients_use_a_kubeconfig_or_a_header_and_watches_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(serve(listener, registry(), async {
        let _ = stopped.await;
    }));

    let yaml = kubeconfig(&server, "s3cret", "default");
    let config = Kubeconfig::from_yaml(&yaml).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(config, &options)
        .await
        .unwrap();
    let namespaces: Api<Namespace> = Api::all(Client::try_from(config).unwrap());
    let mut watch = namespaces
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    let games = serde_json::from_value(json!({"metadata": {"name": "games"}})).unwrap();
    namespaces
        .create(&PostParams::default(), &games)
        .await
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        if let WatchEvent::Added(namespace) = watch.next().await.unwrap().unwrap() {
            seen.push(namespace.metadata.name.unwrap());
        }
    }
    assert_eq!(seen, ["default", "kube-system", "games"]);

    let mut config = Config::new(server.parse().unwrap());
    let nobody: Api<Namespace> = Api::all(Client::try_from(config.clone()).unwrap());
    let error = nobody.list(&Default::default()).await.unwrap_err();
    assert!(error.to_string().contains("system:anonymous"), "{error}");
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
    config.headers = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name?, value)))
        .collect();
    let holder: Api<Namespace> = Api::all(Client::try_from(config).unwrap());
    assert_eq!(
        holder.list(&Default::default()).await.unwrap().items.len(),
        3
    );

    // The watch is still open; the server ends all the same.
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}
