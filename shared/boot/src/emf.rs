//! Metrics as log lines: CloudWatch reads them off in its embedded metric format.
//!
//! One JSON line on standard output for each write that counts, and no call: CloudWatch Logs takes the numbers from the line
//! (CloudWatch user guide, "Specification: Embedded metric format", 2026-10). At most once from here, see
//! [`Metrics`]; CloudWatch itself may now and then count a line twice (same page).
//!
//! CloudWatch charges for each name with each set of dimensions, $0.30 a month for those that had a value (CloudWatch pricing,
//! 2026-10). There are 16 names and one set, the stack's name: $4.80 a stack at most. What is asked for seldom, the function,
//! the run, the job, the batch and a word for the kind, stands in the line as a property, which costs nothing and which Logs
//! Insights finds. A job's name, a text or an address stands nowhere.
//!
//! Lambda takes a line without a level for `INFO` ("Log-level filtering", 2026-10): a function whose application log level
//! is above that has no metrics.

use std::io::Write as _;
use std::sync::Arc;

use nightshift_domain::metrics::{Reading, Unit};
use nightshift_engine::Clock;
use nightshift_engine::ports::Metrics;
use serde_json::{Map, Value, json};

/// The one dimension: the name of the stack's schedule group, which no other stack of the account and region has.
const STACK: &str = "Stack";
/// Billionths to the whole.
const NANO: f64 = 1e9;

/// Writes metrics to standard output.
#[derive(Debug)]
pub(crate) struct Emf {
    pub(crate) namespace: String,
    pub(crate) stack: String,
    /// The function's name.
    pub(crate) function: Option<String>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Emf {
    fn line(&self, reading: &Reading) -> String {
        let names: Vec<Value> = reading
            .values
            .iter()
            .map(|(metric, _)| json!({ "Name": metric.name(), "Unit": unit(metric.unit()) }))
            .collect();
        let directive = json!({ "Namespace": self.namespace, "Dimensions": [[STACK]], "Metrics": names });
        let mut line = Map::new();
        let at = self.clock.now().timestamp_millis();
        line.insert("_aws".to_owned(), json!({ "Timestamp": at, "CloudWatchMetrics": [directive] }));
        line.insert(STACK.to_owned(), self.stack.clone().into());
        for (metric, value) in &reading.values {
            line.insert(metric.name().to_owned(), number(metric.unit(), *value));
        }
        let properties = [
            ("function", self.function.clone()),
            ("job.id", reading.job.as_ref().map(ToString::to_string)),
            ("run.id", reading.run.as_ref().map(ToString::to_string)),
            ("batch.attempt", reading.batch.as_ref().map(ToString::to_string)),
            ("kind", reading.kind.clone()),
        ];
        line.extend(properties.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
        Value::Object(line).to_string()
    }
}

impl Metrics for Emf {
    fn record(&self, reading: &Reading) {
        let line = self.line(reading) + "\n";
        // In one piece, so that it stays a line beside the log's. With standard output gone nobody is left to be told.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }
}

/// The unit's name (CloudWatch API reference, `MetricDatum`); money has none there.
fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "Count",
        Unit::NanoUsd => "None",
        Unit::Milliseconds => "Milliseconds",
    }
}

fn number(unit: Unit, value: i64) -> Value {
    match unit {
        Unit::Count | Unit::Milliseconds => value.into(),
        #[expect(clippy::cast_precision_loss, reason = "exact up to nine million dollars")]
        Unit::NanoUsd => (value as f64 / NANO).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_domain::RunKey;
    use nightshift_domain::metrics::Metric;
    use nightshift_engine::ManualClock;

    fn emf() -> Emf {
        let clock = Arc::new(ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap()));
        let function = Some("night-poll".to_owned());
        Emf { namespace: "Nightshift".to_owned(), stack: "night".to_owned(), function, clock }
    }

    #[test]
    fn a_line_names_its_metrics_and_holds_their_values() {
        let run = RunKey::parse("a_20261120T070000Z").unwrap();
        let reading = Reading {
            values: vec![(Metric::RunsFailed, 1), (Metric::Cost, 1_250_000_000), (Metric::BatchWait, 90_000)],
            job: Some(run.job_id()),
            run: Some(run),
            batch: None,
            kind: Some("refusal".to_owned()),
        };
        let line = emf().line(&reading);
        assert!(!line.contains('\n'), "{line}");
        let written: Value = serde_json::from_str(&line).unwrap();
        let metric = |name, unit| json!({ "Name": name, "Unit": unit });
        let metrics = [metric("RunsFailed", "Count"), metric("CostUsd", "None"), metric("BatchWaitMs", "Milliseconds")];
        let directive = json!({ "Namespace": "Nightshift", "Dimensions": [["Stack"]], "Metrics": metrics });
        let wanted = json!({
            "_aws": { "Timestamp": 1_795_158_000_000_i64, "CloudWatchMetrics": [directive] },
            "Stack": "night", "RunsFailed": 1, "CostUsd": 1.25, "BatchWaitMs": 90_000,
            "function": "night-poll", "job.id": "a", "run.id": "a_20261120T070000Z", "kind": "refusal",
        });
        assert_eq!(written, wanted);
    }

    #[test]
    fn there_are_as_many_metrics_as_the_bill_says() {
        assert_eq!(Metric::ALL.len(), 16);
        let cents = Metric::ALL.len() * 30;
        assert_eq!(cents, 480);
    }
}
