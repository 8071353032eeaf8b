//! Every schedule and group in memory, written through to the state file, and the order in which they fall due.
//!
//! Guarantee: a change is on disk before it is seen. One schedule is one document, so a crash leaves it as it was before
//! or after a change, never between.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound, Utc};

use super::error::ApiError;
use super::model::{DEFAULT_GROUP, Group, Key, Record, Spec, State, TokenUse};
use super::timing::Timing;
use super::tokens::Tokens;
use crate::state::{StateDb, StateError};

const SCHEDULES: &str = "scheduler.schedules";
const GROUPS: &str = "scheduler.groups";

#[derive(Debug)]
pub(super) struct Book {
    pub(super) state: StateDb,
    pub(super) schedules: BTreeMap<Key, Entry>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) tokens: Tokens,
    /// When each schedule must be looked at: instant, name, group.
    due: BTreeSet<(DateTime<Utc>, String, String)>,
    serial: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Record,
    pub(super) timing: Timing,
    wake: Option<DateTime<Utc>>,
}

impl Entry {
    /// The next nominal fire; `None` when disabled or completed.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        match self.record.spec.state {
            State::Enabled => self.timing.next(self.record.done_through),
            State::Disabled => None,
        }
    }

    /// When the next fire really happens.
    pub(super) fn next_fire(&self) -> Option<DateTime<Utc>> {
        self.next().map(|nominal| self.timing.fire_at(nominal))
    }
}

impl Book {
    /// Reads what is stored, finishes what a crash interrupted, and makes the default group.
    pub(super) fn load(state: StateDb, now: DateTime<Utc>) -> Result<Self, StateError> {
        let tokens = Tokens::load(&state)?;
        let mut book = Self {
            state,
            schedules: BTreeMap::new(),
            groups: BTreeMap::new(),
            tokens,
            due: BTreeSet::new(),
            serial: 0,
        };
        for (_, document) in book.state.list(SCHEDULES)? {
            let record: Record = serde_json::from_value(document)?;
            book.serial = book.serial.max(record.incarnation).max(record.arming);
            book.recall(record.request.as_ref(), now)?;
            let arn = record.spec.key().arn();
            match Timing::of(&record) {
                Ok(timing) => book.place(record, timing),
                Err(error) => {
                    tracing::error!(schedule.arn = arn, %error, "a stored schedule cannot be read; it will not fire");
                }
            }
        }
        for (name, document) in book.state.list(GROUPS)? {
            let group: Group = serde_json::from_value(document)?;
            book.recall(group.request.as_ref(), now)?;
            book.groups.insert(name, group);
        }
        let interrupted: Vec<String> =
            book.groups.values().filter(|group| group.deleting).map(|group| group.name.clone()).collect();
        for name in interrupted {
            book.empty_and_remove_group(&name)?;
        }
        if !book.groups.contains_key(DEFAULT_GROUP) {
            let name = DEFAULT_GROUP.to_owned();
            let group =
                Group { name, created_at: now, modified_at: now, deleting: false, tags: Vec::new(), request: None };
            book.put_group(group)?;
        }
        Ok(book)
    }

