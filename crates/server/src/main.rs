//! The litemq binary.

use std::process::ExitCode;

/// A send is some dozen small allocations, which threads of the runtime free for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    litemq_server::cli::run(std::env::args_os())
}
