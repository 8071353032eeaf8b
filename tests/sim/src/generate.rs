//! Which operations are made up, and how often each.

use proptest::prelude::*;

use crate::case::Case;
use crate::channel::SendPlan;
use crate::mishap::{Harm, Mishap, Whom};
use crate::ops::{Edit, Missed, Op, Overlap, Shape, To, Way, When};
use crate::provider::{AnswerPlan, BatchPlan, Plan, Refusal, RowPlan, Say};

/// A case: a job, or several that share batches, and ten to sixty things that happen to them. In one of twenty nothing goes
/// wrong.
pub fn case() -> impl Strategy<Value = Case> {
    let ops = prop_oneof![
        15 => (alone(), prop::collection::vec(op(), 9..60)),
        4 => (together(), prop::collection::vec(op(), 9..60)),
        1 => (alone(), prop::collection::vec(calm(), 9..60)),
    ];
    (any::<u64>().no_shrink(), ops).prop_map(|(seed, (mut ops, rest))| {
        ops.extend(rest);
        Case { seed, ops }
    })
}

/// The days of a main session: texts are put before it by jobs and by hand, and it looks around by itself.
pub fn main_session() -> impl Strategy<Value = Case> {
    let beat = || prop_oneof![1 => Just(0u32), 3 => 5..90u32].prop_map(|minutes| Op::Beat { minutes });
    let remind = || {
        (0..4u8, prop_oneof![1..120u32, 120..4_000u32], any::<bool>()).prop_map(|(job, seconds, now)| Op::Remind {
            job,
            seconds,
            now,
        })
    };
    let tell = || any::<bool>().prop_map(|now| Op::Tell { now });
    let answer = || {
        (prop_oneof![3 => 1..60u32, 1 => 60..900u32], say())
            .prop_map(|(takes, say)| Op::Provider(Plan::Answer(AnswerPlan { takes, say })))
    };
    let calm = move || {
        prop_oneof![
            20 => step(),
            8 => remind(),
            8 => tell(),
            2 => beat(),
            2 => (0..4u8).prop_map(|job| Op::RunNow { job }),
            2 => any::<u8>().prop_map(|nth| Op::Cancel { nth }),
            1 => (0..4u8, shape()).prop_map(|(job, shape)| Op::AddJob { job, shape }),
            1 => (0..4u8).prop_map(|job| Op::Remove { job }),
            4 => answer(),
        ]
    };
    let rough = move || {
        prop_oneof![
            24 => calm(),
            2 => any::<u8>().prop_map(|nth| Op::FireEarly { nth }),
            3 => any::<u8>().prop_map(|nth| Op::FireTwice { nth }),
            2 => (any::<u8>(), 1..4_000u32).prop_map(|(nth, seconds)| Op::FireLate { nth, seconds }),
            1 => any::<u8>().prop_map(|nth| Op::LoseTimer { nth }),
            3 => (1..4u8).prop_map(|envelopes| Op::Twice { envelopes }),
            14 => mishap().prop_map(Op::Mishap),
            1 => (1..3u32).prop_map(|calls| Op::Provider(Plan::Refuse { how: Refusal::Overloaded, calls })),
            1 => any::<bool>().prop_map(|gone| Op::Provider(Plan::KeyGone(gone))),
            1 => Just(SendPlan::Refused).prop_map(Op::Send),
            1 => (1..4u32).prop_map(|most| Op::Places { most }),
            1 => any::<bool>().prop_map(|repair| Op::Doctor { repair }),
        ]
    };
    let ops = prop_oneof![
        6 => prop::collection::vec(rough(), 9..50),
        1 => prop::collection::vec(calm(), 9..50),
    ];
    (any::<u64>().no_shrink(), ops).prop_map(|(seed, ops)| Case { seed, ops })
}

/// What happens on a day on which nothing breaks: [`Op::is_calm`].
fn calm() -> impl Strategy<Value = Op> {
    prop_oneof![
        24 => step(),
        6 => (0..4u8, shape()).prop_map(|(job, shape)| Op::AddJob { job, shape }),
        4 => (0..4u8, edit()).prop_map(|(job, edit)| Op::EditJob { job, edit }),
        3 => (0..4u8, any::<bool>()).prop_map(|(job, on)| Op::Switch { job, on }),
        2 => (0..4u8).prop_map(|job| Op::Remove { job }),
        6 => (0..4u8).prop_map(|job| Op::RunNow { job }),
        3 => any::<u8>().prop_map(|nth| Op::Cancel { nth }),
        8 => (5..20_000u32).prop_map(|takes| Op::Provider(Plan::Batch(BatchPlan { takes, ..BatchPlan::default() }))),
        4 => (1..60u32, say()).prop_map(|(takes, say)| Op::Provider(Plan::Answer(AnswerPlan { takes, say }))),
        2 => (1..120u32).prop_map(|seconds| Op::Window { seconds }),
    ]
}

