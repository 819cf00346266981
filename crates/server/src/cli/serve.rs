//! `litemq serve`.

use std::io::Write;

use super::CliError;
use super::args::ServeArgs;
use crate::boot;
use crate::config::{Flags, Loaded, Sources, load};
use crate::observe::init_logging;

/// Prints the configuration, or serves until told to stop.
pub(super) fn run(args: ServeArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let ServeArgs {
        config,
        data,
        listen,
        http,
        advertise,
        allow_anonymous_beyond_loopback,
        print_config,
    } = args;
    let flags = Flags { data, listen, http, advertise, allow_anonymous_beyond_loopback };
    let sources = Sources::of_process(config.as_deref(), flags);
    let loaded = sources.and_then(|sources| load(&sources));
    let loaded = loaded.map_err(|problems| CliError::Usage(problems.to_string()))?;
    if print_config {
        let text = loaded.to_toml().map_err(|error| CliError::Failed(error.to_string()))?;
        return Ok(write!(out, "{text}")?);
    }
    serve(loaded)
}

fn serve(loaded: Loaded) -> Result<(), CliError> {
    loaded.config.check_exposure().map_err(CliError::Usage)?;
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());
    init_logging(&loaded.config.log).map_err(|error| failed(&error))?;
    if let Some(file) = &loaded.file {
        tracing::info!(file, "configuration file read");
    }
    for name in &loaded.unknown_variables {
        tracing::warn!(name, "this environment variable means nothing to LiteMQ");
    }
    for notice in loaded.config.notices() {
        tracing::warn!("{notice}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    runtime.block_on(boot::serve(loaded.config)).map_err(|error| failed(&error))
}
