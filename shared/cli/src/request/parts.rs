//! The parts that adding and editing share.

use serde_json::Value;

use super::{Fields, list};
use crate::args::{
    AlertFlags, AlertMode, BatchFlags, BatchMode, DeliveryFlags, Missed, OnTimeout, Overlap, PayloadFlags, RuleFlags,
    Wake,
};

impl BatchFlags {
    pub(super) fn fields(&self) -> Fields {
        let mut batch = Fields::default();
        batch.put_if(self.batch.is_some(), "enabled", true);
        batch.put_if(self.no_batch, "enabled", false);
        batch.put("mode", self.batch.flatten().map(BatchMode::word));
        batch.put("maxWaitMs", self.batch_timeout);
        batch.put("onTimeout", self.batch_on_timeout.map(OnTimeout::word));
        batch.put("deliverBy", self.deliver_by.as_deref());
        batch.put("earliest", self.earliest.as_deref());
        batch
    }
}

impl PayloadFlags {
    /// Everything but the text and its kind.
    pub(super) fn settings(&self, fields: &mut Fields) {
        fields.put("model", self.model.as_deref());
        fields.put("fallbacks", self.fallbacks.as_deref().map(list));
        fields.put("thinking", self.thinking.as_deref());
        fields.put("timeoutSeconds", self.timeout_seconds);
        fields.put_if(self.light_context, "lightContext", true);
        fields.put_if(self.no_light_context, "lightContext", false);
        fields.put("toolsAllow", self.tools.as_deref().map(list));
    }
}

impl DeliveryFlags {
    pub(super) fn fields(&self) -> Fields {
        let mut delivery = Fields::default();
        delivery.put_if(self.announce || self.deliver, "mode", "announce");
        delivery.put_if(self.no_deliver, "mode", "none");
        delivery.put_if(self.webhook.is_some(), "mode", "webhook");
        delivery.put("channel", self.channel.as_deref());
        delivery.put("to", self.webhook.as_deref().or(self.to.as_deref()));
        delivery.put("threadId", self.thread_id.as_deref());
        delivery.put("accountId", self.account.as_deref());
        delivery.put_if(self.best_effort_deliver, "bestEffort", true);
        delivery.put_if(self.no_best_effort_deliver, "bestEffort", false);
        delivery
    }
}

impl RuleFlags {
    pub(super) fn put_into(&self, job: &mut Fields) {
        job.put("description", self.description.as_deref());
        job.put("agentId", self.agent.as_deref());
        job.put("sessionTarget", self.session.as_deref());
        job.put("wakeMode", self.wake.map(Wake::word));
        job.put_if(self.delete_after_run, "deleteAfterRun", true);
        job.put_if(self.keep_after_run, "deleteAfterRun", false);
        job.put("missed", self.missed.map(Missed::word));
        job.put("overlap", self.overlap.map(Overlap::word));
        job.put("maxLatenessMs", self.max_lateness);
        let mut budget = Fields::default();
        budget.put("runUsd", self.budget_run);
        budget.put("dayUsd", self.budget_day);
        budget.put("monthUsd", self.budget_month);
        job.put("budget", budget.some());
    }
}

impl AlertFlags {
    /// `false` for never, `true` for the configured rule, else the rule.
    pub(super) fn to_json(&self) -> Option<Value> {
        if self.no_failure_alert {
            return Some(Value::Bool(false));
        }
        let mut rule = Fields::default();
        rule.put("after", self.failure_alert_after);
        rule.put("cooldownMs", self.failure_alert_cooldown);
        rule.put("mode", self.failure_alert_mode.map(AlertMode::word));
        rule.put("channel", self.failure_alert_channel.as_deref());
        rule.put("to", self.failure_alert_to.as_deref());
        rule.put("accountId", self.failure_alert_account_id.as_deref());
        rule.put_if(self.failure_alert_include_skipped, "includeSkipped", true);
        rule.put_if(self.failure_alert_exclude_skipped, "includeSkipped", false);
        rule.some().or(self.failure_alert.then_some(Value::Bool(true)))
    }
}
