//! What the controller does with arguments and variables that it cannot use.

use std::process::{Command, Output};

/// The exit code and all that was said.
fn ended(variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_bluegreen-controller"))
        .env_clear()
        // With a cluster it would not end.
        .env("KUBECONFIG", "/nowhere")
        .envs(variables.iter().copied())
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.code(), said)
}

#[test]
fn a_url_that_is_none_is_refused_before_anything_is_done() {
    let (code, said) = ended(&[], &["--otlp-endpoint", "collector:4318"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--otlp-endpoint"), "{said}");
    assert!(said.contains("as in http://collector"), "{said}");
}

#[test]
fn a_password_in_the_url_is_refused_and_not_repeated() {
    let url = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:secret@collector")];
    for arguments in [&[][..], &["--help"]] {
        let (_, said) = ended(&url, arguments);
        assert!(said.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn a_lease_of_no_whole_seconds_or_no_bearable_length_is_refused() {
    for (time, says) in [
        ("10s999ms", "whole seconds"),
        ("600s999ms", "whole seconds"),
        ("9s", "from 10s to 10m"),
        ("601s", "from 10s to 10m"),
        ("soon", "from 10s to 10m"),
    ] {
        let (code, said) = ended(&[], &["--lease-duration", time]);
        assert_eq!(code, Some(2), "{time}: {said}");
        assert!(said.contains("--lease-duration"), "{time}: {said}");
        assert!(said.contains(says), "{time}: {said}");
        assert!(said.contains("as in 15s"), "{time}: {said}");
    }
    for time in ["10s", "10m"] {
        let (_, said) = ended(&[], &["--lease-duration", time]);
        assert!(said.contains("no usable kubeconfig"), "{time}: {said}");
    }
}

#[test]
fn ranges_of_probes_that_are_none_are_refused() {
    for ranges in ["10.0.0.0", "10.0.0.1/8", "10.0.0.0/8,", "vpc"] {
        let (code, said) = ended(&[], &["--probe-cidrs", ranges]);
        assert_eq!(code, Some(2), "{ranges}: {said}");
        assert!(said.contains("--probe-cidrs"), "{ranges}: {said}");
        assert!(said.contains("as 10.0.0.0/8"), "{ranges}: {said}");
    }
    for ranges in ["", "10.20.0.0/16,fd12:3456::/32"] {
        let (_, said) = ended(&[], &["--probe-cidrs", ranges]);
        assert!(said.contains("no usable kubeconfig"), "{ranges}: {said}");
    }
}

#[test]
fn a_filter_of_the_log_that_cannot_be_read_is_said_and_has_no_effect() {
    let (code, said) = ended(&[("RUST_LOG", "bluegreen=loud")], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("RUST_LOG cannot be read"), "{said}");
    assert!(said.contains("no usable kubeconfig"), "{said}");
    let (_, said) = ended(&[("RUST_LOG", "")], &[]);
    assert!(!said.contains("RUST_LOG"), "{said}");
}
