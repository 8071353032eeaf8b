//! Boot.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightshift_cli::main()
}
