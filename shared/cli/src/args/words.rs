//! The words some flags take.

use clap::ValueEnum;

/// Gives each variant the word the API knows it by.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
        pub enum $name {
            $($(#[$variant_doc])* #[value(name = $word)] $variant,)+
        }

        impl $name {
            /// The word on the command line and in JSON.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// When a queued system event is looked at.
    Wake {
        /// A heartbeat starts at once
        Now = "now",
        /// It waits for the next scheduled heartbeat
        NextHeartbeat = "next-heartbeat",
    }
}

words! {
    /// What becomes of occurrences missed while nothing could run.
    Missed {
        /// They are recorded only
        Skip = "skip",
        /// The latest one runs
        Once = "once",
        /// All run, at most 24
        All = "all",
    }
}

words! {
    /// What becomes of a fire while an earlier run is live.
    Overlap {
        /// It is recorded as skipped
        Skip = "skip",
        /// It runs beside it
        Allow = "allow",
        /// One waits
        Queue = "queue",
    }
}

words! {
    /// Whether every hop goes through a batch.
    BatchMode {
        /// Every hop does
        Always = "always",
        /// Nightshift decides per run
        Auto = "auto",
    }
}

words! {
    /// What happens when a batch turn waited its time.
    OnTimeout {
        /// The run fails
        Fail = "fail",
        /// The missing hop and all later ones run in realtime
        Realtime = "realtime",
    }
}

words! {
    /// How a failure alert goes out.
    AlertMode {
        /// As a message to a chat
        Announce = "announce",
        /// As a POST to the address in --failure-alert-to
        Webhook = "webhook",
    }
}

words! {
    /// How a run stands.
    RunStatus {
        /// The turn ended well
        Ok = "ok",
        /// It failed
        Error = "error",
        /// It did not run
        Skipped = "skipped",
        /// It has not ended
        Running = "running",
    }
}

words! {
    /// What became of a run's delivery.
    DeliveryStatus {
        /// Every part arrived
        Delivered = "delivered",
        /// A part was refused
        Failed = "failed",
        /// A part's outcome is not known
        Unknown = "unknown",
        /// There was nothing worth sending
        Suppressed = "suppressed",
        /// Nobody asked for it
        NotRequested = "not-requested",
    }
}

words! {
    /// How a run's hops reached the model.
    RunPath {
        /// One request each
        Realtime = "realtime",
        /// Through Message Batches
        Batch = "batch",
        /// Some of each
        Mixed = "mixed",
    }
}

words! {
    /// Which end of a list comes first.
    Sort {
        /// Newest first
        Desc = "desc",
        /// Oldest first
        Asc = "asc",
    }
}
