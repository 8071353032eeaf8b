//! What can be found that is not as it should be, in the words that sweep, doctor, counters and logs share.

use nightshift_domain::{AttemptId, JobId, RunKey};

/// What is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// A timer that should be there is not.
    TimerMissing,
    /// A timer is there for nothing.
    TimerOrphan,
    /// A timer is enabled and should not be, or the other way round.
    TimerState,
    /// A timer holds something else than it should.
    TimerDiffers,
    /// A job's next run has passed and nobody began it.
    MissedFire,
    /// Who worked on a run died.
    DeadLease,
    /// A run was to be taken up and nobody did: the call that hands it over was lost.
    HandOverLost,
    /// A run's time to go on has come, and the timer that says so was lost.
    ResumeLost,
    /// An answer is not delivered, and nobody is at it.
    Undelivered,
    /// A run waits for something that is free.
    NeverWoken,
    /// A run wishes to leave its batch, which was never told to stop.
    CancelLost,
    /// A run waits for a batch that is over, or is not there.
    BatchStranded,
    /// Nobody polls a batch.
    PollChainBroken,
    /// A run that does not have it, or is over, holds a place.
    PlaceLeaked,
    /// The provider has a batch that the table does not know.
    BatchOrphan,
    /// A window is over, and nobody put those who wait in it in a batch.
    WindowLost,
    /// A row cannot be read.
    Unreadable,
    /// Nothing is sent to a provider, for want of money. Only a person can mend that.
    SpendLimit,
}

impl FindingKind {
    /// All that can be mended here, as people are shown them; a provider that is stopped waits for a person.
    pub const ALL: [Self; 17] = [
        Self::TimerMissing,
        Self::TimerOrphan,
        Self::TimerState,
        Self::TimerDiffers,
        Self::MissedFire,
        Self::DeadLease,
        Self::HandOverLost,
        Self::ResumeLost,
        Self::Undelivered,
        Self::NeverWoken,
        Self::CancelLost,
        Self::BatchStranded,
        Self::PollChainBroken,
        Self::PlaceLeaked,
        Self::BatchOrphan,
        Self::WindowLost,
        Self::Unreadable,
    ];

    /// A machine's word for it.
    pub fn word(self) -> &'static str {
        // Every counter is `repaired.` and the word.
        &self.counter()["repaired.".len()..]
    }

    /// A person's.
    pub fn words(self) -> String {
        self.word().replace('_', " ")
    }

    /// The counter that rises with each repair.
    pub fn counter(self) -> &'static str {
        match self {
            Self::TimerMissing => "repaired.timer_missing",
            Self::TimerOrphan => "repaired.timer_orphan",
            Self::TimerState => "repaired.timer_state",
            Self::TimerDiffers => "repaired.timer_differs",
            Self::MissedFire => "repaired.missed_fire",
            Self::DeadLease => "repaired.dead_lease",
            Self::HandOverLost => "repaired.hand_over_lost",
            Self::ResumeLost => "repaired.resume_lost",
            Self::Undelivered => "repaired.undelivered",
            Self::NeverWoken => "repaired.never_woken",
            Self::CancelLost => "repaired.cancel_lost",
            Self::BatchStranded => "repaired.batch_stranded",
            Self::PollChainBroken => "repaired.poll_chain_broken",
            Self::PlaceLeaked => "repaired.place_leaked",
            Self::BatchOrphan => "repaired.batch_orphan",
            Self::WindowLost => "repaired.window_lost",
            Self::Unreadable => "repaired.unreadable",
            Self::SpendLimit => "repaired.spend_limit",
        }
    }

    /// Whether the sweep mends it as soon as it comes, so that the doctor calls the sweep.
    pub(crate) fn is_swept(self) -> bool {
        match self {
            Self::MissedFire
            | Self::DeadLease
            | Self::HandOverLost
            | Self::ResumeLost
            | Self::Undelivered
            | Self::NeverWoken
            | Self::CancelLost
            | Self::BatchStranded
            | Self::PollChainBroken
            | Self::PlaceLeaked
            | Self::WindowLost => true,
            Self::TimerMissing
            | Self::TimerOrphan
            | Self::TimerState
            | Self::TimerDiffers
            | Self::BatchOrphan
            | Self::Unreadable
            | Self::SpendLimit => false,
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// The job it is about.
    pub job: Option<JobId>,
    /// The run.
    pub run: Option<RunKey>,
    /// The batch, by the id it had before its create.
    pub batch: Option<AttemptId>,
    /// The timer's name.
    pub timer: Option<String>,
    /// What is wrong, and what was done about it, for a person.
    pub message: String,
    /// Whether it is repaired, or handed to whoever repairs it.
    pub repaired: bool,
}

impl Finding {
    /// One that names nothing yet.
    pub(crate) fn new(kind: FindingKind, message: String) -> Self {
        Self { kind, job: None, run: None, batch: None, timer: None, message, repaired: false }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::ports::is_counter_name;

    #[test]
    fn every_kind_has_a_word_and_a_counter_of_its_own() {
        let words: HashSet<_> = FindingKind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), FindingKind::ALL.len());
        for kind in FindingKind::ALL {
            assert!(is_counter_name(kind.counter()));
            assert_eq!(kind.counter(), format!("repaired.{}", kind.word()));
        }
    }
}
