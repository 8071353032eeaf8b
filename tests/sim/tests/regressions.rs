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

/// A sweep whose read of an overdue job failed once put the job back for six hours, and the occurrence that was missed
/// meanwhile went without its row.
#[test]
fn a_job_that_could_not_be_looked_at_for_a_moment_is_looked_at_again_within_minutes() {
    must_pass(
        r#"{"seed":7548898181246120046,"ops":[{"addJob":{"job":0,"shape":{"when":{"in":1},"path":"realtime","missed":"once",
        "overlap":"skip","to":"nobody","session":false,"tools":false}}},{"advance":{"seconds":90}},{"addJob":{"job":0,
        "shape":{"when":{"in":90},"path":"realtime","missed":"once","overlap":"skip","to":"nobody","session":false,
        "tools":false}}},{"older":{"invocations":1}},{"older":{"invocations":1}},{"mishap":{"harm":"throttle","whom":"any",
        "after":1,"times":3}},{"mishap":{"harm":"failAfter","whom":"any","after":4,"times":1}},{"advance":{"seconds":810}},
        {"advance":{"seconds":1}},{"advance":{"seconds":1}}]}"#,
    );
}

/// A run that failed moved its job's next run past an occurrence that had been missed, and nobody looked for that one until the
/// job's next fire.
#[test]
fn an_occurrence_that_was_missed_is_recorded_although_its_job_pauses_after_a_failure() {
    must_pass(
        r#"{"seed":3294989580507093010,"ops":[{"addJob":{"job":1,"shape":{"when":{"daily":1},"path":"realtime","missed":"once",
        "overlap":"skip","to":"nobody","session":false,"tools":false}}},{"fireTwice":{"nth":43}},{"provider":{"answer":{
        "takes":31,"say":"done"}}},{"addJob":{"job":0,"shape":{"when":{"every":141},"path":"realtime","missed":"once",
        "overlap":"skip","to":"nobody","session":false,"tools":false}}},{"runNow":{"job":0}},{"fireEarly":{"nth":25}},
        {"mishap":{"harm":"crashBefore","whom":"any","after":1,"times":36}},{"advance":{"seconds":1}},{"advance":{"seconds":1}},
        {"advance":{"seconds":7535}},{"advance":{"seconds":315}},{"advance":{"seconds":788}}]}"#,
    );
}

/// Whoever went on with a batch that had been left while it was sealed passed over a member whose time was up meanwhile: the batch
/// was closed for want of members, with that one still in it.
#[test]
fn a_member_whose_time_is_up_does_not_stay_behind_in_a_batch_that_is_closed() {
    must_pass(
        r#"{"seed":10380111814988308882,"ops":[{"addJob":{"job":0,"shape":{"when":{"hourly":5},"path":"realtime",
        "missed":"once","overlap":"skip","to":"carefulChat","session":true,"tools":false}}},{"fireLate":{"nth":0,
        "seconds":1}},{"fireLate":{"nth":0,"seconds":1}},{"advance":{"seconds":3}},{"advance":{"seconds":18}},
        {"provider":{"row":"never"}},{"fireTwice":{"nth":20}},{"advance":{"seconds":65}},{"advance":{"seconds":10}},
        {"advance":{"seconds":35424}},{"advance":{"seconds":108}},{"runNow":{"job":1}},{"addJob":{"job":2,
        "shape":{"when":{"every":86},"path":{"batch":{"minutes":2,"then_realtime":false}},"missed":"once","overlap":"skip",
        "to":"nobody","session":false,"tools":false}}},{"addJob":{"job":3,"shape":{"when":{"in":1},
        "path":{"batch":{"minutes":9,"then_realtime":true}},"missed":"once","overlap":"queue","to":"nobody",
        "session":false,"tools":false}}},{"provider":{"foreign":{"rows":1,"seconds":60}}},{"provider":{"row":"missing"}},
        {"runNow":{"job":3}},{"send":{"slow":31}},{"advance":{"seconds":1}},{"advance":{"seconds":2938}},
        {"fireEarly":{"nth":7}},{"twice":{"envelopes":1}},{"advance":{"seconds":338}},{"editJob":{"job":0,
        "edit":{"overlap":"skip"}}},{"addJob":{"job":3,"shape":{"when":{"in":1},"path":"realtime","missed":"once",
        "overlap":"skip","to":"nobody","session":false,"tools":false}}},{"runNow":{"job":0}},{"advance":{"seconds":1}},
        {"advance":{"seconds":3436}},{"mishap":{"harm":"failBefore","whom":"any","after":2,"times":4}},
        {"mishap":{"harm":"throttle","whom":"effects","after":38,"times":1}},{"advance":{"seconds":85}},{"switch":{"job":0,
        "on":false}},{"addJob":{"job":2,"shape":{"when":{"every":30},"path":"realtime","missed":"once","overlap":"skip",
        "to":"nobody","session":false,"tools":false}}},{"editJob":{"job":0,"edit":{"when":{"hourly":0}}}},
        {"advance":{"seconds":3645}},{"window":{"seconds":1}},{"runNow":{"job":2}},{"advance":{"seconds":180}}]}"#,
    );
}

