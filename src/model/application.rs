//! Applications: what an integration is for, and who may use it, from where and when.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AccountNumber, ApplicationNumber, ApplicationTexts, GroupNumber, Origin, ProviderNumber, TimeWindow,
    Timestamp,
};

/// How the bindings of an application are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindingMode {
    /// One passing binding admits.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// Each enabled binding must pass.
    #[serde(rename = "all")]
    All,
}

impl BindingMode {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Any, Self::All];

    /// The name in config, commands and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
        }
    }
}

impl fmt::Display for BindingMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// For whom, from where or when a binding passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindingSubject {
    Account(AccountNumber),
    /// The members of a group, direct or nested.
    Group(GroupNumber),
    /// Clients whose address is in one of these networks. A client on a Unix socket has no address.
    Networks(Vec<IpNet>),
    /// Whoever comes while it is open.
    Window(TimeWindow),
}

/// One rule of an application: who may use it, or, negated, who may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Its `pk` in the API.
    pub uuid: Uuid,
    /// For whom it passes.
    pub subject: BindingSubject,
    /// Its place in lists; decides nothing.
    pub order: i32,
    /// Whether it passes for everybody else instead.
    pub negate: bool,
    /// Whether it takes part at all.
    pub enabled: bool,
}

impl Binding {
    /// The binding in words, with the name of an account and of a group as the caller knows them.
    pub fn in_words(
        &self,
        account: impl FnOnce(AccountNumber) -> String,
        group: impl FnOnce(GroupNumber) -> String,
    ) -> String {
        let mut text = match &self.subject {
            BindingSubject::Account(number) => format!("account {}", account(*number)),
            BindingSubject::Group(number) => format!("group {}", group(*number)),
            BindingSubject::Networks(networks) => {
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                format!("networks {}", networks.join(" "))
            }
            BindingSubject::Window(window) => format!("time {window}"),
        };
        if self.negate {
            text.insert_str(0, "not ");
        }
        if self.order != 0 {
            text.push_str(&format!(", order {}", self.order));
        }
        if !self.enabled {
            text.push_str(", disabled");
        }
        text
    }
}

/// What an integration is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    pub number: ApplicationNumber,
    /// Its `pk` in the API.
    pub uuid: Uuid,
    /// Its name in addresses, unique.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// The directory that it uses; a provider has at most one application.
    pub provider: Option<ProviderNumber>,
    /// How the bindings are put together.
    pub mode: BindingMode,
    /// Who may use it, from where and when; none: every active account.
    pub bindings: Vec<Binding>,
    /// What describes it to people. This and the two fields below decide nothing.
    pub texts: ApplicationTexts,
    /// Whether a browser opens it in a tab of its own.
    pub open_in_new_tab: bool,
    /// Whether lists of applications leave it out.
    pub hide: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
    /// Who made it.
    pub origin: Origin,
}

impl Application {
    /// An application that uses no directory yet and is described by nothing but its slug.
    pub fn of_slug(
        number: ApplicationNumber,
        uuid: Uuid,
        slug: String,
        origin: Origin,
        now: Timestamp,
    ) -> Self {
        Self {
            number,
            uuid,
            name: slug.clone(),
            slug,
            provider: None,
            mode: BindingMode::default(),
            bindings: Vec::new(),
            texts: ApplicationTexts::default(),
            open_in_new_tab: false,
            hide: false,
            created: now,
            modified: now,
            origin,
        }
    }
}
