//! What a user applies.

use serde_json::{Map, Value, json};

use super::scene::{Fleet, NAME, NEW, OLD, Scene, VERSION_TAG};

/// A manifest of a release.
#[derive(Debug, Clone)]
pub(crate) struct Manifest(pub(crate) Value);

impl Manifest {
    /// The release of the new version in a scene.
    pub(crate) fn of(scene: &Scene) -> Self {
        let groups = scene.group_names();
        let groups: Vec<Value> = groups.iter().map(|name| json!({"name": name})).collect();
        let selector = json!({"tags": {"app": NAME}});
        let fleet = match scene.fleet {
            Fleet::Hosts => json!({"hosts": {
                "selector": selector,
                "ports": scene.ports,
                "start": {"document": "BlueGreen-StartUnit", "parameters": {
                    "unit": "snackgame@{{port}}.service",
                    "version": "{{version}}",
                    "port": "{{port}}",
                    "revision": "{{revision}}",
                    "fence": "{{fence}}",
                }},
                "stop": {"unit": "snackgame@{{port}}.service"},
            }}),
            Fleet::Existing => json!({"existing": {
                "selector": selector,
                "versionTag": VERSION_TAG,
                "port": scene.ports[0],
                "terminate": "Instances",
            }}),
        };
        let manifest = Self(json!({
            "apiVersion": "bluegreen.dev/v1alpha1",
            "kind": "BlueGreenRelease",
            "metadata": {"name": NAME},
            "spec": {
                "version": NEW,
                "traffic": {"registration": {"targetGroups": groups}},
                "fleet": fleet,
            },
        }));
        let manifest = match scene.fleet {
            Fleet::Hosts => manifest.with("adopt.version", json!(OLD)),
            Fleet::Existing => manifest,
        };
        let manifest = if scene.application_ports.is_empty() {
            manifest
        } else {
            let (unit, port) = (
                "snackgame@{{applicationPort}}.service",
                "{{applicationPort}}",
            );
            manifest
                .with(
                    "fleet.hosts.applicationPorts",
                    json!(scene.application_ports),
                )
                .with("fleet.hosts.start.parameters.unit", json!(unit))
                .with("fleet.hosts.start.parameters.port", json!(port))
                .with("fleet.hosts.stop.unit", json!(unit))
        };
        // Longer than any node takes to learn a change.
        let tail = scene.knobs.propagation.tail.as_secs();
        if tail < 40 {
            manifest.with("drain.settle", json!(format!("{}s", tail + 3)))
        } else {
            manifest
        }
    }

    /// With a field of the spec set, as in `drain.onTimeout`.
    pub(crate) fn with(mut self, path: &str, value: Value) -> Self {
        let mut field = &mut self.0["spec"];
        for name in path.split('.') {
            if !field.is_object() {
                *field = Value::Object(Map::new());
            }
            field = &mut field[name];
        }
        *field = value;
        self
    }

    /// With the application's own word on what is in flight, and an early end of the drain.
    pub(crate) fn early_finish(self) -> Self {
        self.with(
            "drain.inFlight",
            json!({
                "http": {
                    "inFlight": {"path": "/drain", "pointer": "/inFlight"},
                    "served": {"path": "/drain", "pointer": "/served"},
                },
                "quietFor": "10s",
            }),
        )
        .with("drain.earlyFinish", json!(true))
    }
}
