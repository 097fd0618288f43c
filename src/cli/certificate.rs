//! `bindery certificate`: a development CA and a server certificate.

use std::path::PathBuf;

use serde::Serialize;

use super::failure::{Exit, Failure};
use super::output::Output;
use crate::net::{CertificateOutcome, create_development};
use crate::store::check_apart;

/// Make a development CA and a server certificate, if they are not there
#[derive(Debug, clap::Args)]
pub(super) struct CertificateArguments {
    /// The directory for ca.pem, server.pem and server.key
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
}

#[derive(Serialize)]
struct Made {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    created: bool,
}

pub(super) fn run(arguments: &CertificateArguments, output: Output) -> Result<(), Failure> {
    check_apart(&arguments.dir.join("ca.pem"), None)?;
    let made = create_development(&arguments.dir).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let made = Made {
        created: made.outcome == CertificateOutcome::Created,
        authority: made.authority,
        certificate: made.certificate,
        key: made.key,
    };
    output.result(&made, || {
        let what = if made.created { "made" } else { "there already, left as they are" };
        format!(
            "{what}:\n  {}  (the CA: give it to clients, LDAPTLS_CACERT)\n  {}\n  {}",
            made.authority.display(),
            made.certificate.display(),
            made.key.display()
        )
    })
}
