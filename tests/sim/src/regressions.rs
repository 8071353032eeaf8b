//! Cases that failed once. Each is what a found failure was cut down to, and must never fail again.

use crate::case::Case;

/// A case that failed once.
#[derive(Debug, Clone, Copy)]
pub struct Regression {
    /// What holds now.
    pub name: &'static str,
    text: &'static str,
}

impl Regression {
    /// The case itself.
    pub fn case(&self) -> Result<Case, serde_json::Error> {
        serde_json::from_str(self.text)
    }
}

/// All of them.
pub const LIST: &[Regression] = &[
    // A send that timed out may have been taken. That the far side asked the repeat to come later says nothing about the first
    // one: once its key was forgotten, sending again showed the message twice.
    Regression {
        name: "a chunk that may have arrived stays so when its repeat is put off",
        text: r#"{"seed":16217033318027469772,"ops":[{"send":{"slow":31}},{"send":{"later":1}},{"addJob":{"job":1,"shape":{
        "when":{"in":2},"path":"realtime","missed":"once","overlap":"skip","to":"carefulChat","session":false,"tools":false}}},
        {"advance":{"seconds":300}}]}"#,
    },
    // A sweep whose read of an overdue job failed once put the job back for six hours, and the occurrence that was missed
    // meanwhile went without its row.
    Regression {
        name: "a job that could not be looked at for a moment is looked at again within minutes",
        text: r#"{"seed":7548898181246120046,"ops":[{"addJob":{"job":0,"shape":{"when":{"in":1},"path":"realtime","missed":"once",
        "overlap":"skip","to":"nobody","session":false,"tools":false}}},{"advance":{"seconds":90}},{"addJob":{"job":0,
        "shape":{"when":{"in":90},"path":"realtime","missed":"once","overlap":"skip","to":"nobody","session":false,
        "tools":false}}},{"older":{"invocations":1}},{"older":{"invocations":1}},{"mishap":{"harm":"throttle","whom":"any",
        "after":1,"times":3}},{"mishap":{"harm":"failAfter","whom":"any","after":4,"times":1}},{"advance":{"seconds":810}},
        {"advance":{"seconds":1}},{"advance":{"seconds":1}}]}"#,
    },
    // A run that failed moved its job's next run past an occurrence that had been missed, and nobody looked for that one until the
    // job's next fire.
    Regression {
        name: "an occurrence that was missed is recorded although its job pauses after a failure",
        text: r#"{"seed":3294989580507093010,"ops":[{"addJob":{"job":1,"shape":{"when":{"daily":1},"path":"realtime","missed":"once",
        "overlap":"skip","to":"nobody","session":false,"tools":false}}},{"fireTwice":{"nth":43}},{"provider":{"answer":{
        "takes":31,"say":"done"}}},{"addJob":{"job":0,"shape":{"when":{"every":141},"path":"realtime","missed":"once",
        "overlap":"skip","to":"nobody","session":false,"tools":false}}},{"runNow":{"job":0}},{"fireEarly":{"nth":25}},
        {"mishap":{"harm":"crashBefore","whom":"any","after":1,"times":36}},{"advance":{"seconds":1}},{"advance":{"seconds":1}},
        {"advance":{"seconds":7535}},{"advance":{"seconds":315}},{"advance":{"seconds":788}}]}"#,
    },
    // Whoever went on with a batch that had been left while it was sealed passed over a member whose time was up meanwhile: the batch
    // was closed for want of members, with that one still in it.
    Regression {
        name: "a member whose time is up does not stay behind in a batch that is closed",
        text: r#"{"seed":10380111814988308882,"ops":[{"addJob":{"job":0,"shape":{"when":{"hourly":5},"path":"realtime",
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
    },
    // A run that waited for its turn, and one that waited for its session (the next one), stayed after their job was removed
    // until a sweep came by.
    Regression {
        name: "a run that waits for its turn ends with its job",
        text: r#"{"seed":554887707886663306,"ops":[{"provider":{"batch":{"takes":2980,"listedAfter":0,"hidden":0,"resultsAfter":0,
        "stopsAfter":30}}},{"addJob":{"job":0,"shape":{"when":{"every":30},"path":{"batch":{"minutes":89,"then_realtime":true}},
        "missed":"once","overlap":"queue","to":"nobody","session":false,"tools":false}}},{"advance":{"seconds":3600}},
        {"remove":{"job":0}},{"advance":{"seconds":1}}]}"#,
    },
    Regression {
        name: "a run that waits for its session ends with its job",
        text: r#"{"seed":3235580332194055248,"ops":[{"provider":{"batch":{"takes":2980,"listedAfter":0,"hidden":0,"resultsAfter":0,
        "stopsAfter":30}}},{"addJob":{"job":1,"shape":{"when":{"every":30},"path":{"batch":{"minutes":60,"then_realtime":false}},
        "missed":"once","overlap":"allow","to":"nobody","session":true,"tools":false}}},{"advance":{"seconds":3600}},
        {"remove":{"job":1}},{"advance":{"seconds":1}}]}"#,
    },
    // Whoever stood still while others sealed the same batch, and while its create was refused, put a run that had been told so and
    // was ready again back into that batch, of which nothing came any more.
    Regression {
        name: "a run that was told of a refusal is not taken into that batch again",
        text: r#"{"seed":9328505836562258001,"ops":[{"window":{"seconds":1}},{"addJob":{"job":0,"shape":{"when":{"every":30},
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
    },
    // A repeat that was safe when it was decided stood still before it was sent, and went out when its channel had forgotten the
    // first one: the message was there twice.
    Regression {
        name: "a repeat that stood still until nobody drops it is not sent",
        text: r#"{"seed":5150551135429906329,"ops":[{"addJob":{"job":0,"shape":{"when":{"in":3794},"path":{"batch":{"minutes":1,
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
    },
    // It waited for its second with the row of the first job in its hands, whose `rev` the second one had, too.
    Regression {
        name: "whoever read a removed job does not write it over another of its id",
        text: r#"{"seed":8464238708201079719,"ops":[{"addJob":{"job":0,"shape":{"when":{"every":30},"path":"realtime",
        "missed":"once","overlap":"skip","to":"nobody","session":false,"tools":false,"eager":false}}},
        {"advance":{"seconds":2768}},{"advance":{"seconds":3431}},{"addJob":{"job":3,"shape":{"when":{"in":1},
        "path":{"batch":{"minutes":1,"then_realtime":false}},"missed":"once","overlap":"skip","to":"nobody",
        "session":false,"tools":false,"eager":false}}},{"remove":{"job":3}},{"addJob":{"job":3,
        "shape":{"when":{"every":30},"path":"realtime","missed":"once","overlap":"skip","to":"nobody","session":false,
        "tools":false,"eager":false}}},{"runNow":{"job":0}},{"advance":{"seconds":8915}},{"advance":{"seconds":6874}},
        {"advance":{"seconds":660}},{"advance":{"seconds":43211}},{"advance":{"seconds":7285}},
        {"advance":{"seconds":689}},{"advance":{"seconds":6567}}]}"#,
    },
    // The same where the first job had been written more often: its schedule was taken for the second one's.
    Regression {
        name: "a fire of a removed job is not judged by its schedule when another has its id",
        text: r#"{"seed":6684149274191393649,"ops":[{"window":{"seconds":1}},{"addJob":{"job":0,"shape":{"when":{"in":90},
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
    },
];
