//! Zero-drop releases of applications on EC2 behind an Elastic Load Balancer, driven from
//! Kubernetes.
//!
//! Read order: `docs/architecture.md`, then `controller/reconcile.rs`, then `plan/mod.rs`.

pub mod api;
pub mod cloud;
pub mod controller;
pub mod plan;
pub mod web;
