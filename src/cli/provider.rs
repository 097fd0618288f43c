//! `bindery provider`: the LDAP directories that are served.

use super::arguments::{OpeningArguments, PlaceArguments, ReadingArguments};
use super::backend::Absent;
use super::confirm::ConfirmArguments;
use super::container::container;
use super::failure::Failure;
use super::output::{Output, Stream, fields, table, yes_no};
use crate::http::api::{LdapProvider, PatchedLDAPProviderRequest, ProviderContainer};

/// LDAP providers: the directories that are served
#[derive(Debug, clap::Subcommand)]
pub(super) enum ProviderCommand {
    /// Make a provider: one more tree of all accounts and groups
    Create(Box<CreateArguments>),
    /// List providers
    List(ListArguments),
    /// Show a provider with its containers
    Show(ShowArguments),
    /// Change a provider
    Set(Box<SetArguments>),
    /// Delete a provider; its application stays without one
    Delete(DeleteArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    /// Its name, unique
    name: String,
    /// The suffix of its directory, such as dc=example,dc=com
    #[arg(long, value_name = "DN")]
    base_dn: String,
    #[command(flatten)]
    described: DescribedArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

/// What can be said of a provider.
#[derive(Debug, clap::Args)]
struct DescribedArguments {
    /// Whether bare names bind here
    #[arg(long, value_name = "true|false")]
    default: Option<bool>,
    /// The domain of names such as user@domain that bind here; "" for none
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// uidNumber of an account = this + its number
    #[arg(long, value_name = "N")]
    uid_start_number: Option<u32>,
    /// gidNumber of a group = this + its number
    #[arg(long, value_name = "N")]
    gid_start_number: Option<u32>,
    /// Where people stand, relative to the base DN, and what names them; given several times for several
    #[arg(long = "users", value_name = "CONTAINER:ATTRIBUTE", value_parser = container)]
    users: Vec<ProviderContainer>,
    /// Where service accounts stand
    #[arg(long = "service-accounts", value_name = "CONTAINER:ATTRIBUTE", value_parser = container)]
    service_accounts: Vec<ProviderContainer>,
    /// Where groups stand
    #[arg(long = "groups", value_name = "CONTAINER:ATTRIBUTE", value_parser = container)]
    groups: Vec<ProviderContainer>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct NamedProvider {
    /// The provider
    name: String,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The provider
    name: String,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct SetArguments {
    /// The provider
    name: String,
    /// Give it another name
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    /// The suffix of its directory; all DNs in it change
    #[arg(long, value_name = "DN")]
    base_dn: Option<String>,
    #[command(flatten)]
    described: DescribedArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    provider: NamedProvider,
    #[command(flatten)]
    confirm: ConfirmArguments,
}

pub(super) async fn run(
    command: ProviderCommand,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    match command {
        ProviderCommand::Create(arguments) => create(*arguments, place, output).await,
        ProviderCommand::List(arguments) => list(arguments, place, output).await,
        ProviderCommand::Show(provider) => show(provider, place, output).await,
        ProviderCommand::Set(arguments) => set(*arguments, place, output).await,
        ProviderCommand::Delete(arguments) => delete(arguments, place, output).await,
    }
}

async fn create(arguments: CreateArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let CreateArguments { name, base_dn, described, directory } = arguments;
    let request =
        PatchedLDAPProviderRequest { name: Some(name), base_dn: Some(base_dn), ..described.request() };
    let provider: LdapProvider = directory
        .with(place, Absent::Fail, async |backend| backend.post(&["providers", "ldap"], &request).await)
        .await?;
    output.result(&provider, || format!("created {}", provider.provider.name))
}

async fn list(arguments: ListArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let providers: Vec<LdapProvider> = arguments
        .directory
        .with(place, async |backend| backend.read_all(&["providers", "ldap"], &[("ordering", "name")]).await)
        .await?;
    output.result(&providers, || {
        let rows = providers.iter().map(|provider| {
            vec![
                provider.provider.name.clone(),
                provider.base_dn.clone(),
                yes_no(provider.default),
                provider.provider.assigned_application_slug.clone().unwrap_or_default(),
            ]
        });
        table(&["NAME", "BASE DN", "DEFAULT", "APPLICATION"], rows.collect(), Some(Stream::Output))
    })
}

async fn show(named: ShowArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let provider =
        named.directory.with(place, async |backend| backend.provider_named(&named.name).await).await?;
    output.result(&provider, || {
        let containers = |containers: &[ProviderContainer]| {
            let shown = containers.iter().map(|one| format!("{} by {}", one.container, one.naming));
            shown.collect::<Vec<_>>().join("; ")
        };
        fields(&[
            ("name".to_owned(), provider.provider.name.clone()),
            ("number".to_owned(), provider.provider.pk.to_string()),
            ("base dn".to_owned(), provider.base_dn.clone()),
            ("default".to_owned(), yes_no(provider.default)),
            ("domain".to_owned(), provider.domain.clone().unwrap_or_default()),
            (
                "application".to_owned(),
                provider.provider.assigned_application_slug.clone().unwrap_or_default(),
            ),
            ("users".to_owned(), containers(&provider.users)),
            ("service accounts".to_owned(), containers(&provider.service_accounts)),
            ("groups".to_owned(), containers(&provider.groups)),
            ("uid start number".to_owned(), provider.uid_start_number.to_string()),
            ("gid start number".to_owned(), provider.gid_start_number.to_string()),
            ("virtual groups".to_owned(), yes_no(provider.virtual_groups)),
            ("compatibility attributes".to_owned(), yes_no(provider.compatibility_attributes)),
        ])
    })
}

async fn set(arguments: SetArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let SetArguments { name, rename, base_dn, described, directory } = arguments;
    let request = PatchedLDAPProviderRequest { name: rename, base_dn, ..described.request() };
    if request == PatchedLDAPProviderRequest::default() {
        return Err(Failure::usage("nothing to change: `bindery provider set --help` lists what can be"));
    }
    let provider: LdapProvider = directory
        .with(place, Absent::Fail, async |backend| {
            let provider = backend.provider_named(&name).await?;
            backend.patch(&["providers", "ldap", &provider.provider.pk.to_string()], &request).await
        })
        .await?;
    output.result(&provider, || format!("changed {}", provider.provider.name))
}

async fn delete(arguments: DeleteArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let DeleteArguments { provider: NamedProvider { name, directory }, confirm } = arguments;
    let name = directory
        .with(place, Absent::Fail, async |backend| {
            let provider = backend.provider_named(&name).await?;
            let question = format!(
                "Delete the provider {}? {} is not served any more",
                provider.provider.name, provider.base_dn
            );
            confirm.ask(&question, output)?;
            backend.delete(&["providers", "ldap", &provider.provider.pk.to_string()]).await?;
            Ok(provider.provider.name)
        })
        .await?;
    output.done("provider", &name, "deleted")
}

impl DescribedArguments {
    /// What is said, as the API takes it.
    fn request(self) -> PatchedLDAPProviderRequest {
        let said = |containers: Vec<ProviderContainer>| (!containers.is_empty()).then_some(containers);
        PatchedLDAPProviderRequest {
            default: self.default,
            domain: self.domain.map(Some),
            uid_start_number: self.uid_start_number.map(i64::from),
            gid_start_number: self.gid_start_number.map(i64::from),
            users: said(self.users),
            service_accounts: said(self.service_accounts),
            groups: said(self.groups),
            ..PatchedLDAPProviderRequest::default()
        }
    }
}
