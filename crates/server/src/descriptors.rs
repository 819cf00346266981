//! Files and sockets of the process: a connection must never take the file that the log needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are kept for the log, its checkpoints and the listeners.
const FILES_RESERVED: u64 = 256;

/// Raises the limit on open files as far as it goes; how many connections fit below it.
pub(crate) fn connections_that_fit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let files = if raised.is_ok() { maximum } else { current };
    // No limit at all is more than enough.
    beside_reserve(files.unwrap_or(u64::MAX))
}

fn beside_reserve(files: u64) -> usize {
    let connections = files.saturating_sub(FILES_RESERVED).max(files / 2);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_its_files_whatever_the_limit_is() {
        assert_eq!(beside_reserve(1024), 768);
        assert_eq!(beside_reserve(20_000), 19_744);
        assert_eq!(beside_reserve(300), 150, "half of a few");
    }

    #[test]
    fn the_limit_is_as_high_as_it_goes() {
        let fit = connections_that_fit();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert!(fit as u64 <= maximum.unwrap_or(u64::MAX));
    }
}
