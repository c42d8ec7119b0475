//! What each verb does to a resource.

mod delete;
mod options;
mod read;
mod render;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

pub(crate) use self::{
    read::{expired_watch, snapshot, too_old},
    render::served,
};
use crate::{
    Registry, Verb,
    catalog::Resource,
    guard,
    object::Scope,
    request::{Form, Query, Target},
    service::Reply,
    status::ApiError,
};

/// A request for a resource, read completely.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) verb: Verb,
    pub(crate) resource: Arc<Resource>,
    pub(crate) target: Target,
    pub(crate) query: Query,
    pub(crate) form: Form,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// A read sees the state of so many writes ago.
    pub(crate) stale: usize,
    /// Whether it comes from the controller that a status is reserved for.
    pub(crate) by_controller: bool,
}

impl Call {
    /// The resource as fault switches name it: `samples` or `samples/status`.
    pub(crate) fn fault_resource(&self) -> String {
        match self.target.subresource.as_str() {
            "" => self.target.plural.clone(),
            subresource => format!("{}/{subresource}", self.target.plural),
        }
    }

    /// The name in the path or, for a creation, in the body.
    pub(crate) fn object_name(&self) -> String {
        if self.verb != Verb::Create {
            return self.target.name.clone();
        }
        serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|object| Some(object["metadata"]["name"].as_str()?.to_owned()))
            .unwrap_or_default()
    }

    fn scope(&self) -> Scope {
        if self.target.subresource == "status" {
            Scope::Status
        } else {
            Scope::Main
        }
    }

    fn is_dry_run(&self) -> bool {
        self.query.get("dryRun") == Some("All")
    }
}

/// Carries a request out.
pub(crate) fn answer(registry: &Registry, call: &Call) -> Result<Reply, ApiError> {
    options::check(call)?;
    guard::check(registry, call)?;
    match call.verb {
        Verb::Get => read::get(registry, call),
        Verb::List => read::list(registry, call),
        Verb::Watch => read::watch(registry, call),
        Verb::Create => write::create(registry, call),
        Verb::Update => write::update(registry, call),
        Verb::Patch => write::patch(registry, call),
        Verb::Delete => delete::one(registry, call),
        Verb::DeleteCollection => delete::many(registry, call),
    }
}
