//! Whether objects are as today's Kubernetes knows them. The server of these tests is older than
//! those that the project is made for, and silently drops fields which it does not know.

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Asserts that nothing in an object is unknown to the newest API that this project is built with.
pub(super) fn known(object: &Value) {
    match object["kind"].as_str().unwrap_or_default() {
        "ClusterRole" => same::<ClusterRole>(object),
        "ClusterRoleBinding" => same::<ClusterRoleBinding>(object),
        "ConfigMap" => same::<ConfigMap>(object),
        "Deployment" => same::<Deployment>(object),
        "NetworkPolicy" => same::<NetworkPolicy>(object),
        "PodDisruptionBudget" => same::<PodDisruptionBudget>(object),
        "Role" => same::<Role>(object),
        "RoleBinding" => same::<RoleBinding>(object),
        "Service" => same::<Service>(object),
        "ServiceAccount" => same::<ServiceAccount>(object),
        "ValidatingAdmissionPolicy" => same::<ValidatingAdmissionPolicy>(object),
        "ValidatingAdmissionPolicyBinding" => same::<ValidatingAdmissionPolicyBinding>(object),
        // Compared with crds/ elsewhere, and not Kubernetes' own.
        "CustomResourceDefinition" | "PrometheusRule" | "ServiceMonitor" => {}
        other => panic!("no type is known for {other}"),
    }
}

/// Reads and writes it: what the type does not know is lost on the way.
fn same<T: DeserializeOwned + Serialize>(object: &Value) {
    let read: T = serde_json::from_value(object.clone())
        .unwrap_or_else(|error| panic!("{}: {error}", object["kind"]));
    let written = serde_json::to_value(read).unwrap();
    assert_eq!(&written, object, "{}", object["kind"]);
}