fn alone() -> impl Strategy<Value = Vec<Op>> {
    (0..2u8, shape()).prop_map(|(job, shape)| vec![Op::AddJob { job, shape }])
}

/// Jobs whose hops meet in a window: they are started by hand within it, and what goes on there is done twice or late, or
/// stands still in the middle.
fn together() -> impl Strategy<Value = Vec<Op>> {
    let way = (60..3_000u32, any::<bool>()).prop_map(|(minutes, then_realtime)| Way::Batch { minutes, then_realtime });
    let job = (shape(), way).prop_map(|(shape, path)| Shape { path, session: false, ..shape });
    let bustle = prop_oneof![
        4 => (0..4u8).prop_map(|job| Op::RunNow { job }),
        3 => (1..4u8).prop_map(|envelopes| Op::Twice { envelopes }),
        2 => any::<u8>().prop_map(|nth| Op::FireTwice { nth }),
        2 => any::<u8>().prop_map(|nth| Op::FireEarly { nth }),
        3 => (1..90u32).prop_map(|seconds| Op::Advance { seconds }),
        1 => mishap().prop_map(Op::Mishap),
        3 => stall(),
    ];
    (1..300u32, prop::collection::vec(job, 2..5), prop::collection::vec(bustle, 4..20)).prop_map(
        |(seconds, jobs, bustle)| {
            let jobs = (0u8..).zip(jobs).map(|(job, shape)| Op::AddJob { job, shape });
            std::iter::once(Op::Window { seconds }).chain(jobs).chain(bustle).collect()
        },
    )
}

/// Somebody who enters a window, or empties one, stands still until others have done the same.
fn stall() -> impl Strategy<Value = Op> {
    let whom = prop_oneof![3 => Just(Whom::Windows), 1 => Just(Whom::Effects)];
    (whom, 0..8u32, 30..290u32)
        .prop_map(|(whom, after, seconds)| Op::Mishap(Mishap { harm: Harm::Stall { seconds }, whom, after, times: 1 }))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        24 => step(),
        6 => (0..4u8, shape()).prop_map(|(job, shape)| Op::AddJob { job, shape }),
        4 => (0..4u8, edit()).prop_map(|(job, edit)| Op::EditJob { job, edit }),
        3 => (0..4u8, any::<bool>()).prop_map(|(job, on)| Op::Switch { job, on }),
        2 => (0..4u8).prop_map(|job| Op::Remove { job }),
        6 => (0..4u8).prop_map(|job| Op::RunNow { job }),
        3 => any::<u8>().prop_map(|nth| Op::Cancel { nth }),
        2 => any::<u8>().prop_map(|nth| Op::FireEarly { nth }),
        3 => any::<u8>().prop_map(|nth| Op::FireTwice { nth }),
        3 => (any::<u8>(), prop_oneof![1..120u32, 120..1800u32, 1800..20_000u32])
            .prop_map(|(nth, seconds)| Op::FireLate { nth, seconds }),
        1 => any::<u8>().prop_map(|nth| Op::LoseTimer { nth }),
        3 => (1..4u8).prop_map(|envelopes| Op::Twice { envelopes }),
        3 => (1..6u8).prop_map(|invocations| Op::Older { invocations }),
        16 => mishap().prop_map(Op::Mishap),
        12 => plan().prop_map(Op::Provider),
        3 => prop_oneof![
            Just(SendPlan::Refused),
            (1..300u32).prop_map(SendPlan::Later),
            (1..400u32).prop_map(SendPlan::Slow),
        ].prop_map(Op::Send),
        2 => prop_oneof![Just(0u32), 1..120u32].prop_map(|seconds| Op::Window { seconds }),
        1 => (1..4u32).prop_map(|most| Op::Places { most }),
        1 => any::<bool>().prop_map(|repair| Op::Doctor { repair }),
    ]
}

fn step() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => 1..90u32,
        6 => 90..1_200u32,
        4 => 1_200..10_000u32,
        1 => 10_000..100_000u32,
    ]
    .prop_map(|seconds| Op::Advance { seconds })
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        3 => prop_oneof![30..90u32, 90..600u32].prop_map(When::Every),
        2 => prop_oneof![1..120u32, 120..8_000u32].prop_map(When::In),
        1 => (0..60u8).prop_map(When::Hourly),
        2 => (0..24u8).prop_map(When::Daily),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        2 => Just(Way::Realtime),
        3 => (prop_oneof![1..60u32, 60..3_000u32], any::<bool>())
            .prop_map(|(minutes, then_realtime)| Way::Batch { minutes, then_realtime }),
    ]
}

