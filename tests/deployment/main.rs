//! The deployment's template against the code it deploys: settings, table, timeouts, timers, and what each function may do.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails where it stands, and says what it saw"
)]

mod deployed;
mod grants;
mod settings;
mod template;
