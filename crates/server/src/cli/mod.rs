//! The command line: `serve` is the server, everything else a client of its HTTP door.
//!
//! Exit codes: 0 done, 1 failed, 2 the command or the configuration is wrong.

mod access;
mod args;
mod client;
mod commands;
mod dlq;
mod messages;
mod quota;
mod serve;
mod stats;
mod table;
mod trace;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use client::Client;
use commands::Output;

/// Why a command did not do what it should.
#[derive(Debug)]
enum CliError {
    /// The command or the configuration is wrong.
    Usage(String),
    /// It was tried and failed.
    Failed(String),
    /// Nobody reads the output any more.
    OutputClosed,
}

/// Runs one command line, program name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        // Prints help and version too; their exit code is 0.
        Err(error) => error.exit(),
    };
    let mut out = io::stdout().lock();
    let result = match cli.command {
        Command::Serve(arguments) => serve::run(arguments, &mut out),
        Command::Client(command) => access::credentials(cli.user, cli.secret_file.as_deref())
            .and_then(|credentials| Client::new(&cli.server, credentials))
            .and_then(|client| {
                commands::run(command, &client, &mut Output { out: &mut out, json: cli.json })
            }),
    };
    let (code, message) = match result.and_then(|()| Ok(out.flush()?)) {
        Ok(()) | Err(CliError::OutputClosed) => return ExitCode::SUCCESS,
        Err(CliError::Failed(message)) => (1, message),
        Err(CliError::Usage(message)) => (2, message),
    };
    // When even this cannot be written, the exit code says it all.
    drop(writeln!(io::stderr(), "error: {message}"));
    ExitCode::from(code)
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("cannot write: {error}")),
        }
    }
}
