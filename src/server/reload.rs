//! What a reload puts in force at once, and what needs a restart.

use std::sync::Arc;

use super::{Log, certificates};
use crate::config::{Limits, Settings};
use crate::ldap::client_trust::ClientTrust;
use crate::model::Timestamp;
use crate::net::{ConnectionLimitSettings, ConnectionLimits, LimitsOf, Proxies, Tls};

/// A part of `[server]` that differs from what the server was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The key or table.
    pub key: &'static str,
    /// Whether it acts without a restart.
    pub at_once: bool,
}

/// Compares what is in force with what was read.
pub(super) fn changes(old: &Settings, new: &Settings) -> Vec<Change> {
    let limits_at_once = |settings: &Settings| connection_limits(settings);
    let mut limits_else = new.limits.clone();
    take_connection_limits(&mut limits_else, &old.limits);
    let rows = [
        ("data_dir", old.data_dir != new.data_dir, false),
        ("ldap", old.ldap != new.ldap, false),
        ("ldaps", old.ldaps != new.ldaps, false),
        ("http", old.http != new.http, false),
        ("https", old.https != new.https, false),
        ("proxy_networks", old.proxy_networks != new.proxy_networks, false),
        ("plain_bind", old.secrets_in_clear != new.secrets_in_clear, false),
        // Its listeners, and whether StartTLS is offered, were decided at the start.
        ("tls", old.tls != new.tls, old.tls.is_some() && new.tls.is_some()),
        ("token_key_file", old.token_key_file != new.token_key_file, false),
        ("workers", old.workers != new.workers, false),
        ("expiry_warning", old.expiry_warning != new.expiry_warning, false),
        ("rotation_overlap", old.rotation_overlap != new.rotation_overlap, false),
        ("on_store_failure", old.on_store_failure != new.on_store_failure, true),
        ("log.level", old.log.level != new.log.level, true),
        ("log.format", old.log.format != new.log.format, false),
        ("hashing", old.hashing != new.hashing, false),
        ("backup", old.backup != new.backup, false),
        ("limits.connections_*", limits_at_once(old) != limits_at_once(new), true),
        ("limits", old.limits != limits_else, false),
    ];
    rows.into_iter()
        .filter(|(_, differs, _)| *differs)
        .map(|(key, _, at_once)| Change { key, at_once })
        .collect()
}

/// Puts in force what can be; the rest is named in the log. Answers with the settings that are in force.
pub(super) fn put_in_force(
    old: &Settings,
    new: &Settings,
    log: &Log,
    tls: Option<&Arc<Tls>>,
    trust: &ClientTrust,
    limits: &ConnectionLimits,
    now: Timestamp,
) -> Settings {
    let mut current = old.clone();
    if let Err(error) = log.set_level(new.log.level) {
        tracing::warn!(%error, "the level of the log stays as it was");
    } else {
        current.log.level = new.log.level;
    }
    current.on_store_failure = new.on_store_failure;
    limits.change(connection_limits(new));
    take_connection_limits(&mut current.limits, &new.limits);
    // Without TLS in the new config the certificates of the old one go on until the restart, and are exchanged as before.
    if let (Some(tls), Some(named)) = (tls, new.tls.as_ref().or(old.tls.as_ref())) {
        match certificates::exchange(named, tls, trust, now) {
            Ok(()) => current.tls = Some(named.clone()),
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, source, "the certificates stay as they were");
            }
        }
    }
    for change in changes(old, &current) {
        tracing::info!(key = change.key, "changed by the reload");
    }
    for change in changes(&current, new).iter().filter(|change| !change.at_once) {
        tracing::warn!(key = change.key, "changed in the config, but acts only after a restart");
    }
    current
}

/// How many connections there may be.
pub(super) fn connection_limits(settings: &Settings) -> ConnectionLimitSettings {
    let limits = &settings.limits;
    ConnectionLimitSettings {
        connections_max: limits.connections_max,
        connections_by_source_max: limits.connections_by_source_max,
        connections_before_bind_max: limits.connections_before_bind_max,
        connections_before_bind_by_source_max: limits.connections_before_bind_by_source_max,
        connections_reserved: limits.connections_reserved,
        connections_leaving_max: limits.connections_leaving_max,
        proxy_headers_awaited_max: limits.proxy_headers_awaited_max,
        of: LimitsOf::Ldap,
    }
}

/// Where proxies are, and what their header may cost.
pub(super) fn proxies(settings: &Settings) -> Proxies {
    Proxies {
        networks: settings.proxy_networks.clone(),
        header_time: settings.limits.proxy_header_time,
        header_size_max: settings.limits.proxy_header_size_max,
    }
}

/// Those limits that a reload puts in force.
fn take_connection_limits(limits: &mut Limits, from: &Limits) {
    limits.connections_max = from.connections_max;
    limits.connections_by_source_max = from.connections_by_source_max;
    limits.connections_before_bind_max = from.connections_before_bind_max;
    limits.connections_before_bind_by_source_max = from.connections_before_bind_by_source_max;
    limits.connections_reserved = from.connections_reserved;
    limits.connections_leaving_max = from.connections_leaving_max;
    limits.proxy_headers_awaited_max = from.proxy_headers_awaited_max;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BackupSettings, LogLevel, LogSettings, SecretsInClear, TlsSettings};

    fn settings() -> Settings {
        Settings {
            data_dir: "data".into(),
            ldap: Vec::new(),
            ldaps: Vec::new(),
            http: Vec::new(),
            https: Vec::new(),
            proxy_networks: Vec::new(),
            secrets_in_clear: SecretsInClear::Loopback,
            tls: None,
            token_key_file: None,
            workers: None,
            expiry_warning: std::time::Duration::ZERO,
            rotation_overlap: std::time::Duration::ZERO,
            on_store_failure: Default::default(),
            log: LogSettings::default(),
            hashing: Default::default(),
            backup: BackupSettings::of_data_dir("data".as_ref()),
            limits: Limits::default(),
        }
    }

    #[test]
    fn tells_what_acts_at_once_from_what_needs_a_restart() {
        let old = settings();
        assert_eq!(changes(&old, &old), []);
        let mut new = settings();
        new.log.level = LogLevel::Debug;
        new.limits.connections_max = 7;
        new.secrets_in_clear = SecretsInClear::Never;
        let found: Vec<_> =
            changes(&old, &new).into_iter().map(|change| (change.key, change.at_once)).collect();
        assert_eq!(found, [("plain_bind", false), ("log.level", true), ("limits.connections_*", true)]);
        new.limits.filter_depth_max = 7;
        assert!(changes(&old, &new).contains(&Change { key: "limits", at_once: false }));
        // Other certificates act at once; whether there are any is decided at the start.
        let tls = |directory: &str| Some(TlsSettings::Development { directory: directory.into() });
        for (before, after, at_once) in
            [(tls("a"), tls("b"), true), (None, tls("b"), false), (tls("a"), None, false)]
        {
            let (mut old, mut new) = (settings(), settings());
            (old.tls, new.tls) = (before, after);
            assert_eq!(changes(&old, &new), [Change { key: "tls", at_once }]);
        }
    }
}
