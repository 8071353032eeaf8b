//! How far numbers of the configuration may go.
//!
//! Guarantee: with a configuration inside these limits, no instant that is computed from it leaves the calendar, and no list
//! of days is longer than a request may look through.

use chrono::TimeDelta;

use super::{Agent, Config, Retention};
use crate::FieldError;
use crate::job::{MAX_WAIT_LEAST_MS, MAX_WAIT_LIMIT_MS};

/// Longest that history and queued events may be kept: ten years, days.
pub(super) const KEPT_DAYS_MOST: u32 = 3_650;
/// The same in hours.
pub(super) const KEPT_HOURS_MOST: u32 = 24 * KEPT_DAYS_MOST;
/// Longest turn in realtime: seven days, seconds; the same as a job's own.
pub(super) const TIMEOUT_MOST_S: u64 = 604_800;

impl Config {
    /// The numbers that are out of range, each by its path from `config`.
    pub fn out_of_range(&self) -> Vec<FieldError> {
        let kept = &self.cron.retention;
        let days = (1, u64::from(KEPT_DAYS_MOST));
        let mut judged = vec![
            ("cron.retention.runsDays".to_owned(), u64::from(kept.runs_days), days),
            ("cron.retention.runsPerJob".to_owned(), u64::from(kept.runs_per_job), (1, u64::from(u32::MAX))),
            (
                "cron.retention.isolatedSessionHours".to_owned(),
                u64::from(kept.isolated_session_hours),
                (0, u64::from(KEPT_HOURS_MOST)),
            ),
            ("cron.retention.eventsDays".to_owned(), u64::from(kept.events_days), days),
            ("cron.batch.maxWaitMs".to_owned(), self.cron.batch.max_wait_ms, (MAX_WAIT_LEAST_MS, MAX_WAIT_LIMIT_MS)),
        ];
        let mut agent = |path: String, agent: &Agent| {
            let timeout = agent.timeout_seconds.map(|seconds| ("timeoutSeconds", seconds, (1, TIMEOUT_MOST_S)));
            let hops = agent.max_hops.map(|hops| ("maxHops", u64::from(hops), (1, u64::from(u32::MAX))));
            let named = |(name, value, range)| (format!("{path}.{name}"), value, range);
            judged.extend(timeout.into_iter().chain(hops).map(named));
        };
        agent("agents.defaults".to_owned(), &self.agents.defaults);
        for (id, entry) in &self.agents.entries {
            agent(format!("agents.entries.{id}"), entry);
        }
        let outside = judged.into_iter().filter(|(_, value, (least, most))| !(least..=most).contains(&value));
        outside
            .map(|(path, value, (least, most))| {
                let name = path.rsplit('.').next().unwrap_or_default();
                let message = format!("{name} is {value}");
                FieldError::new("invalid_config", format!("config.{path}"), message)
                    .hint(format!("from {least} to {most}"))
            })
            .collect()
    }
}

impl Retention {
    /// How long an ended run's row stays.
    pub fn runs(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.runs_days.min(KEPT_DAYS_MOST)))
    }

    /// How long a queued system event stays.
    pub fn events(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.events_days.min(KEPT_DAYS_MOST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_out_of_range_are_named_by_their_paths() {
        let config = Config::parse(&json!({
            "cron": { "retention": { "runsDays": 4_000_000_000_u64, "eventsDays": 0 }, "batch": { "maxWaitMs": 59_999 } },
            "agents": { "defaults": { "timeoutSeconds": 604_801 }, "entries": { "ops": { "maxHops": 0 } } },
        }))
        .unwrap();
        let named: Vec<String> = config.out_of_range().into_iter().map(|fault| fault.field).collect();
        let expected = [
            "config.cron.retention.runsDays",
            "config.cron.retention.eventsDays",
            "config.cron.batch.maxWaitMs",
            "config.agents.defaults.timeoutSeconds",
            "config.agents.entries.ops.maxHops",
        ];
        assert_eq!(named, expected);
        assert_eq!(Config::default().out_of_range(), []);
    }
}
