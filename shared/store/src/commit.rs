//! Writing: one row by itself, several as a transaction.
//!
//! Guarantee: all of a commit or none of it. A condition that fails on a row which already is what was to be written means
//! that an earlier answer got lost, and the commit counts as applied; otherwise somebody else was first, and the commit is
//! lost. The SDK repeats throttled calls but not a cancelled transaction, so that is done here.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::CancellationReason;
use chrono::TimeDelta;
use nightshift_engine::ports::{Outcome, StoreError, StoreErrorKind};

use crate::dynamo::DynamoStore;
use crate::error::{TRANSACTION_CONFLICT, refused, store_error};
use crate::item::Attributes;
use crate::keys::hash;
use crate::plan::{Action, Change, Guard, check};
use crate::request::{ON_FAILURE, Terms, condition, key, transact, update};
use crate::tally::recount;

/// How often a write is sent that another transaction stands in the way of: the last time after one to two seconds.
const ATTEMPTS: u32 = 5;
/// The wait after the first of them; each further one is three times as long. Transactions take milliseconds.
const FIRST_WAIT: TimeDelta = TimeDelta::milliseconds(20);

/// What one attempt came to.
enum Attempt {
    Written,
    /// Conditions failed: for each action, whether its own did, and on what.
    Failed(Vec<Condition>),
    /// Another transaction stands in the way.
    Busy(StoreError),
}

/// How one action's condition fared.
#[derive(Debug, Clone)]
enum Condition {
    Held,
    FailedOn(Option<Attributes>),
}

impl DynamoStore {
    /// Carries out `actions`, all or none.
    ///
    /// # Crash safety
    /// One request. Stopped before its answer, the same commit again finds out what became of it; a bare count is the
    /// exception and may be added twice.
    pub(crate) async fn apply(&self, operation: &str, mut actions: Vec<Action>) -> Result<Outcome, StoreError> {
        let (mut attempt, mut wait) = (1, FIRST_WAIT);
        loop {
            let tried = match actions.as_slice() {
                [] => Attempt::Written,
                [one] => self.write_one(operation, one).await?,
                many => self.write_many(operation, many).await?,
            };
            match tried {
                Attempt::Written => return Ok(Outcome::Applied),
                Attempt::Failed(conditions) => {
                    let Some(mended) = mended(&actions, &conditions) else {
                        return Ok(judge(&actions, &conditions));
                    };
                    check(operation, &mended)?;
                    actions = mended;
                }
                Attempt::Busy(error) if attempt == ATTEMPTS => return Err(error),
                Attempt::Busy(_) => {
                    self.clock.sleep_until(self.clock.now() + wait + wait * spread(&actions) / 100).await;
                    (attempt, wait) = (attempt + 1, wait * 3);
                }
            }
        }
    }

    async fn write_one(&self, operation: &str, action: &Action) -> Result<Attempt, StoreError> {
        let mut terms = Terms::default();
        let condition = condition(&action.guard, &mut terms, self.now());
        let update = update(&action.change, &mut terms);
        let (names, values) = (terms.names(), terms.values());
        let error = match &action.change {
            Change::Put(row) => {
                let put = self.client.put_item().table_name(&self.table).set_item(Some(row.clone()));
                let put = put.set_condition_expression(condition).return_values_on_condition_check_failure(ON_FAILURE);
                let put = put.set_expression_attribute_names(names).set_expression_attribute_values(values);
                let Err(error) = put.send().await else { return Ok(Attempt::Written) };
                if let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() {
                    return Ok(Attempt::Failed(vec![Condition::FailedOn(failed.item.clone())]));
                }
                store_error(operation, error)
            }
            Change::Delete => {
                let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key(&action.key)));
                let delete = delete.set_condition_expression(condition);
                let delete = delete.return_values_on_condition_check_failure(ON_FAILURE);
                let delete = delete.set_expression_attribute_names(names).set_expression_attribute_values(values);
                let Err(error) = delete.send().await else { return Ok(Attempt::Written) };
                if let Some(DeleteItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() {
                    return Ok(Attempt::Failed(vec![Condition::FailedOn(failed.item.clone())]));
                }
                store_error(operation, error)
            }
            Change::Ensure(_) | Change::Add { .. } => {
                let request = self.client.update_item().table_name(&self.table).set_key(Some(key(&action.key)));
                let request = request.set_update_expression(update).set_condition_expression(condition);
                let request = request.set_expression_attribute_names(names).set_expression_attribute_values(values);
                let Err(error) = request.send().await else { return Ok(Attempt::Written) };
                if let Some(UpdateItemError::ConditionalCheckFailedException(_)) = error.as_service_error() {
                    return Ok(Attempt::Failed(vec![Condition::FailedOn(None)]));
                }
                store_error(operation, error)
            }
        };
        if is_conflict(&error) { Ok(Attempt::Busy(error)) } else { Err(error) }
    }

    /// The SDK gives every call a `ClientRequestToken`, so its own repeats within ten minutes are one transaction.
    async fn write_many(&self, operation: &str, actions: &[Action]) -> Result<Attempt, StoreError> {
        let now = self.now();
        let members = actions.iter().map(|action| transact(&self.table, action, now)).collect::<Result<Vec<_>, _>>();
        let members = members.map_err(|error| refused(operation, error))?;
        let Err(error) = self.client.transact_write_items().set_transact_items(Some(members)).send().await else {
            return Ok(Attempt::Written);
        };
        match reasons(&error).map(verdict) {
            Some(Verdict::Conditions(conditions)) => Ok(Attempt::Failed(conditions)),
            Some(Verdict::Passing) => {
                Ok(Attempt::Busy(StoreError { kind: StoreErrorKind::Unavailable, ..store_error(operation, error) }))
            }
            Some(Verdict::Fault) | None => Err(store_error(operation, error)),
        }
    }
}

