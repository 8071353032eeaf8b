//! The memory of `ClientToken`s: a repeat of a call within a day gets the first answer.
//!
//! Guarantee: a create or update that was written is remembered even when the process died right after, because the
//! record itself carries the token. A deletion repeated over such a crash finds nothing, which means the same.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::error::ApiError;
use super::model::{TOKEN_MEMORY, TokenUse};
use crate::state::{StateDb, StateError};

const ROOM: &str = "scheduler.tokens";

#[derive(Debug, Default)]
pub(super) struct Tokens {
    known: HashMap<String, TokenUse>,
    by_age: BTreeSet<(DateTime<Utc>, String)>,
}

impl Tokens {
    pub(super) fn load(state: &StateDb) -> Result<Self, StateError> {
        let mut tokens = Self::default();
        for (key, document) in state.list(ROOM)? {
            let used: TokenUse = serde_json::from_value(document)?;
            tokens.insert(key, used);
        }
        Ok(tokens)
    }

    /// What this call was answered before; `None` when it is new.
    pub(super) fn answered(&self, call: &TokenUse) -> Result<Option<String>, ApiError> {
        let earlier = self.known.get(&key(call)).filter(|earlier| call.at - earlier.at < TOKEN_MEMORY);
        match earlier {
            None => Ok(None),
            Some(earlier) if earlier.digest == call.digest => Ok(Some(earlier.arn.clone())),
            Some(_) => {
                Err(ApiError::Conflict("The ClientToken was already used with different parameters.".to_owned()))
            }
        }
    }

    /// Remembers a call that was carried out, and forgets those of yesterday.
    pub(super) fn remember(&mut self, state: &StateDb, call: &TokenUse) -> Result<(), StateError> {
        while let Some((at, _)) = self.by_age.first()
            && call.at - *at >= TOKEN_MEMORY
            && let Some((_, old)) = self.by_age.pop_first()
        {
            self.known.remove(&old);
            state.delete(ROOM, &old)?;
        }
        let key = key(call);
        if self.known.get(&key) != Some(call) {
            state.put(ROOM, &key, &serde_json::to_value(call)?)?;
            self.insert(key, call.clone());
        }
        Ok(())
    }

    fn insert(&mut self, key: String, used: TokenUse) {
        if let Some(earlier) = self.known.get(&key) {
            self.by_age.remove(&(earlier.at, key.clone()));
        }
        self.by_age.insert((used.at, key.clone()));
        self.known.insert(key, used);
    }
}

fn key(call: &TokenUse) -> String {
    format!("{}/{}", call.operation, call.token)
}
