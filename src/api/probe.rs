//! Where the application says how many requests are in flight.
//!
//! A figure is named, not computed: a JSON Pointer or the labels of a Prometheus sample. A language
//! here would let each writer of releases use the memory and the time of the controller.

use std::{borrow::Cow, collections::BTreeMap};

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::Duration;

/// Stands for the target's own port, in a path and in a port.
const PORT: &str = "{{port}}";

/// Stands for the port on which the application's process listens.
const APPLICATION_PORT: &str = "{{applicationPort}}";

/// The application's own figures of requests in flight and served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InFlight {
    /// Ask over HTTP.
    pub http: HttpProbe,

    /// How long both figures must be quiet (in-flight zero, served unchanged) before the drain
    /// is proven. The time begins after settle. Default: 10s.
    #[serde(default = "ten_seconds")]
    pub quiet_for: Duration,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// HTTP endpoints of the application, asked with GET on the instance's private address. The
/// address must be in one of the controller's `--probe-cidrs`. Both answers together must come
/// within 2s. Each must be a 200 of at most 1 MiB, not compressed, with a Content-Length or in
/// chunks, and no redirect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpProbe {
    /// The port: a number (`9404`), or digits around `{{port}}`, the target's own port, or around
    /// `{{applicationPort}}`, the port of `fleet.hosts.applicationPorts` that belongs to it: with
    /// `1{{port}}` the target on 8080 is asked on 18080 and the one on 8081 on 18081. Default:
    /// `{{applicationPort}}`, which is the target's own port where `applicationPorts` is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<ProbePort>,

    /// The number of requests in flight. The probe's own request and health checks must not count.
    pub in_flight: Figure,

    /// The number of requests served since the start of the process. A gauge alone misses a short
    /// request between two readings. The probe's own requests and health checks must not count.
    pub served: Figure,
}

impl HttpProbe {
    /// The port to ask for a target on `own`.
    ///
    /// # Errors
    /// When that is no port, in words for a person.
    pub fn port_of(&self, own: u16) -> Result<u16, String> {
        self.port.as_ref().map_or(Ok(own), |port| port.of(own))
    }

    /// The same probe for a target whose application listens on `port`: `{{applicationPort}}` is
    /// filled in, and it is the port to ask where none is given.
    #[must_use]
    pub fn of_application(&self, port: u16) -> Self {
        Self {
            port: Some(match &self.port {
                None => ProbePort::Number(port),
                Some(ProbePort::Number(given)) => ProbePort::Number(*given),
                Some(ProbePort::OfTarget(text)) => ProbePort::OfTarget(filled(text, port)),
            }),
            in_flight: self.in_flight.of_application(port),
            served: self.served.of_application(port),
        }
    }
}

fn filled(text: &str, port: u16) -> String {
    text.replace(APPLICATION_PORT, &port.to_string())
}

/// A number, and where it is found: by exactly one of `pointer` and `sample`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.pointer) != has(self.sample)").message("name the figure by exactly one of pointer (into JSON) and sample (of Prometheus)"),
)]
pub struct Figure {
    /// The path, beginning with a slash, with a query if needed. `{{port}}` stands for the target's
    /// own port, `{{applicationPort}}` for the application's. A path that both figures name is asked
    /// once.
    #[schemars(length(max = 512), regex(pattern = r#"^/[!"$-~]*$"#))]
    pub path: String,

    /// Where the number is in a JSON body, as a JSON Pointer (RFC 6901): `/inFlight`, or
    /// `/measurements/0/value` in Spring's `/actuator/metrics/...`. At most 16 steps; `~1` stands
    /// for a slash and `~0` for a tilde in a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        regex(pattern = r"^(/([^~/\x00-\x1F]|~[01])*){0,16}$")
    )]
    pub pointer: Option<String>,

    /// Which samples of a Prometheus body make the number: their sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
}

impl Figure {
    /// The path to ask for a target on `own`.
    #[must_use]
    pub fn path_of(&self, own: u16) -> Cow<'_, str> {
        if self.path.contains(PORT) {
            Cow::Owned(self.path.replace(PORT, &own.to_string()))
        } else {
            Cow::Borrowed(&self.path)
        }
    }

    fn of_application(&self, port: u16) -> Self {
        let sample = self.sample.as_ref().map(|sample| {
            let labels = sample.labels.iter();
            Sample {
                labels: labels
                    .map(|(name, value)| (name.clone(), filled(value, port)))
                    .collect(),
                ..sample.clone()
            }
        });
        Self {
            path: filled(&self.path, port),
            pointer: self.pointer.clone(),
            sample,
        }
    }
}

/// Samples of Prometheus' text format. At least one must have the name and the labels; where
/// `except` leaves none of them, the sum is 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sample {
    /// The sample's name, as it is written in the body: `http_server_requests_seconds_count`.
    #[schemars(length(max = 256), regex(pattern = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"))]
    pub name: String,

    /// Labels that a sample must have, each with exactly this value. `{{port}}` stands for the
    /// target's own port, `{{applicationPort}}` for the application's: `name: http-nio-{{port}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub labels: BTreeMap<String, String>,

    /// Samples to leave out: those whose label has one of these values, as the health check's
    /// and the probe's own in `uri: [/actuator/health, /actuator/prometheus]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "except")]
    pub except: BTreeMap<String, Vec<String>>,
}

impl Sample {
    /// The labels that a sample must have for a target on `own`.
    #[must_use]
    pub fn labels_of(&self, own: u16) -> BTreeMap<&str, Cow<'_, str>> {
        let filled = |value: &String| value.replace(PORT, &own.to_string());
        self.labels
            .iter()
            .map(|(name, value)| (name.as_str(), Cow::Owned(filled(value))))
            .collect()
    }
}

