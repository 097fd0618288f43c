//! `bindery application`: what integrations are for, and who may use them.

use axum::http::Method;
use ipnet::IpNet;
use serde::Serialize;

use super::arguments::{OpeningArguments, PlaceArguments, ReadingArguments};
use super::backend::{Absent, Backend};
use super::confirm::ConfirmArguments;
use super::failure::Failure;
use super::output::{Output, Stream, fields, table};
use super::told;
use crate::http::api::{
    Application, Network, PatchedApplicationRequest, PatchedPolicyBindingRequest, PolicyBinding,
};
use crate::model::{BindingMode, read_network};

/// Applications, and who may use them
#[derive(Debug, clap::Subcommand)]
pub(super) enum ApplicationCommand {
    /// Make an application; without bindings it admits every active account
    Create(Box<CreateArguments>),
    /// List applications
    List(ListArguments),
    /// Show an application with its bindings
    Show(ShowArguments),
    /// Change an application
    Set(Box<SetArguments>),
    /// Bind an application to a group, an account, networks or times of the week
    Bind(Box<BindArguments>),
    /// Delete a binding; an application that has none left admits every active account
    Unbind(UnbindArguments),
    /// Delete an application with its bindings; its provider then admits every active account
    Delete(DeleteArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    /// Its name in addresses, unique
    slug: String,
    #[command(flatten)]
    described: DescribedArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

/// What can be said of an application.
#[derive(Debug, clap::Args)]
struct DescribedArguments {
    /// Its name for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The provider that it uses; "" for none
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// Whether one passing binding admits, or each must pass
    #[arg(long, value_name = "any|all", value_parser = mode)]
    mode: Option<BindingMode>,
    /// What it is
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where it is, for a browser
    #[arg(long, value_name = "URL")]
    launch_url: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct NamedApplication {
    /// The application, by its slug
    slug: String,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The application, by its slug
    slug: String,
    #[command(flatten)]
    directory: ReadingArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct SetArguments {
    /// The application, by its slug
    slug: String,
    #[command(flatten)]
    described: DescribedArguments,
    #[command(flatten)]
    confirm: ConfirmArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct BindArguments {
    /// The application, by its slug
    slug: String,
    #[command(flatten)]
    subject: SubjectArguments,
    /// It passes for everybody else instead
    #[arg(long)]
    negate: bool,
    /// Its place in lists
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    order: i32,
    #[command(flatten)]
    confirm: ConfirmArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

/// For whom, from where or when a binding passes.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct SubjectArguments {
    /// For the members of this group
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["account", "networks", "days", "from", "to", "timezone"])]
    group: Option<String>,
    /// For this account
    #[arg(long, value_name = "ACCOUNT", conflicts_with_all = ["networks", "days", "from", "to", "timezone"])]
    account: Option<String>,
    /// For clients of this network; given several times for several
    #[arg(long = "network", value_name = "CIDR", value_parser = read_network,
          conflicts_with_all = ["days", "from", "to", "timezone"])]
    networks: Vec<IpNet>,
    /// On this day of the week (mon, tue …); given several times for several
    #[arg(long = "day", value_name = "DAY")]
    days: Vec<String>,
    /// From this time of day on
    #[arg(long, value_name = "HH:MM")]
    from: Option<String>,
    /// Until this time of day; before --from it is that of the next day
    #[arg(long, value_name = "HH:MM")]
    to: Option<String>,
    /// The time zone of days and times; UTC without it
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct UnbindArguments {
    /// The application, by its slug
    slug: String,
    /// The binding, by its UUID, as `application show` lists it
    binding: uuid::Uuid,
    #[command(flatten)]
    confirm: ConfirmArguments,
    #[command(flatten)]
    directory: OpeningArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct DeleteArguments {
    #[command(flatten)]
    application: NamedApplication,
    #[command(flatten)]
    confirm: ConfirmArguments,
}

/// What `--json` shows of an application.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    application: Application,
    bindings: Vec<PolicyBinding>,
}

pub(super) async fn run(
    command: ApplicationCommand,
    place: &PlaceArguments,
    output: Output,
) -> Result<(), Failure> {
    match command {
        ApplicationCommand::Create(arguments) => create(*arguments, place, output).await,
        ApplicationCommand::List(arguments) => list(arguments, place, output).await,
        ApplicationCommand::Show(application) => show(application, place, output).await,
        ApplicationCommand::Set(arguments) => set(*arguments, place, output).await,
        ApplicationCommand::Bind(arguments) => bind(*arguments, place, output).await,
        ApplicationCommand::Unbind(arguments) => unbind(arguments, place, output).await,
        ApplicationCommand::Delete(arguments) => delete(arguments, place, output).await,
    }
}

async fn create(arguments: CreateArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let CreateArguments { slug, described, directory } = arguments;
    let application: Application = directory
        .with(place, Absent::Fail, async |backend| {
            let described = described.request(backend).await?;
            let request = PatchedApplicationRequest {
                name: described.name.or_else(|| Some(slug.clone())),
                slug: Some(slug),
                ..described
            };
            backend.post(&["core", "applications"], &request).await
        })
        .await?;
    output.result(&application, || format!("created {}", application.slug))
}

async fn list(arguments: ListArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let applications: Vec<Application> = arguments
        .directory
        .with(place, async |backend| {
            backend.read_all(&["core", "applications"], &[("ordering", "slug")]).await
        })
        .await?;
    output.result(&applications, || {
        let rows = applications.iter().map(|application| {
            vec![
                application.slug.clone(),
                application.name.clone(),
                application.provider_obj.as_ref().map(|provider| provider.name.clone()).unwrap_or_default(),
                application.policy_engine_mode.to_string(),
            ]
        });
        table(&["SLUG", "NAME", "PROVIDER", "MODE"], rows.collect(), Some(Stream::Output))
    })
}

async fn show(named: ShowArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let shown = named
        .directory
        .with(place, async |backend| {
            let application = backend.application_named(&named.slug).await?;
            let target = application.pbm_uuid.to_string();
            let query = [("target", target.as_str()), ("ordering", "order")];
            let bindings = backend.read_all(&["policies", "bindings"], &query).await?;
            Ok(Shown { application, bindings })
        })
        .await?;
    output.result(&shown, || {
        let Shown { application, bindings } = &shown;
        let mut lines = vec![
            ("slug".to_owned(), application.slug.clone()),
            ("name".to_owned(), application.name.clone()),
            ("uuid".to_owned(), application.pk.to_string()),
            (
                "provider".to_owned(),
                application.provider_obj.as_ref().map(|provider| provider.name.clone()).unwrap_or_default(),
            ),
            ("mode".to_owned(), application.policy_engine_mode.to_string()),
            ("description".to_owned(), application.meta_description.clone()),
            ("launch url".to_owned(), application.meta_launch_url.clone()),
        ];
        for binding in bindings {
            lines.push((format!("binding {}", binding.pk), in_words(binding)));
        }
        fields(&lines)
    })
}

async fn set(arguments: SetArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let SetArguments { slug, described, confirm, directory } = arguments;
    let application: Application = directory
        .with(place, Absent::Fail, async |backend| {
            let request = described.request(backend).await?;
            if request == PatchedApplicationRequest::default() {
                return Err(Failure::usage(
                    "nothing to change: give --name, --provider, --mode, --description or --launch-url",
                ));
            }
            let application = backend.application_named(&slug).await?;
            let path = ["core", "applications", &application.slug];
            backend.ask_about(Method::PATCH, &path, &request, confirm, output).await?;
            backend.patch(&path, &request).await
        })
        .await?;
    output.result(&application, || format!("changed {}", application.slug))
}

async fn bind(arguments: BindArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let BindArguments { slug, subject, negate, order, confirm, directory } = arguments;
    let (slug, binding) = directory
        .with(place, Absent::Fail, async |backend| {
            let application = backend.application_named(&slug).await?;
            let request = PatchedPolicyBindingRequest {
                target: Some(application.pbm_uuid),
                negate: Some(negate),
                order: Some(order),
                ..subject.request(backend).await?
            };
            let path = ["policies", "bindings"];
            backend.ask_about(Method::POST, &path, &request, confirm, output).await?;
            let binding: PolicyBinding = backend.post(&path, &request).await?;
            Ok((application.slug, binding))
        })
        .await?;
    output.result(&binding, || format!("{slug} is bound to {}: {}", in_words(&binding), binding.pk))
}

async fn unbind(arguments: UnbindArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let UnbindArguments { slug, binding, confirm, directory } = arguments;
    let slug = directory
        .with(place, Absent::Fail, async |backend| {
            let application = backend.application_named(&slug).await?;
            let target = application.pbm_uuid.to_string();
            let bindings: Vec<PolicyBinding> =
                backend.read_all(&["policies", "bindings"], &[("target", &target)]).await?;
            let found = bindings.iter().find(|bound| bound.pk == binding);
            let found = found.ok_or_else(|| {
                Failure::failed(format!("the application `{}` has no binding {binding}", application.slug))
            })?;
            let opens = if bindings.len() == 1 {
                "It is the last one: every active account is admitted then. "
            } else {
                ""
            };
            let question =
                format!("{opens}Delete the binding of {} to {}?", application.slug, in_words(found));
            let pk = binding.to_string();
            let path = ["policies", "bindings", &pk];
            let told = told::lines(&backend.rehearse(Method::DELETE, &path, &()).await?);
            if !told.is_empty() {
                output.message(&told.join("\n"));
            }
            confirm.ask(&question, output)?;
            backend.delete(&path).await?;
            Ok(application.slug)
        })
        .await?;
    output.done("application", &slug, "unbound")
}

async fn delete(arguments: DeleteArguments, place: &PlaceArguments, output: Output) -> Result<(), Failure> {
    let DeleteArguments { application: NamedApplication { slug, directory }, confirm } = arguments;
    let slug = directory
        .with(place, Absent::Fail, async |backend| {
            let application = backend.application_named(&slug).await?;
            let opens = match &application.provider_obj {
                Some(provider) => {
                    format!(" The provider {} then admits every active account.", provider.name)
                }
                None => String::new(),
            };
            confirm.ask(
                &format!("Delete the application {} with its bindings?{opens}", application.slug),
                output,
            )?;
            backend.delete(&["core", "applications", &application.slug]).await?;
            Ok(application.slug)
        })
        .await?;
    output.done("application", &slug, "deleted")
}

/// For whom, from where or when a binding passes.
fn in_words(binding: &PolicyBinding) -> String {
    let subject = if let Some(group) = &binding.group_obj {
        format!("the group {}", group.name)
    } else if let Some(user) = &binding.user_obj {
        format!("the account {}", user.username)
    } else if let Some(networks) = &binding.networks {
        format!("the networks {}", networks.join(", "))
    } else if let Some(days) = &binding.days {
        let time = |time: &Option<String>| time.clone().unwrap_or_default();
        format!(
            "{} {}-{} {}",
            days.join(", "),
            time(&binding.from),
            time(&binding.to),
            time(&binding.timezone)
        )
    } else {
        "what is gone".to_owned()
    };
    let negated = if binding.negate { "not " } else { "" };
    let disabled = if binding.enabled { "" } else { " (switched off)" };
    format!("{negated}{subject}{disabled}")
}

impl DescribedArguments {
    /// What is said, as the API takes it.
    async fn request(self, backend: &mut Backend) -> Result<PatchedApplicationRequest, Failure> {
        let provider = match self.provider.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(name) => Some(Some(backend.provider_named(name).await?.provider.pk)),
        };
        Ok(PatchedApplicationRequest {
            name: self.name,
            provider,
            policy_engine_mode: self.mode,
            meta_description: self.description,
            meta_launch_url: self.launch_url,
            ..PatchedApplicationRequest::default()
        })
    }
}

impl SubjectArguments {
    async fn request(self, backend: &mut Backend) -> Result<PatchedPolicyBindingRequest, Failure> {
        let mut request = PatchedPolicyBindingRequest::default();
        if let Some(group) = &self.group {
            request.group = Some(Some(backend.group_named(group).await?.pk));
        } else if let Some(account) = &self.account {
            request.user = Some(Some(backend.user_named(account).await?.pk));
        } else if !self.networks.is_empty() {
            request.networks = Some(Some(self.networks.into_iter().map(Network).collect()));
        } else {
            request.days = (!self.days.is_empty()).then_some(Some(self.days));
            request.from = self.from.map(Some);
            request.to = self.to.map(Some);
            request.timezone = self.timezone.map(Some);
        }
        Ok(request)
    }
}

fn mode(text: &str) -> Result<BindingMode, String> {
    let mode = BindingMode::ALL.into_iter().find(|mode| mode.as_str() == text);
    mode.ok_or_else(|| "expected any or all".to_owned())
}
