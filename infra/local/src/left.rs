//! What a stack that was killed left in its folder: for tests that kill one and want to know what they met.
//!
//! It reads the folder of a stopped stack; of a running one it says what was true a moment ago.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::state::StateDb;
use crate::{advance, lambda};

/// What was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Where a manual clock stood; `None` on a real one, or when it never moved.
    pub at: Option<DateTime<Utc>>,
    /// Invocations that were begun, or waited for a place only.
    pub invocations: usize,
}

/// Reads what the stack of `dir` left.
pub fn left_behind(dir: &Path) -> anyhow::Result<Left> {
    let state = StateDb::open(&dir.join("stack.sqlite"))?;
    Ok(Left { at: advance::remembered(&state)?, invocations: lambda::left_behind(&state)? })
}
