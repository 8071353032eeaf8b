//! Use cases and the ports they need
pub mod clock;
pub use clock::{Clock, ManualClock, SystemClock};
