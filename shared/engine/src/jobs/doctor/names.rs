//! What a timer's name says: whose it is and what it is for.

use chrono::{DateTime, Utc};
use nightshift_domain::schedule::parse_slot;
use nightshift_domain::{AttemptId, JobId, RunKey};

/// The name of the sweeper's timer, which the deployment makes.
pub(super) const SWEEP: &str = "sweep";

/// What a timer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// A job's recurring timer.
    Job(JobId),
    /// One shot of a job's chain.
    Link {
        /// The job.
        job: JobId,
        /// The occurrence it stands for.
        slot: DateTime<Utc>,
        /// The definition that armed it.
        generation: u64,
    },
    /// A look at a batch.
    Poll(AttemptId),
    /// A run to be taken up.
    Resume(RunKey),
    /// The sweeper's own.
    Sweep,
    /// A collecting window or a heartbeat: kinds of ours that belong to no job.
    Other,
    /// Nothing that is set here.
    Unknown,
}

impl Named {
    pub(super) fn of(name: &str) -> Self {
        let Some((kind, rest)) = name.split_once('-') else {
            return if name == SWEEP { Self::Sweep } else { Self::Unknown };
        };
        let read = match kind {
            "j" => JobId::parse(rest).ok().map(Self::Job),
            "o" => link(rest),
            "p" => rest.rsplit_once('-').map(|(id, _)| Self::Poll(AttemptId::new(id))),
            "r" => rest.rsplit_once('-').and_then(|(run, _)| RunKey::parse(run).ok()).map(Self::Resume),
            "w" | "h" => Some(Self::Other),
            _ => None,
        };
        read.unwrap_or(Self::Unknown)
    }

    /// The job whose own timer it is.
    pub(super) fn job(&self) -> Option<&JobId> {
        match self {
            Self::Job(job) | Self::Link { job, .. } => Some(job),
            Self::Poll(_) | Self::Resume(_) | Self::Sweep | Self::Other | Self::Unknown => None,
        }
    }
}

/// `<job>-<slot>-<generation>`; a job's id may hold hyphens, the others none.
fn link(text: &str) -> Option<Named> {
    let mut parts = text.rsplitn(3, '-');
    let generation = parts.next()?.parse().ok()?;
    let slot = parse_slot(parts.next()?)?;
    Some(Named::Link { job: JobId::parse(parts.next()?).ok()?, slot, generation })
}

#[cfg(test)]
mod tests {
    use nightshift_domain::batch::WindowId;

    use super::*;

    #[test]
    fn the_names_that_are_set_here_are_read_back() {
        let job = JobId::parse("a-1").unwrap();
        let slot = "2026-11-20T07:00:00Z".parse().unwrap();
        let run = RunKey::of_slot(&job, slot);
        let attempt = AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD");
        for (name, wanted) in [
            (job.timer_name(), Named::Job(job.clone())),
            ("o-a-1-20261120T070000Z-3".to_owned(), Named::Link { job: job.clone(), slot, generation: 3 }),
            (attempt.poll_timer(4), Named::Poll(attempt.clone())),
            (run.resume_timer(2), Named::Resume(run.clone())),
            ("sweep".to_owned(), Named::Sweep),
            ("h-main".to_owned(), Named::Other),
            (WindowId::new("20261120T070100Z-0123456789ab-11-f").timer(2), Named::Other),
            ("o-a-1".to_owned(), Named::Unknown),
            ("backup".to_owned(), Named::Unknown),
            ("x-1".to_owned(), Named::Unknown),
        ] {
            assert_eq!(Named::of(&name), wanted, "{name}");
        }
    }
}
