//! The flags about failure alerts.

use clap::Args;

use super::AlertMode;
use super::job::millis;

/// Who hears of failures.
#[derive(Debug, Args)]
#[command(next_help_heading = "Failure alerts")]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub struct AlertFlags {
    /// Raise an alert when the job keeps failing
    #[arg(long)]
    pub failure_alert: bool,

    /// Never raise one
    #[arg(long, conflicts_with_all = ["failure_alert", "failure_alert_after", "failure_alert_channel", "failure_alert_to",
        "failure_alert_cooldown", "failure_alert_mode", "failure_alert_account_id", "failure_alert_include_skipped",
        "failure_alert_exclude_skipped"])]
    pub no_failure_alert: bool,

    /// Failures in a row before the first alert
    #[arg(long, value_name = "N")]
    pub failure_alert_after: Option<u32>,

    /// Channel of the alert
    #[arg(long, value_name = "CHANNEL")]
    pub failure_alert_channel: Option<String>,

    /// Target of the alert
    #[arg(long, value_name = "DEST", allow_hyphen_values = true)]
    pub failure_alert_to: Option<String>,

    /// Least time between two alerts
    #[arg(long, value_name = "DURATION", value_parser = millis)]
    pub failure_alert_cooldown: Option<u64>,

    /// How the alert goes out
    #[arg(long, value_name = "MODE", value_enum)]
    pub failure_alert_mode: Option<AlertMode>,

    /// Account of the alert's channel
    #[arg(long, value_name = "ID")]
    pub failure_alert_account_id: Option<String>,

    /// Count skipped occurrences too
    #[arg(long, overrides_with = "failure_alert_exclude_skipped")]
    pub failure_alert_include_skipped: bool,

    /// Count failures only
    #[arg(long, overrides_with = "failure_alert_include_skipped")]
    pub failure_alert_exclude_skipped: bool,
}
