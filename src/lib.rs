//! Zero-drop releases of applications on EC2 behind an Elastic Load Balancer, driven from
//! Kubernetes.
//!
//! Read order: `docs/architecture.md`, then `controller/reconcile.rs`, then `plan/lib.rs`.

pub use bluegreen_api as api;
pub use bluegreen_plan as plan;

mod causes;
pub mod cloud;
pub mod controller;
pub mod telemetry;
pub mod web;
