//! Whose client certificates are believed, and which accounts they stand for: exchanged by a reload while
//! connections go on.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::operation::account_of;
use crate::access::{Credential, Identity, Invalid};
use crate::config::ClientAccount;
use crate::directory::Snapshot;
use crate::model::{Revision, Timestamp};
use crate::net::{ClientAuthorities, ClientCertificate};
use crate::registry::account_of_certificate;
use crate::schema::Schema;

/// The present [`Trusted`]; reading it takes no lock.
#[derive(Debug)]
pub struct ClientTrust {
    present: ArcSwap<Trusted>,
}

/// Authorities and accounts that are in force together.
#[derive(Debug)]
pub struct Trusted {
    /// Which exchange has put it in force.
    generation: u64,
    /// `None`: TLS asks for no certificates, and EXTERNAL is not known.
    authorities: Option<Arc<ClientAuthorities>>,
    /// The first that fits counts.
    accounts: Box<[ClientAccount]>,
}

/// What a connection knows of its client's certificate.
pub(super) struct Shown {
    pub(super) certificate: ClientCertificate,
    /// The exchange and the revision that it was looked at for last.
    reviewed: Option<(u64, Revision)>,
    /// Whom it stands for.
    holder: Option<NamedHolder>,
    /// What looking that up, and verifying the chain again, has cost.
    work: u64,
}

/// The username that a certificate stands for, by an exchange and by a schema.
struct NamedHolder {
    generation: u64,
    schema: Schema,
    username: Option<Arc<str>>,
}

impl ClientTrust {
    /// What the server begins with.
    pub fn new(authorities: Option<Arc<ClientAuthorities>>, accounts: &[ClientAccount]) -> Self {
        let trusted = Trusted { generation: 0, authorities, accounts: accounts.into() };
        Self { present: ArcSwap::from_pointee(trusted) }
    }

    /// Puts others in force, for open connections before their next operation. Says whether they differ from those
    /// before.
    pub fn exchange(&self, authorities: Option<Arc<ClientAuthorities>>, accounts: &[ClientAccount]) -> bool {
        let before = self.present.load();
        let digest =
            |authorities: &Option<Arc<ClientAuthorities>>| authorities.as_ref().map(|of| of.digest());
        if digest(&before.authorities) == digest(&authorities) && *before.accounts == *accounts {
            return false;
        }
        let generation = before.generation.wrapping_add(1);
        self.present.store(Arc::new(Trusted { generation, authorities, accounts: accounts.into() }));
        true
    }

    pub(super) fn present(&self) -> Guard<Arc<Trusted>> {
        self.present.load()
    }
}

impl Trusted {
    /// Whether clients are asked for certificates.
    pub(super) fn asks(&self) -> bool {
        self.authorities.is_some()
    }
}

impl Shown {
    /// A certificate that a handshake has just verified.
    pub(super) fn new(certificate: ClientCertificate) -> Self {
        Self { certificate, reviewed: None, holder: None, work: 0 }
    }

    /// The username that it stands for, looked up once for each exchange and each schema, however often it binds.
    pub(super) fn username(&mut self, trusted: &Trusted, snapshot: &Snapshot) -> Option<Arc<str>> {
        let (generation, schema) = (trusted.generation, snapshot.schema());
        let is_of_now = |holder: &&NamedHolder| holder.generation == generation && holder.schema.is(schema);
        if let Some(holder) = self.holder.as_ref().filter(is_of_now) {
            return holder.username.clone();
        }
        let username =
            account_of(&self.certificate, &trusted.accounts, schema, &mut self.work).map(Arc::from);
        self.holder = Some(NamedHolder { generation, schema: schema.clone(), username: username.clone() });
        username
    }

    /// What was done since the last time that this was asked, in the unit in which an evaluator counts.
    pub(super) fn take_work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// Looks at the certificate, and at an identity that it has proved, once for each exchange and each revision: the chain is
    /// verified again when the authorities are others, and the account must be the one that it stands for now, by the name
    /// that it has. What does not hold is withdrawn; the next exchange or revision may give it back.
    pub(super) fn review(
        &mut self,
        identity: Option<&mut Identity>,
        trust: &ClientTrust,
        newest: &Snapshot,
        now: Timestamp,
    ) {
        let trusted = trust.present();
        let asked = Some((trusted.generation, newest.revision()));
        if self.reviewed == asked {
            return;
        }
        self.reviewed = asked;
        self.work += self.certificate.ask(trusted.authorities.as_deref(), now);
        let Some(Identity { holder, .. }) = identity else { return };
        let Credential::Certificate { withdrawn, .. } = &mut holder.credential else { return };
        *withdrawn = if !self.certificate.is_vouched_for() {
            Some(Invalid::AuthorityGone)
        } else {
            let username = self.username(&trusted, newest);
            let account = username.and_then(|username| account_of_certificate(newest, &username));
            (account != Some(holder.account)).then_some(Invalid::CertificateReassigned)
        };
    }
}
