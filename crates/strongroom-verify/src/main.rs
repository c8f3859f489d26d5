//! The program of an auditor who trusts nobody here.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect();
    strongroom_verify::run(arguments, &mut std::io::stdout(), &mut std::io::stderr())
}
