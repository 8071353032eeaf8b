//! Exit codes of the command line.

/// How a command ended. Scripts may rely on every number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// It did what was asked.
    Ok = 0,
    /// A fault of Nightshift itself, here or behind the API.
    Internal = 1,
    /// The command line is wrong; nothing was sent.
    Usage = 2,
    /// The API refused the request; nothing was changed.
    Refused = 3,
    /// There is no such job or run.
    NotFound = 4,
    /// The token or signature is missing or wrong.
    Unauthorized = 5,
    /// The API cannot be reached, or has no time for us now.
    Unreachable = 6,
    /// The run that was waited for did not succeed.
    RunFailed = 7,
    /// The run that was waited for goes on; the wait was over first.
    WaitTimedOut = 8,
    /// The doctor found something that is not repaired.
    Unwell = 9,
    /// An import took some of what it was given, and not all of it.
    Partial = 10,
    /// Ctrl-C ended the wait; the run goes on. 128 + SIGINT, as shells count it.
    Interrupted = 130,
}

impl ExitCode {
    /// Every code with its name and meaning, for the help text and the README.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Ok, "done"),
        (Self::Internal, "internal error"),
        (Self::Usage, "wrong command line"),
        (Self::Refused, "the API refused the request"),
        (Self::NotFound, "no such job or run"),
        (Self::Unauthorized, "not authorized"),
        (Self::Unreachable, "the API cannot be reached"),
        (Self::RunFailed, "the awaited run did not succeed"),
        (Self::WaitTimedOut, "the wait was over before the run"),
        (Self::Unwell, "the doctor found what is not repaired"),
        (Self::Partial, "not all of an import was taken"),
        (Self::Interrupted, "the wait was interrupted; the run goes on"),
    ];

    /// A machine's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Refused => "refused",
            Self::NotFound => "not_found",
            Self::Unauthorized => "unauthorized",
            Self::Unreachable => "unreachable",
            Self::RunFailed => "run_failed",
            Self::WaitTimedOut => "wait_timed_out",
            Self::Unwell => "unwell",
            Self::Partial => "partial",
            Self::Interrupted => "interrupted",
        }
    }

    /// The code for an HTTP status of the API.
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Ok,
            401 | 403 => Self::Unauthorized,
            404 => Self::NotFound,
            429 | 502..=504 => Self::Unreachable,
            400..=499 => Self::Refused,
            _ => Self::Internal,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_numbered_from_0_without_a_gap_but_for_the_signal() {
        let (signal, codes) = ExitCode::ALL.split_last().unwrap();
        for (number, (code, _)) in codes.iter().enumerate() {
            assert_eq!(*code as usize, number);
        }
        assert_eq!(signal.0 as u8, 128 + 2);
    }
}
