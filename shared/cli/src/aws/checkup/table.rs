//! The table: whether it answers every query, forgets what is over, and can be brought back.

use aws_sdk_dynamodb::types::{ContinuousBackupsDescription, TableDescription, TimeToLiveDescription};

use super::{Check, DEPLOY};
use crate::aws::{Aws, AwsFailure};

/// The indexes that the store queries: lists, and what is due.
const INDEXES: [&str; 2] = ["GSI1", "GSI2"];
/// The attribute that says when a row is over.
const TTL: &str = "ttl";

/// Looks at the table whose name the functions know.
pub(super) async fn look(aws: &Aws, table: Option<&str>) -> Vec<Check> {
    let Some(table) = table else {
        return vec![Check::skipped("table", "its name is not known: functions have none, or different ones")];
    };
    let client = aws.dynamodb();
    let failed = |failure| Check::asked(format!("table {table}"), "the table", failure);
    let described = match client.describe_table().table_name(table).send().await {
        Ok(answer) => answer.table.unwrap_or_else(|| TableDescription::builder().build()),
        Err(error) => return vec![failed(AwsFailure::of(format!("show the table {table}"), &error))],
    };
    let mut checks = vec![judge(table, &described)];
    let expiry = client.describe_time_to_live().table_name(table).send().await;
    checks.push(match expiry {
        Ok(answer) => judge_expiry(answer.time_to_live_description.as_ref()),
        Err(error) => failed(AwsFailure::of(format!("show how {table} forgets"), &error)),
    });
    let backups = client.describe_continuous_backups().table_name(table).send().await;
    checks.push(match backups {
        Ok(answer) => judge_backups(answer.continuous_backups_description.as_ref()),
        Err(error) => failed(AwsFailure::of(format!("show the backups of {table}"), &error)),
    });
    checks
}

/// Whether the table and its indexes are in use.
pub(super) fn judge(table: &str, described: &TableDescription) -> Check {
    let check = format!("table {table}");
    let status = described.table_status.as_ref().map_or("unknown", |status| status.as_str());
    // A table that changes still answers.
    if !matches!(status, "ACTIVE" | "UPDATING") {
        return Check::found(check, format!("its status is {status}, not ACTIVE"), DEPLOY);
    }
    for name in INDEXES {
        let index = described.global_secondary_indexes().iter().find(|index| index.index_name() == Some(name));
        let Some(index) = index else {
            return Check::found(check, format!("it has no index {name}"), DEPLOY);
        };
        let status = index.index_status.as_ref().map_or("unknown", |status| status.as_str());
        if !matches!(status, "ACTIVE" | "UPDATING") {
            let hint = "an index that is being made is ready in minutes, or hours on a large table; ask again";
            return Check::found(check, format!("the status of its index {name} is {status}, not ACTIVE"), hint);
        }
    }
    Check::ok(check, "active, with both indexes")
}

/// Whether rows whose time is over go.
pub(super) fn judge_expiry(described: Option<&TimeToLiveDescription>) -> Check {
    let status = described.and_then(|ttl| ttl.time_to_live_status.as_ref()).map_or("unknown", |status| status.as_str());
    let attribute = described.and_then(TimeToLiveDescription::attribute_name);
    match (status, attribute) {
        ("ENABLED" | "ENABLING", Some(TTL)) => Check::ok("expiry", "rows go when their time is over"),
        ("ENABLED" | "ENABLING", Some(other)) => {
            Check::found("expiry", format!("the table forgets by the attribute {other}, not {TTL}"), DEPLOY)
        }
        (status, _) => {
            Check::found("expiry", format!("the table keeps every row for ever: time to live is {status}"), DEPLOY)
        }
    }
}

/// Whether the table can be brought back as it was at any second of the last weeks.
pub(super) fn judge_backups(described: Option<&ContinuousBackupsDescription>) -> Check {
    let recovery = described.and_then(|backups| backups.point_in_time_recovery_description.as_ref());
    let status = recovery.and_then(|one| one.point_in_time_recovery_status.as_ref());
    if status.is_some_and(|status| status.as_str() == "ENABLED") {
        Check::ok("backups", "the table can be brought back to any second of its recovery period")
    } else {
        Check::found(
            "backups",
            "a table that is lost or spoilt cannot be brought back: point-in-time recovery is off",
            DEPLOY,
        )
    }
}
