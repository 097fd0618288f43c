//! The one door into the house: what `fuzz/` and `tests/` reach, item by item, in the folders where it lives. Nobody else may
//! rely on it, and it changes with the house.

pub mod access {
    pub use crate::access::visibility_of;
}

pub mod audit {
    pub use crate::audit::append;
}

pub mod auth {
    pub use crate::auth::{
        Argon2Parameters, ArgonMemory, HashBounds, HashPoolSettings, ThrottleSettings, TokenSecret, hash_new,
    };
}

pub mod clock {
    pub use crate::clock::system_time;
}

pub mod config {
    pub use crate::config::{Limits, SecretsInClear};
}

pub mod directory {
    pub use crate::directory::{
        EntryId, Evaluator, PreparedFilter, Scope, Snapshot, TreeReader, Visibility, Walk,
    };

    pub mod filter {
        pub use crate::directory::filter::{FilterItem, PartPosition};
    }
}

pub mod ldap {
    pub mod ber {
        pub use crate::ldap::ber::{BerError, BerReader, BerWriter};
    }

    pub mod client_trust {
        pub use crate::ldap::client_trust::ClientTrust;
    }

    pub mod frame {
        pub use crate::ldap::frame::{Frame, FrameError, announced, next};
    }

    pub mod memory {
        pub use crate::ldap::memory::ConnectionMemory;
    }

    pub mod message {
        pub use crate::ldap::message::{
            Answer, Authentication, BindRequest, CompareRequest, Control, Controls, DecodeError,
            DecodeLimits, Dereference, ExtendedRequest, Fault, Message, Operation, Request, Scope,
            SearchRequest, decode, decode_filter,
        };
    }

    pub mod pages {
        pub use crate::ldap::pages::Pages;
    }

    pub mod session {
        pub use crate::ldap::session::{Moment, Next, Session, SessionPeer, SessionSettings};
    }
}

pub mod ldif {
    pub use crate::ldif::{LdifReader, Record};
}

pub mod model {
    pub use crate::model::{
        Account, AccountKind, AccountNumber, Action, Actor, Application, ApplicationNumber, Attribute,
        Binding, BindingSubject, Change, Event, EventDigest, Grant, Group, GroupNumber, HashText, Intent,
        Key, LdapProvider, MadeBy, Membership, ObjectReference, Origin, Password, Permission, ProviderNumber,
        Record, Role, RoleNumber, Timestamp, Token, TokenNumber, TokenSelector, Trail, TrailState, Trails,
        Usage, UsageOf,
    };
}

pub mod net {
    pub mod proxy {
        pub use crate::net::proxy::{HeaderError, Said, header_length, said};
    }
}

pub mod registry {
    pub use crate::registry::{ChangeError, Registry, RegistrySettings, Transaction};
}

pub mod schema {
    pub use crate::schema::{Dn, Schema, normalize_dn};

    pub mod steps {
        pub use crate::schema::steps::taken;
    }
}

pub mod store {
    pub use crate::store::{Batch, Counters, DiskStore, MemoryStore, Store};
}
