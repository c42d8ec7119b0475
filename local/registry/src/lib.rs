//! An embedded Kubernetes registry: the part of the Kubernetes API that a controller and its
//! users need, in one process and without a cluster.
//!
//! It serves CustomResourceDefinitions, the kinds that they define, Namespaces, Leases, Events and
//! ControllerRevisions. `kubectl` and unmodified controllers work against it: discovery, OpenAPI,
//! lists and watches, validation with CEL rules, the status subresource, finalizers, garbage
//! collection of owned objects, tables.
//!
//! **It is not a general Kubernetes API server.** There are no Pods, no nodes, no users and roles
//! (one token opens everything; a second one can reserve a status for a controller), no admission
//! webhooks, no conversion between versions beyond the version's name. It knows nothing of any
//! particular custom resource.
//!
//! [`Registry`] is a service first: tests mount it in memory under tokio's paused clock, as in
//! `kube::Client::new(registry, "default")`. [`serve`] puts it behind a loopback listener.

mod auth;
mod catalog;
mod crd;
mod depth;
mod discovery;
mod faults;
mod field_error;
mod guard;
mod handlers;
mod object;
mod openapi;
mod patch;
mod protobuf;
mod registry;
mod request;
mod schema;
mod selector;
mod server;
mod service;
mod status;
mod store;
mod table;
mod watch;

pub use auth::kubeconfig;
pub use faults::{Effect, Fault, Faults, Verb};
pub use guard::StatusGuard;
pub use registry::{Builder, Registry};
pub use server::{ServeError, serve};
pub use service::{Body, Disconnected};
pub use store::StoreError;
