//! The registry itself: its state, and how it is made.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bluegreen_net::Clock;
use jiff::{Timestamp, Unit};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    auth::Tokens,
    catalog::{Catalog, Resource},
    faults::Faults,
    guard::StatusGuard,
    object::Writer,
    status::ApiError,
    store::{Limits, Store, StoreError},
};

/// How many changes a registry remembers for watches unless it is told otherwise. A client that
/// is further behind lists again. Ten thousand changes of a few kilobytes each are small beside
/// the process, and more than a client misses in a reconnect.
const HISTORY: usize = 10_000;

/// How many bytes of objects, as JSON, the history may hold unless the registry is told otherwise.
/// In memory they take a few times as much, and so stay well below what a small machine has.
const HISTORY_BYTES: usize = 32 * 1024 * 1024;

/// The namespaces that are there from the start.
const NAMESPACES: [&str; 2] = ["default", "kube-system"];

/// Under which name definitions are stored.
const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// A Kubernetes API with its data. Clones share it.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    clock: Clock,
    token: Option<String>,
    status_guard: Option<StatusGuard>,
    faults: Faults,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    catalog: Arc<Catalog>,
    random: StdRng,
}

/// What a registry is made with.
#[derive(Debug)]
pub struct Builder {
    clock: Clock,
    token: Option<String>,
    status_guard: Option<StatusGuard>,
    limits: Limits,
    seed: Option<u64>,
}

impl Builder {
    /// The bearer token that every request must carry. Without one everyone may call, which is
    /// for registries that are mounted in memory.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Reserves the status of one resource for a controller. Without it every caller may write it.
    #[must_use]
    pub fn guard_status(mut self, guard: StatusGuard) -> Self {
        self.status_guard = Some(guard);
        self
    }

    /// How many changes are remembered for watches; at least one. The default is 10 000.
    #[must_use]
    pub fn history(mut self, changes: usize) -> Self {
        self.limits.changes = changes.max(1);
        self
    }

    /// How many bytes of objects, as JSON, are remembered for watches. The default is 32 MiB.
    #[must_use]
    pub fn history_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Makes uids and generated names the same in every run.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// A registry whose data ends with the process.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn in_memory(self) -> Result<Registry, StoreError> {
        self.build(None)
    }

    /// A registry whose data lives in a file, which is created where it is absent. One process
    /// can have it open at a time.
    ///
    /// # Errors
    /// When the file cannot be opened or read, or belongs to a later release.
    pub fn open(self, path: &Path) -> Result<Registry, StoreError> {
        self.build(Some(path))
    }

    fn build(self, path: Option<&Path>) -> Result<Registry, StoreError> {
        let store = Store::open(path, self.limits)?;
        let random = match self.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_rng(&mut rand::rng()),
        };
        let catalog = Arc::new(catalog_of(&store));
        let registry = Registry {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    store,
                    catalog,
                    random,
                }),
                clock: self.clock,
                token: self.token,
                status_guard: self.status_guard,
                faults: Faults::default(),
            }),
        };
        registry.create_namespaces()?;
        Ok(registry)
    }
}

impl Registry {
    /// Starts making a registry whose timestamps come from `clock`.
    #[must_use]
    pub fn builder(clock: Clock) -> Builder {
        Builder {
            clock,
            token: None,
            status_guard: None,
            limits: Limits {
                changes: HISTORY,
                bytes: HISTORY_BYTES,
            },
            seed: None,
        }
    }

    /// The fault switches. None is set at first.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Forgets the history, so that watches from the past are answered 410, as after a long time.
    pub fn compact(&self) {
        self.lock().store.compact();
    }

    pub(crate) fn tokens(&self) -> Tokens<'_> {
        Tokens {
            administrator: self.shared.token.as_deref(),
            controller: self.status_guard().map(|guard| guard.token.as_str()),
        }
    }

    pub(crate) fn status_guard(&self) -> Option<&StatusGuard> {
        self.shared.status_guard.as_ref()
    }

    /// The time, to the second as objects have it.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.shared.clock.now();
        now.round(Unit::Second).unwrap_or(now)
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.lock().catalog)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A transaction changes the state in one step at its end, so a panic leaves it whole.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` as one transaction on a resource. With `dry_run` nothing is stored.
    ///
    /// The disk is written while the lock is held: there is one writer, and an answer must not
    /// be given before the write is safe.
    pub(crate) fn write<T>(
        &self,
        resource: &Resource,
        dry_run: bool,
        work: impl FnOnce(&mut Writer<'_>, &Resource) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let now = self.now().to_string();
        let mut state = self.lock();
        let State {
            store,
            catalog,
            random,
        } = &mut *state;
        // The definition may have changed, or gone, since the request was routed.
        let resource = catalog
            .find(&resource.group, &resource.version, &resource.plural)
            .cloned()
            .ok_or_else(ApiError::no_such_path)?;
        let mut writer = Writer {
            transaction: store.begin(),
            catalog: Arc::clone(catalog),
            now,
            random,
        };
        let answer = work(&mut writer, &resource)?;
        if dry_run {
            return Ok(answer);
        }
        writer.settle()?;
        let transaction = writer.transaction;
        let definitions_changed = transaction
            .touched()
            .any(|key| *key.resource == *DEFINITIONS);
        transaction.commit().map_err(|error| {
            tracing::error!(%error, "a write was not stored");
            ApiError::internal(&error)
        })?;
        if definitions_changed {
            *catalog = Arc::new(catalog_of(store));
        }
        Ok(answer)
    }

    fn create_namespaces(&self) -> Result<(), StoreError> {
        let catalog = self.catalog();
        let namespaces = catalog
            .find("", "v1", "namespaces")
            .expect("namespaces are built in");
        for name in NAMESPACES {
            let object = json!({"apiVersion": "v1", "kind": "Namespace",
                                "metadata": {"name": name}});
            let key = Writer::key(namespaces, "", name);
            if self.lock().store.get(&key).is_none() {
                self.write(namespaces, false, |writer, resource| {
                    writer.create(resource, "", object)
                })
                .expect("the namespaces are valid and absent");
            }
        }
        Ok(())
    }
}

fn catalog_of(store: &Store) -> Catalog {
    let resource: Arc<str> = DEFINITIONS.into();
    let definitions: Vec<Arc<Value>> = store
        .list(&resource, "")
        .map(|(_, object)| Arc::clone(object))
        .collect();
    Catalog::new(definitions.iter().map(AsRef::as_ref))
}