    fn recall(&mut self, call: Option<&TokenUse>, now: DateTime<Utc>) -> Result<(), StateError> {
        match call {
            Some(call) if now - call.at < super::model::TOKEN_MEMORY => self.tokens.remember(&self.state, call),
            _ => Ok(()),
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn require_group(&self, name: &str) -> Result<(), ApiError> {
        match self.groups.get(name) {
            Some(group) if !group.deleting => Ok(()),
            _ => Err(ApiError::NotFound(format!("Schedule group {name} does not exist."))),
        }
    }

    /// Carries out `CreateSchedule`; answers the ARN.
    pub(super) fn create(
        &mut self,
        spec: Spec,
        call: Option<TokenUse>,
        now: DateTime<Utc>,
    ) -> Result<String, ApiError> {
        if let Some(arn) = self.answered(call.as_ref())? {
            return Ok(arn);
        }
        self.require_group(&spec.group_name)?;
        let key = spec.key();
        if self.schedules.contains_key(&key) {
            return Err(ApiError::Conflict(format!("Schedule {} already exists.", key.name)));
        }
        let now = now.trunc_subsecs(3);
        let record = Record {
            spec,
            created_at: now,
            modified_at: now,
            incarnation: self.next_serial(),
            arming: self.next_serial(),
            armed_at: now,
            done_through: None,
            retries: Vec::new(),
            request: call,
        };
        self.write(record)
    }

    /// Carries out `UpdateSchedule`; answers the ARN.
    ///
    /// A changed expression, zone or `StartDate` starts the schedule anew; anything else keeps its place, so a completed
    /// one-shot stays completed. What passed while a recurring schedule was disabled is not made up for; a one-shot
    /// enabled after its time fires at once. Retries go on to the target they were meant for (User Guide,
    /// "Troubleshooting": the original may still arrive), but end when the schedule is disabled.
    pub(super) fn update(
        &mut self,
        spec: Spec,
        call: Option<TokenUse>,
        now: DateTime<Utc>,
    ) -> Result<String, ApiError> {
        if let Some(arn) = self.answered(call.as_ref())? {
            return Ok(arn);
        }
        self.require_group(&spec.group_name)?;
        let key = spec.key();
        let arming = self.next_serial();
        let entry = self.schedules.get(&key).ok_or_else(|| missing(&key.name))?;
        let mut record = entry.record.clone();
        let old = std::mem::replace(&mut record.spec, spec);
        let spec = &record.spec;
        record.modified_at = now.trunc_subsecs(3);
        record.request = call;
        let same_timing = old.schedule_expression == spec.schedule_expression
            && old.schedule_expression_timezone == spec.schedule_expression_timezone
            && old.start_date == spec.start_date;
        if !same_timing {
            record.arming = arming;
            record.armed_at = record.modified_at;
            record.done_through = None;
        } else if old.state == State::Disabled && spec.state == State::Enabled && !entry.timing.is_one_time() {
            record.done_through = record.done_through.max(Some(now));
        }
        if spec.state == State::Disabled {
            record.retries.clear();
        } else if old.target != spec.target {
            for retry in &mut record.retries {
                retry.target.get_or_insert_with(|| old.target.clone());
            }
        }
        self.write(record)
    }

    fn answered(&self, call: Option<&TokenUse>) -> Result<Option<String>, ApiError> {
        call.map_or(Ok(None), |call| self.tokens.answered(call))
    }

    fn write(&mut self, record: Record) -> Result<String, ApiError> {
        let timing = Timing::of(&record).map_err(|error| ApiError::Validation(error.to_string()))?;
        let arn = record.spec.key().arn();
        let call = record.request.clone();
        self.save(&record)?;
        self.place(record, timing);
        if let Some(call) = call {
            self.tokens.remember(&self.state, &call)?;
        }
        Ok(arn)
    }

    /// The record as `GetSchedule` needs it.
    pub(super) fn get(&self, key: &Key) -> Result<&Record, ApiError> {
        self.schedules.get(key).map(|entry| &entry.record).ok_or_else(|| missing(&key.name))
    }

    /// Carries out `DeleteSchedule`, retries included.
    pub(super) fn delete(&mut self, key: &Key, call: Option<&TokenUse>) -> Result<(), ApiError> {
        if self.answered(call)?.is_some() {
            return Ok(());
        }
        self.get(key)?;
        self.remove(key)?;
        if let Some(call) = call {
            self.tokens.remember(&self.state, call)?;
        }
        Ok(())
    }

    /// Carries out `CreateScheduleGroup`.
    pub(super) fn create_group(&mut self, group: Group) -> Result<String, ApiError> {
        if let Some(arn) = self.answered(group.request.as_ref())? {
            return Ok(arn);
        }
        if self.groups.contains_key(&group.name) {
            return Err(ApiError::Conflict(format!("Schedule group {} already exists.", group.name)));
        }
        let call = group.request.clone();
        let arn = Group::arn_of(&group.name);
        self.put_group(group)?;
        if let Some(call) = call {
            self.tokens.remember(&self.state, &call)?;
        }
        Ok(arn)
    }

    /// Carries out `DeleteScheduleGroup` with all its schedules. Interrupted, the next start finishes it.
    pub(super) fn delete_group(&mut self, name: &str, call: Option<&TokenUse>) -> Result<(), ApiError> {
        if self.answered(call)?.is_some() {
            return Ok(());
        }
        if name == DEFAULT_GROUP {
            return Err(ApiError::Validation("The default schedule group cannot be deleted.".to_owned()));
        }
        let mut group = self.group(name)?.clone();
        group.deleting = true;
        self.put_group(group)?;
        self.empty_and_remove_group(name)?;
        if let Some(call) = call {
            self.tokens.remember(&self.state, call)?;
        }
        Ok(())
    }

    pub(super) fn group(&self, name: &str) -> Result<&Group, ApiError> {
        self.groups.get(name).ok_or_else(|| ApiError::NotFound(format!("Schedule group {name} does not exist.")))
    }

    pub(super) fn put_group(&mut self, group: Group) -> Result<(), StateError> {
        self.state.put(GROUPS, &group.name, &serde_json::to_value(&group)?)?;
        self.groups.insert(group.name.clone(), group);
        Ok(())
    }

    fn empty_and_remove_group(&mut self, name: &str) -> Result<(), StateError> {
        let from = Key { group: name.to_owned(), name: String::new() };
        let members: Vec<Key> =
            self.schedules.range(from..).map(|(key, _)| key.clone()).take_while(|key| key.group == name).collect();
        for key in members {
            self.remove(&key)?;
        }
        self.state.delete(GROUPS, name)?;
        self.groups.remove(name);
        Ok(())
    }

    pub(super) fn save(&self, record: &Record) -> Result<(), StateError> {
        self.state.put(SCHEDULES, &record.spec.key().document(), &serde_json::to_value(record)?)
    }

    /// Takes a schedule off the disk and out of memory.
    pub(super) fn remove(&mut self, key: &Key) -> Result<(), StateError> {
        self.state.delete(SCHEDULES, &key.document())?;
        self.forget(key);
        Ok(())
    }

    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(Entry { wake: Some(at), .. }) = self.schedules.remove(key) {
            self.due.remove(&(at, key.name.clone(), key.group.clone()));
        }
    }

    /// Puts a record in its place in memory and in the order of due instants.
    pub(super) fn place(&mut self, record: Record, timing: Timing) {
        let key = record.spec.key();
        self.forget(&key);
        let mut entry = Entry { record, timing, wake: None };
        let retry = entry.record.retries.iter().map(|retry| retry.due_at).min();
        entry.wake = entry.next_fire().into_iter().chain(retry).min();
        if let Some(at) = entry.wake {
            self.due.insert((at, key.name.clone(), key.group.clone()));
        }
        self.schedules.insert(key, entry);
    }

    /// The first thing due, by instant, then name, then group.
    pub(super) fn first_due(&self) -> Option<(DateTime<Utc>, Key)> {
        self.due.first().map(|(at, name, group)| (*at, Key { group: group.clone(), name: name.clone() }))
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::NotFound(format!("Schedule {name} does not exist."))
}
