//! The budget of a day: what its purses hold against what the runs say.

use nightshift_domain::budget::{Period, Purse, Scope, spent};
use nightshift_domain::run::{Origin, Run};
use nightshift_engine::ports::StoreError;

use crate::case::beginning;
use crate::invariants::Seen;
use crate::world::{Violation, World};

/// The purses of every day so far.
async fn purses(world: &World) -> Result<Vec<(Purse, i64)>, StoreError> {
    let (mut found, mut day) = (Vec::new(), beginning().date_naive());
    while day <= world.now().date_naive() {
        let purse = Purse { scope: Scope::All, period: Period::Day(day) };
        if let Some(held) = world.outside.store.purse(&purse).await? {
            found.push((purse, held));
        }
        day = day.succ_opt().unwrap_or(day);
    }
    Ok(found)
}

/// No day costs more than it may, at any time, with all that is set aside.
pub(crate) async fn overspent(world: &World, usd: f64) -> Vec<Violation> {
    let rule = "no budget is overspent";
    let purses = match purses(world).await {
        Ok(purses) => purses,
        Err(error) => return vec![Violation { rule, detail: error.to_string() }],
    };
    #[expect(clippy::cast_possible_truncation, reason = "a few dollars")]
    let most = (usd * 1e9) as i64;
    let over = purses.into_iter().filter(|(_, held)| !(0..=most).contains(held));
    over.map(|(purse, held)| Violation { rule, detail: format!("{purse} holds {held} of {most}") }).collect()
}

/// When all is over nothing is set aside any more, but for calls that may have been paid; and the purses hold what was paid.
pub(crate) async fn unsettled(world: &World, seen: &Seen) -> Vec<Violation> {
    let rule = "what was set aside is settled";
    let purses = match purses(world).await {
        Ok(purses) => purses,
        Err(error) => return vec![Violation { rule, detail: error.to_string() }],
    };
    let runs = || seen.runs.iter().filter(|run| run.origin != Origin::Import);
    let holds = |run: &&Run| run.reserve.nano > 0 || run.reserve.doubts.len() > run.books.unanswered() as usize;
    let mut violations: Vec<Violation> = runs()
        .filter(holds)
        .map(|run| Violation { rule, detail: format!("{} holds {:?}", run.key, run.reserve) })
        .collect();
    let (held, due) = (
        purses.iter().map(|(_, held)| *held).sum::<i64>(),
        runs().map(|run| i64::try_from(spent(run)).unwrap_or(i64::MAX)).sum::<i64>(),
    );
    if held != due {
        violations.push(Violation { rule, detail: format!("the purses hold {held}, and the runs have spent {due}") });
    }
    violations
}