/// The length of a map's keys cannot be limited by a schema without a rule.
fn map_of(values: &Schema) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": values,
        "x-kubernetes-validations": [{
            "rule": "self.all(name, name.size() >= 1 && name.size() <= 128)",
            "message": "the name of a label has 1 to 128 characters",
        }],
    })
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    map_of(&json_schema!({ "type": "string", "maxLength": 256 }))
}

fn except(_: &mut SchemaGenerator) -> Schema {
    map_of(&json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "items": { "type": "string", "maxLength": 256 },
    }))
}

/// A number, or digits around `{{port}}` or `{{applicationPort}}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProbePort {
    /// The same for every target.
    Number(u16),
    /// Made of the target's own, as `1{{port}}`.
    OfTarget(String),
}

impl ProbePort {
    fn of(&self, own: u16) -> Result<u16, String> {
        let text = match self {
            Self::Number(0) => return Err("port 0 is not a port; give 1 to 65535".to_owned()),
            Self::Number(port) => return Ok(*port),
            Self::OfTarget(text) => text.replace(PORT, &own.to_string()),
        };
        match text.parse() {
            Ok(port) if port > 0 => Ok(port),
            Ok(_) | Err(_) => Err(format!(
                "it is {text} for the target on port {own}, which is not a port; choose \
                 digits around {PORT} that make a number from 1 to 65535"
            )),
        }
    }
}

impl Serialize for ProbePort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(port) => serializer.serialize_u16(*port),
            Self::OfTarget(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for ProbePort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum IntOrString {
            Int(u16),
            String(String),
        }
        match IntOrString::deserialize(deserializer)? {
            IntOrString::Int(port) => Ok(Self::Number(port)),
            IntOrString::String(text) if is_made_of_the_port(&text) => Ok(Self::OfTarget(text)),
            IntOrString::String(text) => Err(D::Error::custom(format!(
                "{text:?} is not a port; write a number as 9404, or digits around {PORT} as \
                 1{PORT}"
            ))),
        }
    }
}

fn is_made_of_the_port(text: &str) -> bool {
    let digits = |part: &str| part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let around = |name| {
        text.split_once(name)
            .is_some_and(|(before, after): (&str, &str)| {
                digits(before) && digits(after) && !before.starts_with('0')
            })
    };
    around(PORT) || around(APPLICATION_PORT)
}

impl JsonSchema for ProbePort {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ProbePort".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // As for MaxUnavailable, each limit holds for the type that it is for.
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "minimum": 1,
            "maximum": 65535,
            "maxLength": 27,
            "pattern": r"^([1-9][0-9]{0,3})?\{\{(port|applicationPort)\}\}[0-9]{0,4}$"
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn port(value: Value) -> Result<ProbePort, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_port_is_a_number_or_made_of_the_targets_own() {
        for (written, own, asked) in [
            (json!(9404), 8080, 9404),
            (json!("{{port}}"), 8080, 8080),
            (json!("1{{port}}"), 8081, 18081),
            (json!("{{port}}0"), 808, 8080),
        ] {
            let port = port(written.clone()).unwrap();
            assert_eq!(port.of(own), Ok(asked), "{written}");
            assert_eq!(serde_json::to_value(&port).unwrap(), written);
        }
    }

    #[test]
    fn a_text_that_makes_no_port_is_refused() {
        for written in [
            json!("9404"),
            json!("0{{port}}"),
            json!("{{port}}+1"),
            json!("{{port}}{{port}}"),
            json!("-1{{port}}"),
            json!(""),
            json!(65536),
            json!(-1),
        ] {
            assert!(port(written.clone()).is_err(), "{written}");
        }
        let far = port(json!("9{{port}}")).unwrap().of(8080).unwrap_err();
        assert!(far.contains("98080 for the target on port 8080"), "{far}");
    }

    #[test]
    fn the_port_of_the_application_is_asked_and_filled_in() {
        let figure = json!({
            "path": "/busy?of={{applicationPort}}&target={{port}}",
            "sample": { "name": "a", "labels": { "name": "http-nio-{{applicationPort}}" } },
        });
        let mut probe = json!({ "inFlight": figure, "served": figure });
        for (port, asked) in [
            (Value::Null, 8080),
            (json!(9404), 9404),
            (json!("{{port}}"), 80),
            (json!("{{applicationPort}}"), 8080),
            (json!("1{{applicationPort}}"), 18080),
        ] {
            if !port.is_null() {
                probe["port"] = port.clone();
            }
            let probe: HttpProbe = serde_json::from_value(probe.clone()).unwrap();
            let probe = probe.of_application(8080);
            assert_eq!(probe.port_of(80), Ok(asked), "{port}");
            for figure in [&probe.in_flight, &probe.served] {
                assert_eq!(figure.path_of(80), "/busy?of=8080&target=80");
                let sample = figure.sample.as_ref().unwrap();
                assert_eq!(sample.labels_of(80)["name"], "http-nio-8080");
            }
        }
    }

    #[test]
    fn a_path_and_a_label_may_name_the_port() {
        let figure: Figure = serde_json::from_value(json!({
            "path": "/actuator/metrics/tomcat.threads.busy?tag=name:http-nio-{{port}}",
            "sample": { "name": "a", "labels": { "name": "http-nio-{{port}}" } },
        }))
        .unwrap();
        assert_eq!(
            figure.path_of(8081),
            "/actuator/metrics/tomcat.threads.busy?tag=name:http-nio-8081"
        );
        assert_eq!(
            figure.sample.unwrap().labels_of(8081)["name"],
            "http-nio-8081"
        );
    }
}
