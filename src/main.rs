//! The `bindery` program. What it does is in the library: `bindery::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bindery::cli::run()
}
