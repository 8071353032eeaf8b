//! The flags of `cron edit` that take something back.

use clap::Args;

/// Back to the default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Clear")]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub struct ClearFlags {
    /// Back to the default agent
    #[arg(long, conflicts_with = "agent")]
    pub clear_agent: bool,

    /// Back to the agent's model
    #[arg(long, conflicts_with = "model")]
    pub clear_model: bool,

    /// No fallback models of its own
    #[arg(long, conflicts_with = "fallbacks")]
    pub clear_fallbacks: bool,

    /// Back to the agent's thinking level
    #[arg(long, conflicts_with = "thinking")]
    pub clear_thinking: bool,

    /// Back to the default time limit
    #[arg(long, conflicts_with = "timeout_seconds")]
    pub clear_timeout_seconds: bool,

    /// Back to the agent's tools
    #[arg(long, conflicts_with = "tools")]
    pub clear_tools: bool,

    /// Back to the configured batch policy
    #[arg(long, conflicts_with_all = ["batch", "no_batch", "batch_timeout", "batch_on_timeout", "deliver_by", "earliest"])]
    pub clear_batch: bool,

    /// Start at the schedule's times again
    #[arg(long, conflicts_with_all = ["deliver_by", "earliest", "clear_batch"])]
    pub clear_deliver_by: bool,

    /// Start as early as the answer needs
    #[arg(long, conflicts_with_all = ["earliest", "clear_batch"])]
    pub clear_earliest: bool,

    /// Back to the agent's channel
    #[arg(long, conflicts_with = "channel")]
    pub clear_channel: bool,

    /// Back to the agent's target
    #[arg(long, conflicts_with_all = ["to", "webhook"])]
    pub clear_to: bool,

    /// No thread
    #[arg(long, conflicts_with = "thread_id")]
    pub clear_thread_id: bool,

    /// Back to the channel's default account
    #[arg(long, conflicts_with = "account")]
    pub clear_account: bool,

    /// No limit on lateness
    #[arg(long, conflicts_with = "max_lateness")]
    pub clear_max_lateness: bool,

    /// No budget of its own
    #[arg(long, conflicts_with_all = ["budget_run", "budget_day", "budget_month"])]
    pub clear_budget: bool,

    /// Back to the configured failure alert
    #[arg(long, conflicts_with_all = ["failure_alert", "no_failure_alert"])]
    pub clear_failure_alert: bool,
}
