//! What the process asks of the operating system: open files, threads, memory that goes back.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, available_parallelism};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Limits, Settings};
use crate::registry::OpenError;

/// Has glibc's allocator give memory back after a load (docs/decisions.md). It is told by variables that it reads before anything
/// else of the process, so the program begins once more, as the same process and with the same arguments; this returns when
/// there is no need to, or when that fails.
///
/// # Errors
/// The program cannot be begun once more.
pub fn have_memory_go_back() -> io::Result<()> {
    #[cfg(target_env = "gnu")]
    if ALLOCATOR.iter().any(|&(name, _)| std::env::var_os(name).is_none()) {
        use std::os::unix::process::CommandExt;
        // A program with more rights than whoever starts it (capabilities of its file, setuid) gets some of them never.
        if std::env::var_os(BEGUN_AGAIN).is_some() {
            return Err(io::Error::other(
                "the program was begun once more, and the system took its variables away",
            ));
        }
        let mut arguments = std::env::args_os();
        let mut program = std::process::Command::new(std::env::current_exe()?);
        if let Some(name) = arguments.next() {
            program.arg0(name);
        }
        for &(name, value) in ALLOCATOR {
            if std::env::var_os(name).is_none() {
                program.env(name, value);
            }
        }
        return Err(program.env(BEGUN_AGAIN, "1").args(arguments).exec());
    }
    Ok(())
}

/// The variables of [`have_memory_go_back`], as a shell takes them.
pub fn allocator_variables() -> String {
    let variables: Vec<String> = ALLOCATOR.iter().map(|(name, value)| format!("{name}={value}")).collect();
    variables.join(" ")
}

/// Raises the limit of open files to what the system allows.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        // It is what it is; who asks for places gets as many as there are.
    } else if let Err(error) =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// Lowers the limits on connections to what the files allow that may be open, and warns then: with connections that have
/// no descriptor nobody is served, and with none left the local socket, the store and the log have none either.
pub fn fit_to_open_files(settings: &mut Settings) {
    let Some(allowed) = getrlimit(Resource::Nofile).current else { return };
    let is_http = !settings.http.is_empty() || !settings.https.is_empty();
    let is_behind_proxies = !settings.proxy_networks.is_empty();
    let limits = &mut settings.limits;
    let Some(needed) = fit(limits, is_http, is_behind_proxies, allowed) else { return };
    tracing::warn!(
        allowed,
        needed,
        connections_max = limits.connections_max,
        connections_before_bind_max = limits.connections_before_bind_max,
        http_connections_max = is_http.then_some(limits.http_connections_max),
        "fewer files may be open than the limits on connections need, which are lower therefore: raise the limit of the \
         service (LimitNOFILE of systemd, `ulimit -n`)"
    );
}

/// How many files would be needed, if fewer are allowed.
fn fit(limits: &mut Limits, is_http: bool, is_behind_proxies: bool, allowed: u64) -> Option<u64> {
    let (ldap, http) = (u64::from(limits.connections_max), u64::from(limits.http_connections_max));
    let http = if is_http { http } else { 0 };
    let http_reserved = if is_http { limits.http_connections_reserved } else { 0 };
    let reserved = u64::from(limits.connections_reserved) + u64::from(http_reserved);
    let awaited = if is_behind_proxies { limits.proxy_headers_awaited_max } else { 0 };
    let beside_places = u64::from(limits.connections_leaving_max) + u64::from(awaited);
    let beside = FILES_BESIDE_CONNECTIONS_MAX + 2 * beside_places + reserved;
    let needed = ldap + http + beside;
    if needed <= allowed {
        return None;
    }
    let free = allowed.saturating_sub(beside);
    let for_http = http.min((free / 8).max(free * http / (ldap + http)));
    let for_ldap = free.saturating_sub(for_http).clamp(1, ldap);
    let count = |places: u64| u32::try_from(places.max(1)).unwrap_or(u32::MAX);
    // As many as before of those that are there cannot be had without a secret.
    let before_bind = u64::from(limits.connections_before_bind_max) * for_ldap / ldap;
    limits.connections_before_bind_max = count(before_bind);
    limits.connections_max = count(for_ldap);
    if is_http {
        limits.http_connections_max = count(for_http);
    }
    Some(needed)
}

/// Whether so many threads more can be made: whoever makes them below waits for ever for one that was refused (sled does),
/// or panics (tokio), and a start that fails half-way has changed something already.
///
/// # Errors
/// [`OpenError::Threads`].
pub fn check_threads(needed: usize) -> Result<(), OpenError> {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        // All are there at once; they end when it is let go.
        let _closed = gate.lock();
        for _ in 0..needed {
            let waiting = || drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
            let made = thread::Builder::new().spawn_scoped(scope, waiting);
            made.map_err(|source| OpenError::Threads { needed, source })?;
        }
        Ok(())
    })
}

/// Network threads when `[server] workers` says nothing: one core is left to the hash pool and the writer,
/// which beside full network threads would wait for a turn.
pub fn default_workers() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// How many arenas glibc's allocator has at most, and from how many octets on a piece of memory is one of the system's for
/// itself, for ever: otherwise the first large piece that is freed raises that. And that no thread keeps small pieces for itself:
/// one that stands high holds all that is free below it. Whoever sets them means it.
#[cfg(target_env = "gnu")]
const ALLOCATOR: &[(&str, &str)] = &[
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"),
];
#[cfg(not(target_env = "gnu"))]
const ALLOCATOR: &[(&str, &str)] = &[];

/// The variable of a program that was begun once more; not one of `BINDERY_…`, which override the config.
#[cfg(target_env = "gnu")]
const BEGUN_AGAIN: &str = "MEMORY_GOES_BACK_IN_BINDERY";

/// The store, the log, the listeners, the runtime's own, and the local socket.
/// No limit of the config: the code says how many it opens.
const FILES_BESIDE_CONNECTIONS_MAX: u64 = 96;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_can_be_made_are_let_go_again() {
        check_threads(4).unwrap();
        check_threads(0).unwrap();
    }

    #[test]
    fn the_limits_on_connections_follow_the_files_that_may_be_open() {
        let stated = Limits::default();
        for (is_http, is_behind_proxies) in [(false, false), (true, false), (true, true)] {
            for allowed in [0, 100, 512, 1_024, 4_096, 16_384, 17_000, 524_288] {
                let mut limits = stated.clone();
                let needed = fit(&mut limits, is_http, is_behind_proxies, allowed);
                let http = u64::from(if is_http { limits.http_connections_max } else { 0 });
                let reserved = u64::from(limits.connections_reserved)
                    + u64::from(if is_http { limits.http_connections_reserved } else { 0 });
                let awaited = if is_behind_proxies { 2 * limits.proxy_headers_awaited_max } else { 0 };
                let used = u64::from(limits.connections_max + awaited) + http + reserved;
                match needed {
                    None => assert_eq!(limits, stated, "{allowed}"),
                    Some(needed) => {
                        assert!(needed > allowed && limits.connections_max < stated.connections_max);
                        // Somebody is always let in.
                        assert!(limits.connections_max >= 1 && limits.connections_before_bind_max >= 1);
                        assert!(limits.connections_before_bind_max <= limits.connections_max);
                        assert!(allowed < 400 || used + 200 <= allowed, "{allowed}: {used}");
                    }
                }
            }
        }
        let mut limits = stated;
        fit(&mut limits, true, false, 1_024);
        assert_eq!((limits.connections_max, limits.http_connections_max), (630, 90));
        assert_eq!(limits.connections_before_bind_max, 192);
    }
}
