//! The timers: whether there is a place for them, and whether the one that repairs everything else fires.

use super::Check;
use crate::aws::{Aws, AwsFailure};

/// The timer whose fires look for what was lost.
const SWEEP: &str = "sweep";
/// A function repairs timers, this one too.
const REPAIR: &str = "`nightshift cron doctor --fix` makes it anew";

/// Looks at the schedule group whose name the functions know.
pub(super) async fn look(aws: &Aws, group: Option<&str>) -> Vec<Check> {
    let Some(group) = group else {
        return vec![Check::skipped("timers", "their group is not known: functions have none, or different ones")];
    };
    let client = aws.scheduler();
    let check = format!("timers {group}");
    match client.get_schedule_group().name(group).send().await {
        Ok(answer) => {
            let state = answer.state.map(|state| state.as_str().to_owned()).unwrap_or_default();
            if state != "ACTIVE" {
                let hint =
                    "a group that is being deleted takes its timers along; deploy the stack again when it is gone";
                return vec![Check::found(check, format!("the state of the group is {state}, not ACTIVE"), hint)];
            }
        }
        Err(error) => {
            let failure = AwsFailure::of(format!("show the schedule group {group}"), &error);
            return vec![Check::asked(check, "the schedule group", failure)];
        }
    }
    let sweep = client.get_schedule().group_name(group).name(SWEEP).send().await;
    let state = match sweep {
        Ok(answer) => Some(answer.state.map(|state| state.as_str().to_owned()).unwrap_or_default()),
        Err(error) => {
            let failure = AwsFailure::of(format!("show the timer {SWEEP}"), &error);
            if !failure.is_missing() {
                return vec![Check::ok(check, "their group is there"), Check::failed("sweep", &failure.into())];
            }
            None
        }
    };
    vec![Check::ok(check, "their group is there"), judge_sweep(state.as_deref())]
}

/// `None` where there is no such timer.
pub(super) fn judge_sweep(state: Option<&str>) -> Check {
    match state {
        Some("ENABLED") => Check::ok("sweep", "what is lost is looked for"),
        Some(state) => {
            Check::found("sweep", format!("what is lost stays lost: the timer {SWEEP} is {state}, not ENABLED"), REPAIR)
        }
        None => Check::found("sweep", format!("what is lost stays lost: there is no timer {SWEEP}"), REPAIR),
    }
}
