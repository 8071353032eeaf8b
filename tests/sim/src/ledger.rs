//! The money: what the provider's bill says against what the runs say. Each rule answers with a sentence per violation.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_domain::RunKey;
use nightshift_domain::model::HopRequest;
use nightshift_domain::money::Cost;
use nightshift_domain::run::{Hop, Path, Run, State, Text};

use crate::provider::{BillLine, BilledVia, SimBatch, SimRow};

/// No hop of a run has two rows at the provider that are alive or paid, unless the run says that it could not tell which
/// batch was its own. Rows that ended without an answer are forgotten: another may take their place.
pub fn rows_twice(batches: &[SimBatch], runs: &[Run]) -> Vec<String> {
    let ambiguous: BTreeSet<&RunKey> = runs.iter().filter(|run| is_ambiguous(run)).map(|run| &run.key).collect();
    let mut of_hop: BTreeMap<(RunKey, u32), Vec<&str>> = BTreeMap::new();
    for batch in batches.iter().filter(|batch| !batch.foreign) {
        for row in batch.rows.iter().filter(|row| row.fate.is_none() || row.is_paid()) {
            if let Some((run, hop, _)) = RunKey::of_custom_id(&row.custom_id) {
                of_hop.entry((run, hop)).or_default().push(&batch.remote);
            }
        }
    }
    let twice = of_hop.into_iter().filter(|((run, _), rows)| rows.len() > 1 && !ambiguous.contains(run));
    twice.map(|((run, hop), rows)| format!("hop {hop} of {run} is in {}", rows.join(" and "))).collect()
}

fn is_ambiguous(run: &Run) -> bool {
    matches!(&run.state, State::Failed { code, .. } if code == "ambiguous_batch")
        || run.events.iter().any(|line| line.event == "ambiguous batch")
}
