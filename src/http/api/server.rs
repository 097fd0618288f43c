//! `admin/` and `root/`: which server answers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::route::NoParameters;
use super::value::{Empty, Time};
use crate::model::Permission;

/// The version of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Version {
    version_current: String,
    /// bindery asks nobody whether there is a later one: the same.
    version_latest: String,
    /// Whether somebody was asked: never.
    version_latest_valid: bool,
    build_hash: String,
    outdated: bool,
    outpost_outdated: bool,
}

/// Which versions the server has had are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(dead_code, reason = "nothing is kept that could be filtered")]
pub(super) struct VersionHistoryQuery {
    build: Option<String>,
    ordering: Option<String>,
    search: Option<String>,
    version: Option<String>,
}

/// What the server runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct SystemInfo {
    /// Always empty: the header of a request holds its secret.
    http_headers: BTreeMap<String, String>,
    /// Always empty.
    http_host: String,
    /// Always false: nobody looks at how the request came in.
    http_is_secure: bool,
    runtime: SystemInfoRuntime,
    brand: String,
    server_time: Time,
    embedded_outpost_disabled: bool,
    embedded_outpost_host: String,
    base_url: String,
}

/// What the server is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct SystemInfoRuntime {
    /// Always empty.
    python_version: String,
    environment: String,
    architecture: String,
    platform: String,
    uname: String,
    /// What does TLS.
    openssl_version: String,
    openssl_fips_enabled: Option<bool>,
    /// The version of bindery.
    authentik_version: String,
}

/// What anybody may know of the server.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct Config {
    error_reporting: ErrorReportingConfig,
    /// Always empty.
    capabilities: Vec<String>,
    /// Nothing is cached.
    cache_timeout: u32,
    cache_timeout_flows: u32,
    cache_timeout_policies: u32,
}

/// bindery reports nothing to anybody.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct ErrorReportingConfig {
    enabled: bool,
    sentry_dsn: String,
    environment: String,
    send_pii: bool,
    traces_sample_rate: f64,
}

pub(super) fn version(_: &Reading, _: NoParameters) -> Result<Version, CallRefusal> {
    Ok(Version {
        version_current: VERSION.to_owned(),
        version_latest: VERSION.to_owned(),
        version_latest_valid: false,
        build_hash: String::new(),
        outdated: false,
        outpost_outdated: false,
    })
}

/// bindery keeps no history of its versions.
pub(super) fn version_history(_: &Reading, _: VersionHistoryQuery) -> Result<Vec<Empty>, CallRefusal> {
    Ok(Vec::new())
}

pub(super) fn system(reading: &Reading, _: NoParameters) -> Result<SystemInfo, CallRefusal> {
    reading.caller.require(reading.accounts(), Permission::ViewSystemInfo)?;
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    Ok(SystemInfo {
        http_headers: BTreeMap::new(),
        http_host: String::new(),
        http_is_secure: false,
        runtime: SystemInfoRuntime {
            python_version: String::new(),
            environment: "bindery".to_owned(),
            architecture: architecture.to_owned(),
            platform: system.to_owned(),
            uname: format!("{system} {architecture}"),
            openssl_version: "rustls".to_owned(),
            openssl_fips_enabled: Some(false),
            authentik_version: VERSION.to_owned(),
        },
        brand: "bindery".to_owned(),
        server_time: Time(reading.registry.now()),
        embedded_outpost_disabled: true,
        embedded_outpost_host: String::new(),
        base_url: String::new(),
    })
}

pub(super) fn config(_: &Reading, _: NoParameters) -> Result<Config, CallRefusal> {
    Ok(Config {
        error_reporting: ErrorReportingConfig {
            enabled: false,
            sentry_dsn: String::new(),
            environment: "bindery".to_owned(),
            send_pii: false,
            traces_sample_rate: 0.0,
        },
        capabilities: Vec::new(),
        cache_timeout: 0,
        cache_timeout_flows: 0,
        cache_timeout_policies: 0,
    })
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
