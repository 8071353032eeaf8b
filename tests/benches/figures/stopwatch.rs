//! Takes times. Every figure of the bench comes from here.

use std::time::{Duration, Instant};

/// Now, on a clock that only moves forward.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures the machine's own time, to the nanosecond; the engine's clock tells a wall's"
)]
fn now() -> Instant {
    Instant::now()
}

/// A running stopwatch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    pub(crate) fn start() -> Self {
        Self(now())
    }

    /// The time since it started.
    pub(crate) fn elapsed(self) -> Duration {
        now() - self.0
    }
}

/// What `work` took each of `times` times, shortest first.
pub(crate) fn each<E>(times: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Vec<Duration>, E> {
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let watch = Stopwatch::start();
        work()?;
        taken.push(watch.elapsed());
    }
    taken.sort_unstable();
    Ok(taken)
}

/// The middle of sorted times.
pub(crate) fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// How often a second `work` gets done, over at least `long`. `work` does a round of `round` and says whether it did.
pub(crate) fn per_second(long: Duration, round: u32, mut work: impl FnMut()) -> f64 {
    // Once without being watched, so that caches and lazily parsed zones are there.
    work();
    let (watch, mut done) = (Stopwatch::start(), 0_u64);
    loop {
        work();
        done += u64::from(round);
        let elapsed = watch.elapsed();
        if elapsed >= long {
            return rate(done, elapsed);
        }
    }
}

/// So many in so long, a second.
#[expect(clippy::cast_precision_loss, reason = "a rate is rounded to three figures")]
pub(crate) fn rate(done: u64, elapsed: Duration) -> f64 {
    done as f64 / elapsed.as_secs_f64()
}
