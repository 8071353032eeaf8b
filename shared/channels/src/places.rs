//! Places that were looked up, as long as a channel is open: a long answer asks once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What the far side calls them, by target.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<BTreeMap<String, String>>);

impl Places {
    pub(crate) fn get(&self, to: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(to).cloned()
    }

    pub(crate) fn keep(&self, to: &str, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(to.to_owned(), id.to_owned());
    }
}
