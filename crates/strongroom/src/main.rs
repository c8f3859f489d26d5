//! Parse, run, exit code; everything else is in the library.

use std::process::ExitCode;

/// Sealing many small values allocates a lot; the system's allocator gives memory back too slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    strongroom::cli::run()
}