fn missed() -> impl Strategy<Value = Missed> {
    prop_oneof![Just(Missed::Once), Just(Missed::Skip), Just(Missed::All)]
}

fn overlap() -> impl Strategy<Value = Overlap> {
    prop_oneof![Just(Overlap::Skip), Just(Overlap::Queue), Just(Overlap::Allow)]
}

fn to() -> impl Strategy<Value = To> {
    prop_oneof![Just(To::Nobody), Just(To::Chat), Just(To::CarefulChat), Just(To::Webhook)]
}

fn shape() -> impl Strategy<Value = Shape> {
    let rare = || prop::bool::weighted(0.25);
    (when(), way(), missed(), overlap(), to(), rare(), rare(), rare()).prop_map(
        |(when, path, missed, overlap, to, session, tools, eager)| Shape {
            when,
            path,
            missed,
            overlap,
            to,
            session,
            tools,
            eager,
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        when().prop_map(Edit::When),
        overlap().prop_map(Edit::Overlap),
        missed().prop_map(Edit::Missed),
        way().prop_map(Edit::Way),
        (0..9u8).prop_map(Edit::Text),
    ]
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let harm = prop_oneof![
        2 => Just(Harm::FailBefore),
        2 => Just(Harm::FailAfter),
        1 => Just(Harm::Throttle),
        2 => Just(Harm::CrashBefore),
        3 => Just(Harm::CrashAfter),
        2 => prop_oneof![3 => 1..100u32, 2 => 100..290u32, 1 => 290..880u32].prop_map(|seconds| Harm::Stall { seconds }),
    ];
    let whom = prop_oneof![
        4 => Just(Whom::Effects),
        2 => Just(Whom::Any),
        3 => Just(Whom::Store),
        1 => Just(Whom::Blobs),
        1 => Just(Whom::Timers),
        1 => Just(Whom::Invoker),
        2 => Just(Whom::Model),
        1 => Just(Whom::Channel),
    ];
    let times = prop_oneof![24 => Just(1u32), 8 => 2..4u32, 4 => 4..12u32, 1 => 12..150u32];
    (harm, whom, prop_oneof![3 => 0..6u32, 1 => 6..40u32], times).prop_map(|(harm, whom, after, times)| Mishap {
        harm,
        whom,
        after,
        times,
    })
}

fn say() -> impl Strategy<Value = Say> {
    prop_oneof![
        3 => Just(Say::Done),
        1 => Just(Say::Long),
        1 => Just(Say::Silent),
        1 => Just(Say::CutOff),
        1 => Just(Say::Refuses),
        2 => Just(Say::Pauses),
        2 => Just(Say::Notes),
        1 => Just(Say::Looks),
        1 => Just(Say::Sends),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let row = prop_oneof![
        4 => say().prop_map(RowPlan::Answered),
        1 => say().prop_map(RowPlan::BreaksOnce),
        2 => Just(RowPlan::Errored),
        1 => Just(RowPlan::Invalid),
        2 => Just(RowPlan::Never),
        1 => Just(RowPlan::Stopped),
        1 => Just(RowPlan::Missing),
    ];
    let lag = || prop_oneof![4 => Just(0u32), 1 => 1..200u32, 1 => 200..900u32];
    let batch = (prop_oneof![5..600u32, 600..20_000u32], lag(), lag(), lag(), 1..600u32).prop_map(
        |(takes, listed_after, hidden, results_after, stops_after)| BatchPlan {
            takes,
            listed_after,
            hidden,
            results_after,
            stops_after,
        },
    );
    let refusal = prop_oneof![
        Just(Refusal::RateLimited),
        Just(Refusal::Overloaded),
        Just(Refusal::NotSent),
        Just(Refusal::Invalid)
    ];
    prop_oneof![
        5 => row.prop_map(Plan::Row),
        4 => batch.prop_map(Plan::Batch),
        4 => (prop_oneof![3 => 1..60u32, 1 => 60..900u32], say())
            .prop_map(|(takes, say)| Plan::Answer(AnswerPlan { takes, say })),
        2 => (refusal, 1..4u32).prop_map(|(how, calls)| Plan::Refuse { how, calls }),
        1 => any::<bool>().prop_map(Plan::SpendLimit),
        1 => any::<bool>().prop_map(Plan::KeyGone),
        2 => (1..3u32, 60..3_000u32).prop_map(|(rows, seconds)| Plan::Foreign { rows, seconds }),
    ]
}