/// How many percent longer a commit waits than the first, so that those that met once do not meet again: commits that share a
/// counter of jobs begin with rows of their own.
fn spread(actions: &[Action]) -> i32 {
    let hash = actions.first().map_or(0, |action| hash(&action.key.pk));
    i32::try_from(hash % 80).unwrap_or(0)
}

fn is_conflict(error: &StoreError) -> bool {
    use aws_sdk_dynamodb::error::ProvideErrorMetadata;
    fn code<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static>(error: &StoreError) -> Option<&str> {
        error.source.as_deref()?.downcast_ref::<SdkError<E>>()?.code()
    }
    [code::<PutItemError>(error), code::<DeleteItemError>(error), code::<UpdateItemError>(error)]
        .contains(&Some(TRANSACTION_CONFLICT))
}

fn reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<&[CancellationReason]> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => Some(canceled.cancellation_reasons()),
        _ => None,
    }
}

/// Why a transaction was cancelled.
#[derive(Debug)]
enum Verdict {
    /// It may pass later. A failed condition beside a conflict is decided then.
    Passing,
    /// Nothing but conditions.
    Conditions(Vec<Condition>),
    /// The request itself is wrong.
    Fault,
}

fn verdict(reasons: &[CancellationReason]) -> Verdict {
    let codes = || reasons.iter().map(|reason| reason.code().unwrap_or("None"));
    if codes().any(|code| matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")) {
        return Verdict::Passing;
    }
    if !codes().all(|code| matches!(code, "None" | "ConditionalCheckFailed"))
        || !codes().any(|code| code == "ConditionalCheckFailed")
    {
        return Verdict::Fault;
    }
    let condition = |reason: &CancellationReason| match reason.code() {
        Some("ConditionalCheckFailed") => Condition::FailedOn(reason.item.clone().filter(|item| !item.is_empty())),
        _ => Condition::Held,
    };
    Verdict::Conditions(reasons.iter().map(condition).collect())
}

/// The commit without the options whose guards do not hold, and with what the rows of its jobs say was counted for them;
/// `None` when there is nothing to mend. What is mended stays so: a row that changes once more has another `rev`.
fn mended(actions: &[Action], conditions: &[Condition]) -> Option<Vec<Action>> {
    let (mut kept, mut recounts) = (Vec::with_capacity(actions.len()), Vec::new());
    for (action, condition) in actions.iter().zip(conditions) {
        let failed_on = match condition {
            Condition::Held => None,
            Condition::FailedOn(_) if action.optional => continue,
            Condition::FailedOn(found) => found.as_ref(),
        };
        let mut action = action.clone();
        if let (Guard::Counted(expected), Some(found)) = (&mut action.guard, failed_on)
            && let Some(counted) = expected.differs(found)
        {
            recounts.push((action.write, expected.counter.clone(), counted, expected.counted));
            expected.counted = counted;
        }
        kept.push(action);
    }
    let mends = kept.len() < actions.len() || !recounts.is_empty();
    for (write, counter, counted, believed) in recounts {
        recount(&mut kept, write, counter, counted, believed);
    }
    mends.then_some(kept)
}

/// Applied before, or lost to somebody: a repeat finds every record as it left it.
fn judge(actions: &[Action], conditions: &[Condition]) -> Outcome {
    let mut first_failed = None;
    // A purse may be full of what this very commit put there.
    let mut full = None;
    let mut repeat = true;
    for (action, condition) in actions.iter().zip(conditions) {
        match condition {
            Condition::Held if action.guard.decides() => repeat = false,
            Condition::Held => {}
            Condition::FailedOn(_) if matches!(action.guard, Guard::AtMost(_) | Guard::Vacant) => {
                full.get_or_insert(action.write);
            }
            Condition::FailedOn(found) if action.is_done(found.as_ref()) => {
                first_failed.get_or_insert(action.write);
            }
            Condition::FailedOn(_) => return Outcome::Lost(action.write),
        }
    }
    match first_failed {
        Some(write) if !repeat => Outcome::Lost(write),
        Some(_) => Outcome::Applied,
        None => full.map_or(Outcome::Applied, Outcome::Lost),
    }
}
