//! Timers, functions, models and channels that keep a list of what was asked of them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Function};

use crate::ports::{
    Channel, Channels, Entropy, Invoker, JobTimer, Models, OpenChannelError, OpenModelError, OpenedModel, TimerError,
    TimerSpec, Timers,
};

/// Everything outside the table, as a list of what was asked of it.
#[derive(Debug, Default)]
pub(super) struct Outside {
    calls: Mutex<Vec<String>>,
    pub(super) timers: Mutex<Vec<JobTimer>>,
    pub(super) envelopes: Mutex<Vec<Envelope>>,
    chance: Mutex<u128>,
    /// The calls that fail, by their beginning.
    pub(super) fails: Mutex<Option<&'static str>>,
    pub(super) refuses_expressions: Mutex<bool>,
}

impl Outside {
    fn call(&self, call: String) -> Result<(), TimerError> {
        let failing = self.fails.lock().unwrap().is_some_and(|beginning| call.starts_with(beginning));
        self.calls.lock().unwrap().push(call.clone());
        let error = TimerError { operation: call, expression_refused: false, source: None };
        if failing { Err(error) } else { Ok(()) }
    }

    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    pub(super) fn names(&self) -> Vec<String> {
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
