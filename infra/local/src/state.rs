//! What the local stack must not forget when it is killed: one SQLite file of JSON documents in named rooms.
//!
//! Guarantee: a write that returned survives `kill -9` (SQLite's write-ahead log). It knows nothing of what it keeps.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

/// A failed read or write of the state file.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// SQLite refused.
    #[error("failed to use the local state file")]
    Sqlite(#[from] rusqlite::Error),
    /// A document was not the JSON it was written as.
    #[error("a document in the local state file is not JSON")]
    Json(#[from] serde_json::Error),
}

/// Documents by room and key. Clones share one connection.
#[derive(Debug, Clone)]
pub struct StateDb {
    connection: Arc<Mutex<Connection>>,
}

impl StateDb {
    /// Opens or creates the file at `path`.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        Self::prepare(Connection::open(path)?)
    }

    /// A state that goes with the process.
    pub fn memory() -> Result<Self, StateError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(connection: Connection) -> Result<Self, StateError> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS documents (
                 room TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (room, key)
             ) WITHOUT ROWID;",
        )?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `body` under `room` and `key`, replacing what was there.
    pub fn put(&self, room: &str, key: &str, body: &Value) -> Result<(), StateError> {
        self.connection().execute(
            "INSERT INTO documents (room, key, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (room, key) DO UPDATE SET body = excluded.body",
            params![room, key, body.to_string()],
        )?;
        Ok(())
    }

    /// Writes `body` only where nothing stood; tells whether it did.
    pub fn put_new(&self, room: &str, key: &str, body: &Value) -> Result<bool, StateError> {
        let written = self.connection().execute(
            "INSERT OR IGNORE INTO documents (room, key, body) VALUES (?1, ?2, ?3)",
            params![room, key, body.to_string()],
        )?;
        Ok(written == 1)
    }

    /// The document under `room` and `key`.
    pub fn get(&self, room: &str, key: &str) -> Result<Option<Value>, StateError> {
        let body: Option<String> = self
            .connection()
            .query_row("SELECT body FROM documents WHERE room = ?1 AND key = ?2", params![room, key], |row| row.get(0))
            .optional()?;
        Ok(body.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Removes a document; tells whether there was one.
    pub fn delete(&self, room: &str, key: &str) -> Result<bool, StateError> {
        let removed =
            self.connection().execute("DELETE FROM documents WHERE room = ?1 AND key = ?2", params![room, key])?;
        Ok(removed == 1)
    }

    /// Every document of `room`, by key.
    pub fn list(&self, room: &str) -> Result<Vec<(String, Value)>, StateError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare_cached("SELECT key, body FROM documents WHERE room = ?1 ORDER BY key")?;
        let rows =
            statement.query_map(params![room], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let mut documents = Vec::new();
        for row in rows {
            let (key, body) = row?;
            documents.push((key, serde_json::from_str(&body)?));
        }
        Ok(documents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_survives_reopening_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        StateDb::open(&path).unwrap().put("timers", "a", &json!({"at": 1})).unwrap();
        let again = StateDb::open(&path).unwrap();
        assert_eq!(again.get("timers", "a").unwrap(), Some(json!({"at": 1})));
        assert!(!again.put_new("timers", "a", &json!({})).unwrap());
        assert_eq!(again.list("timers").unwrap().len(), 1);
        assert!(again.delete("timers", "a").unwrap());
        assert!(again.list("timers").unwrap().is_empty());
    }
}
