//! What a pod may be under Pod Security's level `restricted`, as its documentation lists it.

use serde_json::Value;

/// The kinds of volume that the level knows.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Asserts that a pod's spec satisfies the level, and that its root is not written to.
pub(super) fn restricted(pod: &Value) {
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        assert_ne!(pod[host], true, "{host}");
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let mut kinds = volume.as_object().unwrap().keys();
        let known = |kind: &String| kind == "name" || VOLUMES.contains(&kind.as_str());
        assert!(kinds.all(known), "{volume}");
    }
    let everywhere = &pod["securityContext"];
    for container in pod["containers"].as_array().unwrap() {
        let own = &container["securityContext"];
        let either = |name: &str| {
            if own[name].is_null() {
                &everywhere[name]
            } else {
                &own[name]
            }
        };
        assert_eq!(either("runAsNonRoot"), true);
        assert!(either("runAsUser").as_u64().is_some_and(|user| user > 0));
        assert_eq!(either("seccompProfile")["type"], "RuntimeDefault");
        assert_eq!(own["allowPrivilegeEscalation"], false);
        assert_ne!(own["privileged"], true);
        assert_eq!(own["capabilities"]["drop"], serde_json::json!(["ALL"]));
        assert!(own["capabilities"]["add"].is_null());
        for port in container["ports"].as_array().into_iter().flatten() {
            assert!(port["hostPort"].is_null());
        }
        // This is more than the level asks for.
        assert_eq!(own["readOnlyRootFilesystem"], true);
    }
}
