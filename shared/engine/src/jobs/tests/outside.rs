//! Timers, functions, models and channels that keep a list of what was asked of them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Function};

use crate::ports::{
    Channel, Channels, Entropy, Invoker, JobTimer, Models, OpenChannelError, OpenModelError, OpenedModel, Page,
    TimerEntry, TimerError, TimerSpec, TimerView, Timers,
};

/// Everything outside the table, as a list of what was asked of it.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    calls: Mutex<Vec<String>>,
    pub(crate) timers: Mutex<Vec<JobTimer>>,
    pub(crate) envelopes: Mutex<Vec<Envelope>>,
    chance: Mutex<u128>,
    /// The calls that fail, by their beginning.
    pub(crate) fails: Mutex<Option<&'static str>>,
    pub(crate) refuses_expressions: Mutex<bool>,
    /// What lists show, where they lag behind.
    pub(crate) stale_list: Mutex<Option<Vec<JobTimer>>>,
}

impl Outside {
    fn call(&self, call: String) -> Result<(), TimerError> {
        let failing = self.fails.lock().unwrap().is_some_and(|beginning| call.starts_with(beginning));
        self.calls.lock().unwrap().push(call.clone());
        let error = TimerError { operation: call, expression_refused: false, source: None };
        if failing { Err(error) } else { Ok(()) }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.timers.lock().unwrap().iter().map(|timer| timer.name.clone()).collect()
    }
}

impl Entropy for Outside {
    fn bits(&self) -> u128 {
        let mut chance = self.chance.lock().unwrap();
        *chance += 1;
        *chance
    }
}

#[async_trait]
impl Timers for Outside {
    async fn put_job(&self, timer: &JobTimer) -> Result<(), TimerError> {
        self.call(format!("put {}", timer.name))?;
        if *self.refuses_expressions.lock().unwrap() && matches!(timer.spec, TimerSpec::Recurring { .. }) {
            return Err(TimerError { operation: "put".to_owned(), expression_refused: true, source: None });
        }
        let mut timers = self.timers.lock().unwrap();
        timers.retain(|other| other.name != timer.name);
        timers.push(timer.clone());
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), TimerError> {
        self.call(format!("remove {name}"))?;
        self.timers.lock().unwrap().retain(|timer| timer.name != name);
        Ok(())
    }

    async fn arm(&self, name: &str, _at: DateTime<Utc>, _envelope: &Envelope) -> Result<(), TimerError> {
        self.call(format!("arm {name}"))
    }

    /// Two at a time, so that every list has pages.
    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<TimerEntry>, TimerError> {
        self.call("list".to_owned())?;
        let stale = self.stale_list.lock().unwrap().clone();
        let listed = stale.unwrap_or_else(|| self.timers.lock().unwrap().clone());
        let mut names: Vec<TimerEntry> = listed.iter().map(entry).collect();
        names.sort_by(|one, other| one.name.cmp(&other.name));
        names.retain(|entry| entry.name.starts_with(prefix) && cursor.is_none_or(|after| entry.name.as_str() > after));
        let next = names.get(1).filter(|_| names.len() > 2).map(|last| last.name.clone());
        names.truncate(2);
        Ok(Page { items: names, next })
    }

    async fn get(&self, name: &str) -> Result<Option<TimerView>, TimerError> {
        self.call(format!("get {name}"))?;
        let timers = self.timers.lock().unwrap();
        Ok(timers.iter().find(|timer| timer.name == name).map(|timer| TimerView {
            name: timer.name.clone(),
            enabled: timer.enabled,
            spec: timer.spec.clone(),
            envelope: Some(timer.envelope.clone()),
            function: Some(timer.envelope.kind.function()),
        }))
    }
}

fn entry(timer: &JobTimer) -> TimerEntry {
    TimerEntry { name: timer.name.clone(), enabled: timer.enabled, changed_at: None }
}

#[async_trait]
impl Invoker for Outside {
    async fn invoke(&self, function: Function, envelope: &Envelope) -> Result<(), TimerError> {
        self.call(format!("invoke {}", function.name()))?;
        self.envelopes.lock().unwrap().push(envelope.clone());
        Ok(())
    }
}

#[async_trait]
impl Models for Outside {
    async fn open(&self, _config: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        Err(OpenModelError::Unknown(name.to_owned()))
    }
}

#[async_trait]
impl Channels for Outside {
    async fn open(&self, _: &Config, name: &str, _: Option<&str>) -> Result<Arc<dyn Channel>, OpenChannelError> {
        Err(OpenChannelError::NotConfigured(format!("there is no channel {name}")))
    }

    fn configured(&self, _config: &Config) -> Vec<String> {
        Vec::new()
    }
}
