//! The command line as people feel it: from the start of the process to its end.

use std::time::Duration;

use anyhow::ensure;
use nightshift_local::Ready;
use nightshift_tests::process::nightshift;

use crate::stopwatch::{each, median};
use crate::table::{Table, millis, ratio};

/// How often each command is started.
const TIMES: usize = 20;

/// Measures and prints; the stack has no jobs before, and as many as commands that added one afterwards.
pub(crate) fn measure(ready: &Ready) -> anyhow::Result<()> {
    let add = ["cron", "add", "--name", "Bench", "--cron", "0 7 1 1 *", "--message", "Summarize the year."];
    let commands: [(&str, &[&str]); 4] = [
        ("nightshift --version", &["--version"]),
        ("nightshift cron add", &add),
        ("nightshift cron list", &["cron", "list"]),
        ("nightshift cron status", &["cron", "status"]),
    ];
    let title = format!("Command line: the whole process, {TIMES} times each; {TIMES} jobs are listed");
    let mut table = Table::new(title, &["", "median", "fastest", "slowest", "to --version"]);
    let mut bare = Duration::ZERO;
    for (name, words) in commands {
        let taken = each(TIMES, || {
            let said = nightshift(ready, words);
            ensure!(said.code == 0, "{name} ended with {}: {}", said.code, said.err);
            Ok(())
        })?;
        let middle = median(&taken);
        if bare.is_zero() {
            bare = middle;
        }
        let (first, last) = (taken.first().copied().unwrap_or_default(), taken.last().copied().unwrap_or_default());
        let to_bare = ratio(middle.as_secs_f64(), bare.as_secs_f64());
        table.row(vec![name.to_owned(), millis(middle), millis(first), millis(last), to_bare]);
    }
    table.print();
    Ok(())
}
