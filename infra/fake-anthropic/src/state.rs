//! Everything the fake remembers, as the sum of its journal records.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::bill::{Bill, Tokens};
use crate::cache::{Entry, PromptCache};
use crate::ids::Ids;
use crate::lifecycle::{Batch, Cancel, Planned};
use crate::models::Catalogue;
use crate::script::{CancelKeeps, Script, Target};

/// One line of the journal. Old lines must stay readable: fields are added with a default, never renamed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Record {
    /// The first line: where ids start.
    Opened {
        seed: u64,
    },
    Script(Box<Script>),
    /// A call and all it changed.
    Call(Box<Call>),
    /// A sampling after MCP calls, or the end of a call or a row that made some.
    Went(Box<Went>),
    /// The log was emptied.
    Cleared,
}

/// A call to `/v1/…`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) logged: Logged,
    /// What faults count it as.
    pub(crate) target: Option<Target>,
    /// How many ids have been handed out after it.
    pub(crate) ids: u64,
    pub(crate) effects: Vec<Effect>,
}

/// What happened while MCP tools were called. A call to `/v1/messages` that does so is a [`Call`] without a status first;
/// killed in the middle it stays one, and is not billed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Went {
    pub(crate) at: DateTime<Utc>,
    pub(crate) ids: u64,
    pub(crate) effects: Vec<Effect>,
    /// The request id and the status of the call that is answered now.
    pub(crate) answered: Option<(String, u16)>,
}

/// A call as the log shows it. Credentials are replaced before it gets here.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Logged {
    pub(crate) at: DateTime<Utc>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// The body without insignificant white space; a string when it was not JSON; null when there was none.
    pub(crate) body: Box<RawValue>,
    /// The status of the answer; none when the connection was dropped.
    pub(crate) status: Option<u16>,
    /// The fault that struck, by name.
    pub(crate) fault: Option<String>,
    #[serde(default)]
    pub(crate) request_id: String,
}

/// What a call changes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Effect {
    Created(Box<Batch>),
    Cancelled {
        id: String,
        cancel: Cancel,
    },
    Deleted {
        id: String,
    },
    /// How often each scripted reply has answered by now.
    Replied(Vec<u32>),
    Billed {
        model: String,
        tokens: Tokens,
    },
    /// Replayed thinking that was left out because its prefix had changed.
    Dropped {
        blocks: u64,
    },
    /// Beginnings of prompts that were read or written, and are in the cache from now on.
    Kept(Vec<Entry>),
    /// The MCP calls of a batch's row are about to be made.
    LoopBegun {
        id: String,
        index: usize,
    },
    LoopEnded {
        id: String,
        index: usize,
        planned: Planned,
    },
}

/// The present state.
#[derive(Debug)]
pub(crate) struct State {
    seed: u64,
    next_id: u64,
    pub(crate) script: Script,
    pub(crate) catalogue: Catalogue,
    pub(crate) uses: Vec<u32>,
    pub(crate) prompts: PromptCache,
    calls: BTreeMap<Target, u64>,
    log: Vec<Logged>,
    /// Oldest first.
    batches: Vec<Batch>,
    /// Realtime messages, and batches that were deleted.
    billed: Bill,
    pub(crate) dropped: u64,
}

impl State {
    pub(crate) fn new() -> Self {
        let script = Script::default();
        let catalogue = Catalogue::new(&script.models);
        Self {
            seed: 0,
            next_id: 0,
            script,
            catalogue,
            uses: Vec::new(),
            prompts: PromptCache::default(),
            calls: BTreeMap::new(),
            log: Vec::new(),
            batches: Vec::new(),
            billed: Bill::default(),
            dropped: 0,
        }
    }

    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Opened { seed } => self.seed = seed,
            Record::Script(script) => {
                self.catalogue = Catalogue::new(&script.models);
                self.uses = vec![0; script.replies.len()];
                self.calls.clear();
                self.script = *script;
            }
            Record::Call(call) => {
                self.next_id = call.ids;
                if let Some(target) = call.target {
                    *self.calls.entry(target).or_default() += 1;
                }
                for effect in call.effects {
                    self.take(effect, call.logged.at);
                }
                self.log.push(call.logged);
            }
            Record::Went(went) => {
                self.next_id = went.ids;
                for effect in went.effects {
                    self.take(effect, went.at);
                }
                if let Some((request_id, status)) = went.answered
                    && let Some(logged) = self.log.iter_mut().rfind(|logged| logged.request_id == request_id)
                {
                    logged.status = Some(status);
                }
            }
            Record::Cleared => self.log.clear(),
        }
    }

    fn take(&mut self, effect: Effect, at: DateTime<Utc>) {
        match effect {
            Effect::Created(batch) => self.batches.push(*batch),
            Effect::Cancelled { id, cancel } => {
                let read_at = self.batches.iter().find(|batch| batch.id == id).map(Batch::read_at);
                if let Some(read_at) = read_at.filter(|_| cancel.keeps != CancelKeeps::All) {
                    self.prompts.forget(read_at);
                }
                self.change(&id, |batch| batch.cancel(cancel));
            }
            Effect::LoopBegun { id, index } => self.change(&id, |batch| batch.begin_loop(index)),
            Effect::LoopEnded { id, index, planned } => self.change(&id, |batch| batch.end_loop(index, planned)),
            Effect::Dropped { blocks } => self.dropped += blocks,
            Effect::Kept(entries) => self.prompts.keep(entries, at),
            Effect::Deleted { id } => {
                if let Some(index) = self.batches.iter().position(|batch| batch.id == id) {
                    self.batches.remove(index).bill(at, &mut self.billed);
                }
            }
            Effect::Replied(uses) => self.uses = uses,
            Effect::Billed { model, tokens } => self.billed.realtime.entry(model).or_default().add(tokens),
        }
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Batch)) {
        if let Some(batch) = self.batches.iter_mut().find(|batch| batch.id == id) {
            change(batch);
        }
    }

    pub(crate) fn ids(&self) -> Ids {
        Ids::new(self.seed, self.next_id)
    }

    /// Calls to `target` since the script was set.
    pub(crate) fn calls(&self, target: Target) -> u64 {
        self.calls.get(&target).copied().unwrap_or(0)
    }

    /// Batches, newest first.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.batches.iter().rev()
    }

    pub(crate) fn bill(&self, now: DateTime<Utc>) -> Bill {
        let mut bill = self.billed.clone();
        for batch in &self.batches {
            batch.bill(now, &mut bill);
        }
        bill
    }

    /// The log, oldest first.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.iter().map(Logged::object).collect()
    }
}

impl Logged {
    fn object(&self) -> Value {
        let body: Value = serde_json::from_str(self.body.get()).unwrap_or(Value::Null);
        let mut object = json!({
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": body,
            "atMs": self.at.timestamp_millis(),
            "status": self.status,
        });
        if let Some(fault) = &self.fault {
            object["fault"] = json!(fault);
        }
        object
    }
}
