//! The totals of a day: numbers that grow, beside what they are of.
//!
//! Guarantee: they grow in the transaction that writes the run they are of, so that an answer is in both or in neither.

use chrono::{Days, NaiveDate, NaiveTime};
use nightshift_domain::JobId;
use nightshift_domain::budget::Purse;
use nightshift_domain::cost::{Spend, SpendOf, Totals};
use nightshift_engine::ports::{Page, PageRequest, StoreError};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::dynamo::DynamoStore;
use crate::error::corrupt;
use crate::item::{Attributes, ITEM_VERSION};
use crate::keys::{Key, spend_partition, spend_prefix};
use crate::page::List;
use crate::tally::{NUMBER, number};

/// How long they stay after their day: the same month of the year before can be looked at.
const KEPT: Days = Days::new(400);

/// How long a purse stays after its time: an answer may come as late as its batch's results can be read.
const PURSE_KEPT: Days = Days::new(40);

/// What a row says beside its numbers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpendRow {
    kind: String,
    v: u32,
    ttl: i64,
    name: String,
    day: NaiveDate,
    job_id: String,
    agent_id: String,
    model: String,
    path: String,
}

impl SpendRow {
    pub(crate) fn new(spend: &Spend) -> Self {
        let SpendOf { day, job_id, agent_id, model, path } = spend.of.clone();
        let until = day.checked_add_days(KEPT).unwrap_or(NaiveDate::MAX).and_time(NaiveTime::MIN).and_utc();
        Self {
            kind: "spend".to_owned(),
            v: ITEM_VERSION,
            ttl: until.timestamp(),
            name: spend.job_name.clone(),
            day,
            job_id,
            agent_id,
            model,
            path,
        }
    }
}

/// What a purse's row says beside its number.
#[derive(Debug, Serialize)]
pub(crate) struct PurseRow {
    kind: &'static str,
    v: u32,
    ttl: i64,
}

impl PurseRow {
    pub(crate) fn new(purse: &Purse) -> Self {
        let (_, last) = purse.period.days();
        let until = last.checked_add_days(PURSE_KEPT).unwrap_or(NaiveDate::MAX).and_time(NaiveTime::MIN).and_utc();
        Self { kind: "purse", v: ITEM_VERSION, ttl: until.timestamp() }
    }
}

impl DynamoStore {
    pub(crate) async fn purse_held(&self, purse: &Purse) -> Result<Option<i64>, StoreError> {
        let row = self.row("read a purse", &Key::purse(purse)).await?;
        Ok(row.map(|row| number(&row, NUMBER)))
    }

    /// A page of a day's totals.
    pub(crate) async fn spend_page(
        &self,
        day: NaiveDate,
        job: Option<&JobId>,
        page: &PageRequest,
    ) -> Result<Page<Spend>, StoreError> {
        let operation = format!("list the totals of {day}");
        let list = List::of_table(spend_partition(day), job.map(|job| spend_prefix(job.as_str())));
        self.page_of(&operation, &list, page, |row| read(&operation, row)).await
    }
}

fn read(operation: &str, row: Attributes) -> Result<Spend, StoreError> {
    let totals = Totals::of(|name| number(&row, name));
    let row: SpendRow = from_item(row).map_err(|error| corrupt(operation, error))?;
    let SpendRow { day, job_id, agent_id, model, path, name, .. } = row;
    Ok(Spend { of: SpendOf { day, job_id, agent_id, model, path }, job_name: name, totals })
}
