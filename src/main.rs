//! The `bindery` program. What it does is in the library: `cli/`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bindery::run()
}
