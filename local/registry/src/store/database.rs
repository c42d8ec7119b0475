//! The SQLite file behind the store.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use rusqlite::{Connection, params};
use serde_json::Value;

use super::{Change, Key, Object, StoreError};

/// Kept in the file's `user_version`. A change to the tables raises it and adds a migration.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE objects (
        resource  TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name      TEXT NOT NULL,
        body      TEXT NOT NULL,
        PRIMARY KEY (resource, namespace, name)
    ) WITHOUT ROWID;
    CREATE TABLE counter (version INTEGER NOT NULL);
    INSERT INTO counter VALUES (1);
";

/// The file, or its like in memory.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
}

impl Database {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, StoreError> {
        let connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        // The lock is held for as long as the registry lives, so a second one on the same file
        // fails at its start instead of overwriting what this one stored.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // An answered write must survive a power cut, as it does with etcd.
        connection.pragma_update(None, "synchronous", "FULL")?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match found {
            0 => {
                let script =
                    format!("BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;");
                connection.execute_batch(&script)?;
            }
            SCHEMA_VERSION => {}
            found => {
                return Err(StoreError::TooNew {
                    found,
                    known: SCHEMA_VERSION,
                });
            }
        }
        Ok(Self { connection })
    }

    pub(super) fn load(&self) -> Result<(u64, BTreeMap<Key, Object>), StoreError> {
        let version: i64 = self
            .connection
            .query_row("SELECT version FROM counter", [], |row| row.get(0))?;
        let mut statement = self
            .connection
            .prepare("SELECT resource, namespace, name, body FROM objects")?;
        let mut rows = statement.query([])?;
        let mut objects = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let resource: String = row.get(0)?;
            let body: String = row.get(3)?;
            let key = Key {
                resource: resource.into(),
                namespace: row.get(1)?,
                name: row.get(2)?,
            };
            let object: Value = serde_json::from_str(&body)?;
            objects.insert(key, Arc::new(object));
        }
        Ok((u64::try_from(version).unwrap_or_default(), objects))
    }

    /// Writes the changes and returns how many bytes the object of each has.
    pub(super) fn write(
        &mut self,
        version: u64,
        changes: &[Change],
    ) -> Result<Vec<usize>, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut sizes = Vec::with_capacity(changes.len());
        {
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4)")?;
            let mut remove = transaction.prepare_cached(
                "DELETE FROM objects WHERE resource = ?1 AND namespace = ?2 AND name = ?3",
            )?;
            for change in changes {
                let key = &change.key;
                let resource = key.resource.as_ref();
                let object = change.after.as_ref().or(change.before.as_ref());
                let body = object.map(ToString::to_string).unwrap_or_default();
                sizes.push(body.len());
                match &change.after {
                    Some(_) => put.execute(params![resource, key.namespace, key.name, body])?,
                    None => remove.execute(params![resource, key.namespace, key.name])?,
                };
            }
            let version = i64::try_from(version).expect("versions count single writes");
            transaction
                .prepare_cached("UPDATE counter SET version = ?1")?
                .execute(params![version])?;
        }
        transaction.commit()?;
        Ok(sizes)
    }
}
