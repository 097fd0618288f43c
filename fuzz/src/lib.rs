//! What the fuzz targets share: a small directory, a client of one connection, and how input becomes requests.

pub mod client;
pub mod input;
pub mod request;
pub mod world;
