//! Metrics that a test reads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nightshift_domain::metrics::{Metric, Reading};

use crate::ports::Metrics;

/// Keeps every reading, in order.
#[derive(Debug, Default)]
pub struct Recorder {
    readings: Mutex<Vec<Reading>>,
}

impl Recorder {
    fn readings(&self) -> MutexGuard<'_, Vec<Reading>> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `metric` came to so far.
    pub fn sum(&self, metric: Metric) -> i64 {
        let readings = self.readings();
        let values = readings.iter().flat_map(|reading| &reading.values);
        values.filter(|(one, _)| *one == metric).map(|(_, by)| by).sum()
    }

    /// What there is of each metric that counted anything.
    pub fn sums(&self) -> Vec<(&'static str, i64)> {
        let sums = Metric::ALL.into_iter().map(|metric| (metric.name(), self.sum(metric)));
        sums.filter(|(_, sum)| *sum != 0).collect()
    }
}

impl Metrics for Recorder {
    fn record(&self, reading: &Reading) {
        self.readings().push(reading.clone());
    }
}
