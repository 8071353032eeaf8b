//! Sets money aside for a call before it is sent, where budgets hold for its run.
//!
//! Guarantee: a call is sent only when what it can cost at most was set aside in every purse it counts against, in the write
//! that sends it; that write is lost where a purse is too full, and the run ends with a sentence instead. A purse is begun with
//! what its time has cost so far, so that a limit that is set in the middle of a month counts what was paid before; of calls
//! that were under way then it does not know.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use nightshift_domain::JobId;
use nightshift_domain::budget::{
    self, Change, Costliest, Limit, Purse, Scope, Sending, dollars, limits, most, moved, passes, refusal, run_limit,
};
use nightshift_domain::money::NanoUsd;
use nightshift_domain::run::{Hop, Run, Text, Transition};

use crate::error::EngineError;
use crate::ports::{Memo, PageRequest, Write};

use super::Scene;

/// What was found out about purses since the first try.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What they hold, or begin with.
    held: BTreeMap<Purse, Held>,
    /// Whether it was told that a purse is empty.
    told: bool,
}

#[derive(Debug, Clone, Copy)]
enum Held {
    Stands(i64),
    Begins(i64),
}

/// What is to be set aside for the call that a transition leads to.
#[derive(Debug, Default)]
pub(super) struct Wish {
    /// How much, and what it counts against; `None` where no budget holds, or no call is sent.
    call: Option<(NanoUsd, Vec<Limit>)>,
    /// The note that a purse is too empty, where nobody was told.
    memo: Option<Memo>,
}

/// What is written of purses with a run.
#[derive(Debug, Default)]
pub(super) struct Purses {
    changes: Vec<Change>,
    begun: Vec<(Purse, i64)>,
    memo: Option<(Memo, DateTime<Utc>)>,
}

impl Purses {
    /// The writes, all of which a too full purse, or somebody who told before, makes be lost.
    pub(super) fn writes(&self) -> impl Iterator<Item = Write<'_>> {
        let changes = self.changes.iter().map(Write::Purse);
        let begun = self.begun.iter().map(|(purse, nano)| Write::BeginPurse { purse, nano: *nano });
        let memo = self.memo.iter().map(|(memo, at)| Write::Memo { memo, expires_at: Some(*at) });
        changes.chain(begun).chain(memo)
    }
}

/// What the transition of `before` has to set aside, or the transition as one that ends for want of money.
pub(super) fn wish(
    scene: Scene<'_>,
    before: &Run,
    stood: &[Hop],
    mut transition: Transition,
    known: &Known,
    now: DateTime<Utc>,
) -> (Transition, Wish) {
    let call = Sending::of(&transition.run.state);
    if call.is_none() || call == before.reserve.call {
        return (transition, Wish::default());
    }
    let run = &transition.run;
    let (limits, per_run) = (limits(run, scene.config, now), run_limit(run, scene.config));
    if limits.is_empty() && per_run.is_none() {
        return (transition, Wish::default());
    }
    let nano = costliest(scene, run, now);
    // With what this very step settles of the call before.
    let mut trial = run.clone();
    let changes = moved(before, stood, &mut trial, Some((nano, &limits)));
    if let Some(limit) = per_run.filter(|limit| passes(&trial, nano, *limit)) {
        let left = limit.saturating_sub(budget::spent(&trial));
        let message = refusal(&format!("the budget of {} a run", dollars(limit)), nano, left);
        return (transition.over_budget(&message, now), Wish::default());
    }
    for limit in &limits {
        let held = match known.held.get(&limit.purse) {
            Some(Held::Stands(nano) | Held::Begins(nano)) => *nano,
            None => continue,
        };
        let by = changes.iter().find(|change| change.purse == limit.purse).map_or(0, |change| change.by);
        if held.saturating_add(by) > i64::try_from(limit.most).unwrap_or(i64::MAX) {
            let left = limit.most.saturating_sub(u64::try_from(held).unwrap_or(0));
            let message = refusal(&limit.words(), nano, left);
            let shared = !matches!(limit.purse.scope, Scope::Job(_));
            let memo = (shared && !known.told).then(|| Memo {
                name: format!("budget/{}", limit.purse),
                document: message.clone().into(),
                rev: 1,
            });
            transition.run.reserve.told = shared && known.told;
            return (transition.over_budget(&message, now), Wish { memo, ..Wish::default() });
        }
    }
    (transition, Wish { call: Some((nano, limits)), memo: None })
}

