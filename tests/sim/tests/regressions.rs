//! What failed once must never fail again.

use nightshift_sim::case::{Watch, play};
use nightshift_sim::regressions::LIST;

#[test]
fn what_failed_once_comes_to_rest() {
    for regression in LIST {
        let name = regression.name;
        let case = regression.case().unwrap_or_else(|error| panic!("{name}: the case cannot be read: {error}"));
        if let Err(failure) = play(&case, Watch::Lines) {
            panic!("{name}: {failure}\n{}", failure.trace.join("\n"));
        }
    }
}
