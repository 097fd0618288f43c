//! What the process asks of the operating system: open files, threads.

use std::thread::available_parallelism;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to what the system allows, and warns when that is too little for
/// `connections_max` connections of all doors.
pub fn raise_open_files(connections_max: u32) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        // It is what it is; the warning below still applies.
    } else if let Err(error) =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let needed = u64::from(connections_max) + FILES_BESIDE_CONNECTIONS;
    if let Some(allowed) = getrlimit(Resource::Nofile).current
        && allowed < needed
    {
        tracing::warn!(
            allowed,
            needed,
            "fewer files may be open than server.limits.connections_max needs: raise the limit of the service \
             (LimitNOFILE of systemd, `ulimit -n`), or lower connections_max"
        );
    }
}

/// Network threads when `[server] workers` says nothing: one core is left to the hash pool and the writer,
/// which beside full network threads would wait for a turn.
pub fn default_workers() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// The store, the log, the listeners, the runtime's own.
const FILES_BESIDE_CONNECTIONS: u64 = 64;