/// A run that waited for its turn, and one that waited for its session, stayed after their job was removed until a sweep came by.
#[test]
fn runs_that_wait_end_with_their_job() {
    must_pass(
        r#"{"seed":554887707886663306,"ops":[{"provider":{"batch":{"takes":2980,"listedAfter":0,"hidden":0,"resultsAfter":0,
        "stopsAfter":30}}},{"addJob":{"job":0,"shape":{"when":{"every":30},"path":{"batch":{"minutes":89,"then_realtime":true}},
        "missed":"once","overlap":"queue","to":"nobody","session":false,"tools":false}}},{"advance":{"seconds":3600}},
        {"remove":{"job":0}},{"advance":{"seconds":1}}]}"#,
    );
    must_pass(
        r#"{"seed":3235580332194055248,"ops":[{"provider":{"batch":{"takes":2980,"listedAfter":0,"hidden":0,"resultsAfter":0,
        "stopsAfter":30}}},{"addJob":{"job":1,"shape":{"when":{"every":30},"path":{"batch":{"minutes":60,"then_realtime":false}},
        "missed":"once","overlap":"allow","to":"nobody","session":true,"tools":false}}},{"advance":{"seconds":3600}},
        {"remove":{"job":1}},{"advance":{"seconds":1}}]}"#,
    );
}

/// Whoever stood still while others sealed the same batch, and while its create was refused, put a run that had been told so and
/// was ready again back into that batch, of which nothing came any more.
#[test]
fn a_run_that_was_told_of_a_refusal_is_not_taken_into_that_batch_again() {
    must_pass(
        r#"{"seed":9328505836562258001,"ops":[{"window":{"seconds":1}},{"addJob":{"job":0,"shape":{"when":{"every":30},
        "path":{"batch":{"minutes":60,"then_realtime":false}},"missed":"once","overlap":"skip","to":"nobody",
        "session":false,"tools":false}}},{"addJob":{"job":1,"shape":{"when":{"every":30},"path":{"batch":{"minutes":60,
        "then_realtime":true}},"missed":"once","overlap":"skip","to":"nobody","session":false,"tools":false}}},
        {"mishap":{"harm":{"stall":{"seconds":30}},"whom":"windows","after":2,"times":1}},{"twice":{"envelopes":3}},
        {"advance":{"seconds":1}},{"runNow":{"job":0}},{"fireEarly":{"nth":151}},
        {"mishap":{"harm":{"stall":{"seconds":121}},"whom":"windows","after":7,"times":1}},{"twice":{"envelopes":3}},
        {"fireEarly":{"nth":136}},{"runNow":{"job":0}},{"advance":{"seconds":1}},{"mishap":{"harm":"throttle",
        "whom":"effects","after":6,"times":2}},{"cancel":{"nth":57}},{"provider":{"row":{"answered":"done"}}},
        {"provider":{"refuse":{"how":"rateLimited","calls":1}}},{"advance":{"seconds":330}},{"advance":{"seconds":1}},
        {"advance":{"seconds":1}},{"advance":{"seconds":1}}]}"#,
    );
}

