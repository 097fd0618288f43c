//! What the fuzz targets share: a small directory, a client of one connection, and how input becomes requests.

use bindery::inside::model;

pub mod client;
pub mod input;
#[path = "../../tests/support/plain.rs"]
pub mod plain;
#[path = "../../tests/support/proxy_headers.rs"]
pub mod proxy_headers;
pub mod request;
pub mod world;
