//! The litemq binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    litemq_server::cli::run(std::env::args_os())
}
