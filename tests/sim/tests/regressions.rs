//! Cases that failed once. Each is what a found failure was cut down to, and must never fail again.

use nightshift_sim::case::{Case, Watch, play};

fn must_pass(case: &str) {
    let case: Case = serde_json::from_str(case).unwrap_or_else(|error| panic!("the case cannot be read: {error}"));
    if let Err(failure) = play(&case, Watch::Lines) {
        panic!("{failure}\n{}", failure.trace.join("\n"));
    }
}

/// A send that timed out may have been taken. That the far side asked the repeat to come later says nothing about the first
/// one: once its key was forgotten, sending again showed the message twice.
#[test]
fn a_chunk_that_may_have_arrived_stays_so_when_its_repeat_is_put_off() {
    must_pass(
        r#"{"seed":16217033318027469772,"ops":[{"send":{"slow":31}},{"send":{"later":1}},{"addJob":{"job":1,"shape":{
        "when":{"in":2},"path":"realtime","missed":"once","overlap":"skip","to":"carefulChat","session":false,"tools":false}}},
        {"advance":{"seconds":300}}]}"#,
    );
}
