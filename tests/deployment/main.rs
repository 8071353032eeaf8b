//! The deployment's template against the code it deploys: settings, table, timeouts, timers, and what each function may do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod deployed;
mod grants;
mod settings;
mod template;
