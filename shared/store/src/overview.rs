//! The rows that stand beside each other so that a glance takes few reads: counters, places, and those that wait for one.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use nightshift_domain::RunKey;
use nightshift_engine::ports::{MOST_PLACES, Overview, Places, StoreError, cron_enabled};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use serde_json::Value;

use crate::dynamo::DynamoStore;
use crate::error::{corrupt, store_error};
use crate::item::{Attributes, Pointer, Record, Settings};
use crate::keys::{COUNTERS, JOBS_PREFIX, NEXT, PLACE_PREFIX, SETTINGS, STOP_PREFIX, WAITER_PREFIX, due_instant};
use crate::request::Terms;
use crate::schema::{PK, SK, TTL};
use crate::tally::{ENABLED, NUMBER, number};

/// Room for places in the first read of places and queue: far more than the four turns at a time of the default.
const USUAL_PLACES: usize = 60;

impl DynamoStore {
    pub(crate) async fn read_places(&self, waiting: u32) -> Result<Places, StoreError> {
        let operation = "read the places";
        let waiting = waiting as usize;
        let (mut places, mut queue_reached) = (Places::default(), false);
        let (mut start, mut room) = (None, USUAL_PLACES);
        loop {
            let (rows, next) = self.beside(operation, Side::From(PLACE_PREFIX), start, Some(room + waiting)).await?;
            for row in rows {
                let (sk, run) = taken(operation, row)?;
                if let Some(place) = sk.strip_prefix(PLACE_PREFIX) {
                    places.held.push((place.parse().map_err(|error| corrupt(operation, error))?, run));
                } else {
                    queue_reached = true;
                    places.queue.push(run);
                }
            }
            // Those that wait come last: the first of them says that every place was seen.
            start = next.filter(|_| !queue_reached || places.queue.len() < waiting);
            if start.is_none() {
                places.queue.truncate(waiting);
                return Ok(places);
            }
            room = MOST_PLACES as usize;
        }
    }

    pub(crate) async fn read_overview(&self) -> Result<Overview, StoreError> {
        let (rows, next_run_at) = futures::future::try_join(self.counter_rows(), self.next_run_at()).await?;
        let operation = "read the counters";
        let mut overview = Overview {
            cron_enabled: cron_enabled(&Value::Null),
            jobs: 0,
            enabled_jobs: 0,
            running: 0,
            next_run_at,
            config_revision: 0,
            counters: Vec::new(),
            stops: Vec::new(),
        };
        let (mut jobs, mut enabled) = (0, 0);
        for row in rows {
            let sk = row.get(SK).and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
            if sk.starts_with(PLACE_PREFIX) {
                overview.running += 1;
            } else if sk.starts_with(JOBS_PREFIX) {
                jobs += number(&row, NUMBER);
                enabled += number(&row, ENABLED);
            } else if sk == SETTINGS {
                let settings: Settings = from_item(row).map_err(|error| corrupt(operation, error))?;
                overview.config_revision = settings.rev;
                overview.cron_enabled = settings.state == "enabled";
            } else if sk.starts_with(STOP_PREFIX) {
                if number(&row, TTL) >= self.now() {
                    let row: Record = from_item(row).map_err(|error| corrupt(operation, error))?;
                    let stop = serde_json::from_str(&row.doc).map_err(|error| corrupt(operation, error))?;
                    overview.stops.push(stop);
                }
            } else if !sk.starts_with('#') {
                overview.counters.push((sk, number(&row, NUMBER)));
            }
        }
        overview.jobs = u64::try_from(jobs).unwrap_or(0);
        overview.enabled_jobs = u64::try_from(enabled).unwrap_or(0);
        Ok(overview)
    }

    /// Everything before those that wait: a thousand small rows at most, which is one page of a query.
    async fn counter_rows(&self) -> Result<Vec<Attributes>, StoreError> {
        let operation = "read the counters";
        let (mut all, mut start) = (Vec::new(), None);
        loop {
            let (rows, next) = self.beside(operation, Side::Before(WAITER_PREFIX), start, None).await?;
            all.extend(rows);
            start = next;
            if start.is_none() {
                return Ok(all);
            }
        }
    }

    /// The head of the jobs' partition of the due index.
    async fn next_run_at(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let head = self.due_partition("read the next run", NEXT, None, 1).await?;
        Ok(head.first().and_then(|place| due_instant(place)))
    }

    /// One query of the rows beside each other, and where the next one begins.
    async fn beside(
        &self,
        operation: &str,
        side: Side,
        start: Option<Attributes>,
        limit: Option<usize>,
    ) -> Result<(Vec<Attributes>, Option<Attributes>), StoreError> {
        let mut terms = Terms::default();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let (pk, list) = (terms.name(PK), terms.value("list", text(COUNTERS)));
        let (sign, edge) = match side {
            Side::From(edge) => (">=", edge),
            Side::Before(edge) => ("<", edge),
        };
        let (sk, edge) = (terms.name(SK), terms.value("edge", text(edge)));
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let query = query.key_condition_expression(format!("{pk} = {list} AND {sk} {sign} {edge}"));
        let query = query.set_expression_attribute_names(terms.names());
        let query = query.set_expression_attribute_values(terms.values());
        let query = query.set_exclusive_start_key(start).set_limit(limit.and_then(|limit| i32::try_from(limit).ok()));
        let answer = query.send().await.map_err(|error| store_error(operation, error))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.filter(|key| !key.is_empty())))
    }
}

/// Which of the rows beside each other.
#[derive(Debug, Clone, Copy)]
enum Side {
    From(&'static str),
    Before(&'static str),
}

/// The sort key of a place or waiter, and its run.
fn taken(operation: &str, row: Attributes) -> Result<(String, RunKey), StoreError> {
    let pointer: Pointer = from_item(row).map_err(|error| corrupt(operation, error))?;
    let run = RunKey::parse(&pointer.target).map_err(|error| corrupt(operation, error))?;
    Ok((pointer.sk, run))
}