/// What becomes of the purses when `after` is written, which is what the transition of `before` came to in the end.
pub(super) fn settled(before: &Run, stood: &[Hop], after: &mut Run, wish: Wish, known: &Known) -> Purses {
    let told = after.reserve.told;
    let call = wish.call.as_ref().map(|(nano, limits)| (*nano, limits.as_slice()));
    let mut changes = moved(before, stood, after, call);
    after.reserve.told = told;
    let mut begun = Vec::new();
    changes.retain(|change| match known.held.get(&change.purse) {
        Some(Held::Begins(nano)) if change.most.is_some() => {
            begun.push((change.purse.clone(), nano + change.by));
            false
        }
        Some(_) | None => true,
    });
    // A note of a purse is of no use when its time is over.
    let memo = wish.memo.map(|memo| (memo, after.state_since + TimeDelta::days(32)));
    Purses { changes, begun, memo }
}

/// Looks into the purses of `run` after a write was lost to one of them, or to somebody who told of one first.
pub(super) async fn look(scene: Scene<'_>, run: &Run, lost: &Purses, now: DateTime<Utc>) -> Result<Known, EngineError> {
    let mut known = Known::default();
    for limit in limits(run, scene.config, now) {
        let held = match scene.deps.store.purse(&limit.purse).await? {
            Some(nano) => Held::Stands(nano),
            None => Held::Begins(spent_so_far(scene, &limit.purse, now.date_naive()).await?),
        };
        known.held.insert(limit.purse, held);
    }
    if let Some((memo, _)) = &lost.memo {
        known.told = scene.deps.store.memo(&memo.name).await?.is_some();
    }
    Ok(known)
}

/// What the time of a purse has cost until now, by the totals of its days.
async fn spent_so_far(scene: Scene<'_>, purse: &Purse, today: NaiveDate) -> Result<i64, EngineError> {
    let (first, last) = purse.period.days();
    let (mut day, mut sum) = (first, 0_i64);
    let job = match &purse.scope {
        Scope::Job(id) => JobId::parse(id).ok(),
        Scope::Agent(_) | Scope::All => None,
    };
    while day <= last.min(today) {
        let mut cursor = None;
        loop {
            let page = PageRequest { limit: 200, cursor: cursor.take() };
            let page = scene.deps.store.spending(day, job.as_ref(), &page).await?;
            let counts = |agent: &str| !matches!(&purse.scope, Scope::Agent(name) if name != agent);
            sum += page.items.iter().filter(|row| counts(&row.of.agent_id)).map(|row| row.totals.paid).sum::<i64>();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        match day.succ_opt() {
            Some(next) => day = next,
            None => break,
        }
    }
    Ok(sum)
}

/// The most that the next call of `run` can cost.
fn costliest(scene: Scene<'_>, run: &Run, now: DateTime<Utc>) -> NanoUsd {
    let Some(plan) = &run.plan else { return 0 };
    let said = run.talk.opening.iter().chain(&run.talk.said).map(|said| &said.content);
    let texts = said.chain([&run.prompt]).chain(&plan.system).chain(&plan.tools);
    let call = Costliest {
        reference: &format!("{}/{}", plan.provider, plan.model),
        path: plan.path,
        bytes: texts.map(Text::bytes).map(|bytes| bytes as u64).sum(),
        max_tokens: plan.max_tokens,
        searches: plan.searches,
        now,
        until: plan.deadline,
    };
    most(&call, &scene.config.models.prices)
}