/// A repeat that was safe when it was decided stood still before it was sent, and went out when its channel had forgotten the
/// first one: the message was there twice.
#[test]
fn a_repeat_that_stood_still_until_nobody_drops_it_is_not_sent() {
    must_pass(
        r#"{"seed":5150551135429906329,"ops":[{"addJob":{"job":0,"shape":{"when":{"in":3794},"path":{"batch":{"minutes":1,
        "then_realtime":false}},"missed":"once","overlap":"skip","to":"nobody","session":false,"tools":false}}},
        {"advance":{"seconds":17}},{"addJob":{"job":3,"shape":{"when":{"every":35},"path":{"batch":{"minutes":1,
        "then_realtime":true}},"missed":"once","overlap":"skip","to":"carefulChat","session":false,"tools":false}}},
        {"advance":{"seconds":5471}},{"advance":{"seconds":55}},{"advance":{"seconds":6600}},
        {"provider":{"batch":{"takes":121,"listedAfter":0,"hidden":0,"resultsAfter":0,"stopsAfter":1}}},
        {"send":{"slow":31}},{"advance":{"seconds":643}},{"mishap":{"harm":"failBefore","whom":"effects","after":3,
        "times":2}},{"advance":{"seconds":74}},{"mishap":{"harm":"crashAfter","whom":"timers","after":1,"times":1}},
        {"addJob":{"job":1,"shape":{"when":{"hourly":0},"path":"realtime","missed":"once","overlap":"skip",
        "to":"nobody","session":false,"tools":false}}},{"mishap":{"harm":{"stall":{"seconds":60}},"whom":"effects",
        "after":6,"times":1}},{"advance":{"seconds":210}}]}"#,
    );
}

/// It waited for its second with the row of the first job in its hands, whose `rev` the second one had, too.
#[test]
fn whoever_read_a_removed_job_does_not_write_it_over_another_of_its_id() {
    must_pass(
        r#"{"seed":8464238708201079719,"ops":[{"addJob":{"job":0,"shape":{"when":{"every":30},"path":"realtime",
        "missed":"once","overlap":"skip","to":"nobody","session":false,"tools":false,"eager":false}}},
        {"advance":{"seconds":2768}},{"advance":{"seconds":3431}},{"addJob":{"job":3,"shape":{"when":{"in":1},
        "path":{"batch":{"minutes":1,"then_realtime":false}},"missed":"once","overlap":"skip","to":"nobody",
        "session":false,"tools":false,"eager":false}}},{"remove":{"job":3}},{"addJob":{"job":3,
        "shape":{"when":{"every":30},"path":"realtime","missed":"once","overlap":"skip","to":"nobody","session":false,
        "tools":false,"eager":false}}},{"runNow":{"job":0}},{"advance":{"seconds":8915}},{"advance":{"seconds":6874}},
        {"advance":{"seconds":660}},{"advance":{"seconds":43211}},{"advance":{"seconds":7285}},
        {"advance":{"seconds":689}},{"advance":{"seconds":6567}}]}"#,
    );
}

/// The same where the first job had been written more often: its schedule was taken for the second one's.
#[test]
fn a_fire_of_a_removed_job_is_not_judged_by_its_schedule_when_another_has_its_id() {
    must_pass(
        r#"{"seed":6684149274191393649,"ops":[{"window":{"seconds":1}},{"addJob":{"job":0,"shape":{"when":{"in":90},
        "path":{"batch":{"minutes":60,"then_realtime":false}},"missed":"once","overlap":"skip","to":"nobody",
        "session":false,"tools":false,"eager":false}}},{"addJob":{"job":1,"shape":{"when":{"in":133},
        "path":{"batch":{"minutes":60,"then_realtime":false}},"missed":"once","overlap":"skip","to":"nobody",
        "session":false,"tools":false,"eager":false}}},{"advance":{"seconds":1}},{"runNow":{"job":0}},
        {"mishap":{"harm":"failBefore","whom":"effects","after":2,"times":1}},{"fireTwice":{"nth":172}},
        {"runNow":{"job":2}},{"fireEarly":{"nth":145}},{"addJob":{"job":0,"shape":{"when":{"every":210},"path":"realtime",
        "missed":"once","overlap":"skip","to":"nobody","session":false,"tools":false,"eager":false}}},
        {"remove":{"job":0}},{"advance":{"seconds":1}},{"addJob":{"job":1,"shape":{"when":{"every":30},"path":"realtime",
        "missed":"once","overlap":"skip","to":"nobody","session":false,"tools":false,"eager":false}}},
        {"advance":{"seconds":90}},{"loseTimer":{"nth":39}},{"advance":{"seconds":9229}},{"switch":{"job":1,"on":false}},
        {"runNow":{"job":0}}]}"#,
    );
}
