//! Making a store agree with a config: plan, generate secrets, deliver them, apply. For `apply` and `serve`.

use std::collections::HashSet;
use std::fmt::Write;

use super::backend::{Backend, CallError};
use super::failure::{Exit, Failure};
use super::output::{Output, Stream, has_colours};
use super::secrets::{self, Destination};
use super::told::{foreign_credential, lost_access, more, shared_value};
use crate::config::{Config, Elsewhere, Found, Problems, ReferenceKind};
use crate::http::{ApplyRequest, PlanRequest, ProblemKind, path};
use crate::model::visible;
use crate::registry::{DiffEntry, NewSecret, SeedOptions, SeedPlan, SeedProblem, Sign};

/// What is wrong with the config's objects: where it stands, and in sentences what stands nowhere.
#[derive(Default)]
pub(super) struct Wrong {
    pub(super) problems: Problems,
    pub(super) sentences: Vec<String>,
}

/// Works out what the config's seed would change; `with_warnings`, and what is stored against a rule.
///
/// # Errors
/// All that cannot be, drawn where it stands.
pub(super) async fn plan(
    backend: &mut Backend,
    config: &Config,
    options: &SeedOptions,
    with_warnings: bool,
) -> Result<SeedPlan, Failure> {
    ask(backend, config, options, with_warnings).await?.map_err(Failure::from)
}

/// The same, with what is wrong as it is. Of a config that cannot be planned only which names stand for nothing.
///
/// # Errors
/// Nobody can say.
pub(super) async fn ask(
    backend: &mut Backend,
    config: &Config,
    options: &SeedOptions,
    with_warnings: bool,
) -> Result<Result<SeedPlan, Wrong>, CallError> {
    if !config.can_be_planned {
        let problems = dangling(backend, config, &HashSet::new()).await?;
        return Ok(Err(Wrong { problems, sentences: Vec::new() }));
    }
    let request = PlanRequest { seed: config.seed.clone(), options: options.clone(), with_warnings };
    let planned = backend.call::<_, SeedPlan>(path::SEED_PLAN, &request).await;
    // What is named and not there at the end, though it may be there now.
    let gone = planned.as_ref().map(|plan| plan.unresolved.iter().cloned().collect()).unwrap_or_default();
    let problems = dangling(backend, config, &gone).await?;
    match planned {
        Ok(plan) if problems.is_empty() => Ok(Ok(plan)),
        // What is in the way is told with the names that stand for nothing, not after them.
        Ok(plan) => {
            let mut wrong = obstacles_where_they_stand(config, &plan);
            wrong.problems.append(problems);
            Ok(Err(wrong))
        }
        Err(CallError::Problem(problem)) if !problem.seed.is_empty() => {
            let mut wrong = placed(config, problem.seed);
            wrong.problems.append(problems);
            Ok(Err(wrong))
        }
        Err(error) if problems.is_empty() => Err(error),
        Err(error) => Ok(Err(Wrong { problems, sentences: Failure::from(error).messages })),
    }
}

/// The names of the config that stand for nothing, neither in it nor in the store, or for what is `gone` when it is applied.
async fn dangling(
    backend: &mut Backend,
    config: &Config,
    gone: &HashSet<(ReferenceKind, String)>,
) -> Result<Problems, CallError> {
    let undescribed = config.undescribed();
    if undescribed.is_empty() {
        return Ok(Problems::default());
    }
    let absent: HashSet<(ReferenceKind, String)> = backend.call(path::SEED_NAMES, &undescribed).await?;
    Ok(config.dangling(|kind, name| match (kind, name.to_owned()) {
        object if absent.contains(&object) => Elsewhere::Absent,
        object if gone.contains(&object) => Elsewhere::Goes,
        _ => Elsewhere::Stays,
    }))
}

/// Why the seed cannot be, drawn where it stands.
fn refused(config: &Config, error: CallError) -> Failure {
    match error {
        CallError::Problem(problem) if !problem.seed.is_empty() => placed(config, problem.seed).into(),
        error => error.into(),
    }
}

fn placed(config: &Config, problems: Vec<SeedProblem>) -> Wrong {
    let found =
        problems.into_iter().map(|SeedProblem { object, field, sentence }| Found { object, field, sentence });
    let (problems, sentences) = config.placed(found);
    Wrong { problems, sentences }
}

impl From<Wrong> for Failure {
    fn from(Wrong { problems, sentences }: Wrong) -> Self {
        let styled = has_colours(Stream::Error);
        let drawn = (!problems.is_empty()).then(|| problems.render(styled));
        let sentences = sentences.into_iter().map(|sentence| format!("error: {sentence}"));
        let messages: Vec<String> = drawn.into_iter().chain(sentences).collect();
        Self { exit: Exit::Wrong, messages: vec![messages.join("\n\n")], is_drawn: true }
    }
}

/// Tells what is stored against a rule: it is served, and somebody should put it right.
pub(super) fn warn(warnings: &[String], output: Output) {
    for warning in warnings {
        output.message(&format!("warning: {}", visible(warning)));
    }
}

/// What was changed, and the secrets that were generated for it.
pub(super) struct Applied {
    /// The changes.
    pub(super) plan: SeedPlan,
    pub(super) secrets: Vec<NewSecret>,
}

/// Makes the directory agree with the seed. `before_commit` shows what is to be shown before anything is
/// changed, and `refused_plan` a plan that is not applied.
///
/// # Errors
/// Nothing was changed, and no secrets file is left; or it is not known, which the message says.
pub(super) async fn apply(
    backend: &mut Backend,
    config: &Config,
    options: &SeedOptions,
    destination: &Destination,
    output: Output,
    mut before_commit: impl FnMut(&SeedPlan, &[NewSecret]) -> Result<(), Failure>,
    refused_plan: impl Fn(&SeedPlan) -> Result<(), Failure>,
) -> Result<Applied, Failure> {
    let mut attempts_left = ATTEMPTS_MAX;
    loop {
        attempts_left -= 1;
        let planned = plan(backend, config, options, false).await?;
        if let Err(failure) = refuse_obstacles(&planned).and_then(|()| refuse_credentials(&planned)) {
            refused_plan(&planned)?;
            return Err(failure);
        }
        let secrets = secrets::generate(&planned.needed)?;
        let delivered = secrets::deliver(&secrets, destination, output)?;
        // What was shown cannot be unshown, so a second attempt is for what nobody has seen.
        let is_seen = delivered.file().is_none() && !secrets.is_empty();
        if let Err(failure) = before_commit(&planned, &secrets) {
            delivered.take_back(output);
            return Err(failure);
        }
        let request =
            ApplyRequest { seed: config.seed.clone(), options: options.clone(), secrets: secrets.clone() };
        match backend.call::<_, SeedPlan>(path::SEED_APPLY, &request).await {
            Ok(plan) => {
                secrets::tell(&secrets, &delivered, output);
                return Ok(Applied { plan, secrets });
            }
            Err(error) if !error.is_certain() => {
                let mut failure = Failure::from(error);
                if let Some(path) = delivered.file() {
                    failure.messages.push(format!(
                        "the generated secrets are kept in {}: they are right if the change was made",
                        path.display()
                    ));
                }
                return Err(failure);
            }
            Err(CallError::Problem(problem))
                if problem.kind == ProblemKind::Conflict && attempts_left > 0 && !is_seen =>
            {
                delivered.take_back(output);
            }
            Err(error) => {
                delivered.take_back(output);
                let mut failure = refused(config, error);
                if is_seen {
                    let label = if failure.is_drawn { "\nerror: " } else { "" };
                    failure.messages.push(format!("{label}the secrets that were shown are void"));
                }
                return Err(failure);
            }
        }
    }
}

/// What whoever applies the plan is told beside its changes.
pub(super) fn told(plan: &SeedPlan) -> Vec<String> {
    foreign_credentials(plan).chain(told_of_objects(plan)).collect()
}

/// Credentials that somebody else has made: those of one maker together, each other one by itself.
fn foreign_credentials(plan: &SeedPlan) -> impl Iterator<Item = String> {
    let together = plan.credentials_together.iter().map(|it| visible(&it.sentence()));
    let others = plan.credentials.iter().filter(|it| !it.is_among(&plan.credentials_together));
    together.chain(others.map(|it| {
        let what_to_do = format!("revoke it, or say `bindery apply {}`", it.acceptance());
        foreign_credential(&it.account, &it.identifier, &it.made_by, &what_to_do)
    }))
}

/// The same without what it would be refused for.
pub(super) fn told_of_objects(plan: &SeedPlan) -> Vec<String> {
    let lost = plan
        .losing_access
        .accounts
        .iter()
        .map(|it| lost_access(&it.account, &it.application, it.last_used.map(|time| time.to_string())));
    let shared = plan.shared_values.values.iter().map(|it| {
        let between = it.between.each_ref().map(|(on, name)| (on.kind(), name.as_str()));
        shared_value(between, &it.value)
    });
    let lost = lost.chain(more(plan.losing_access.more, "accounts"));
    lost.chain(shared).chain(more(plan.shared_values.more, "of the kind")).collect()
}

/// What stands in the config's way has to be put right: it is applied whole, or not at all.
///
/// # Errors
/// What stands there.
pub(super) fn refuse_obstacles(plan: &SeedPlan) -> Result<(), Failure> {
    let messages: Vec<String> = plan.obstacles().map(|entry| visible(&entry.obstacle())).collect();
    if messages.is_empty() { Ok(()) } else { Err(Failure { exit: Exit::Failed, messages, is_drawn: false }) }
}

/// The same, each where the config describes it.
pub(super) fn obstacles_where_they_stand(config: &Config, plan: &SeedPlan) -> Wrong {
    let problem = |entry: &DiffEntry| {
        let object = Some((entry.kind, entry.name.clone()));
        SeedProblem { object, field: None, sentence: visible(&entry.obstacle()) }
    };
    placed(config, plan.obstacles().map(problem).collect())
}

/// Rights that go to who may know a secret of somebody else's account need the word of the operator.
///
/// # Errors
/// What they would be given to.
pub(super) fn refuse_credentials(plan: &SeedPlan) -> Result<(), Failure> {
    if plan.credentials.is_empty() {
        return Ok(());
    }
    Err(Failure { exit: Exit::Refused, messages: foreign_credentials(plan).collect(), is_drawn: false })
}

/// The changes as a diff, one object after the other; empty when there are none.
pub(super) fn diff(plan: &SeedPlan, is_dry_run: bool, styled: bool) -> String {
    let mut text = String::new();
    for entry in &plan.diff {
        draw(&mut text, entry, styled);
    }
    // Whoever applies it was told before the commit.
    for line in told(plan).iter().filter(|_| is_dry_run) {
        let _ = writeln!(text, "! {}", visible(line));
    }
    let count = |sign: Sign| plan.diff.iter().filter(|entry| entry.sign == sign).count();
    let (created, changed, deleted, skipped) =
        (count(Sign::Created), count(Sign::Changed), count(Sign::Deleted), count(Sign::Skipped));
    let obstacles = count(Sign::Obstructed);
    let summary = if obstacles > 0 {
        format!("nothing is changed before this is put right: {obstacles} in the way")
    } else if plan.is_empty() {
        "nothing to change: the store agrees with the config".to_owned()
    } else {
        let would = if is_dry_run { "would be " } else { "" };
        format!("{would}{created} created, {changed} changed, {deleted} deleted")
    };
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{summary}{skipped}");
    text
}

fn draw(text: &mut String, entry: &DiffEntry, styled: bool) {
    let (sign, colour) = match entry.sign {
        Sign::Created => ('+', "32"),
        Sign::Changed => ('~', "33"),
        Sign::Deleted => ('-', "31"),
        Sign::Skipped => ('!', "35"),
        Sign::Accepted => ('=', "35"),
        Sign::Obstructed => ('x', "31"),
    };
    let (on, off) = if styled { (format!("\u{1b}[{colour}m"), "\u{1b}[0m") } else { (String::new(), "") };
    let reason = entry.reason.as_deref().map(|reason| format!(" ({})", visible(reason))).unwrap_or_default();
    let _ = writeln!(text, "{on}{sign} {} {}{off}{reason}", entry.kind, visible(&entry.name));
    for field in &entry.fields {
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| "–".into(), visible);
        let line = match entry.sign {
            Sign::Created => format!("{}: {}", visible(&field.field), value(&field.after)),
            _ => format!("{}: {} → {}", visible(&field.field), value(&field.before), value(&field.after)),
        };
        let _ = writeln!(text, "    {line}");
    }
}

/// How often a plan is made anew because others change the directory at the same time.
/// No limit of the config: the operator's own command ends, and says so.
const ATTEMPTS_MAX: u32 = 5;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::routing::post;
    use axum::{Json, Router};
    use tempfile::TempDir;

    use super::super::secrets::SecretsFile;
    use super::*;
    use crate::http::Problem;
    use crate::model::{FieldChange, Intent};
    use crate::registry::{LostAccesses, NeededSecret, Registry, RegistrySettings, SharedValues};
    use crate::store::MemoryStore;

    /// A server that needs one secret, and whose commit fails as it is told to.
    struct Scene {
        directory: TempDir,
        backend: Backend,
        commits: Arc<AtomicU32>,
    }

    impl Scene {
        fn new(failures: Vec<ProblemKind>) -> Self {
            let commits = Arc::new(AtomicU32::new(0));
            let counter = Arc::clone(&commits);
            let needed = NeededSecret {
                account: "a".to_owned(),
                identifier: "t".to_owned(),
                intent: Intent::AppPassword,
                expires: None,
            };
            let plan = SeedPlan {
                revision: 1,
                diff: Vec::new(),
                needed: vec![needed],
                unresolved: Vec::new(),
                credentials: Vec::new(),
                credentials_together: Vec::new(),
                warnings: Vec::new(),
                losing_access: LostAccesses::default(),
                shared_values: SharedValues::default(),
            };
            let planned = plan.clone();
            let router =
                Router::new().route(path::SEED_PLAN, post(async move || Json(planned.clone()))).route(
                    path::SEED_APPLY,
                    post(async move || {
                        let commit = counter.fetch_add(1, Ordering::Relaxed) as usize;
                        match failures.get(commit) {
                            Some(kind) => Err(Problem::one(*kind, "no")),
                            None => Ok(Json(plan.clone())),
                        }
                    }),
                );
            let settings = RegistrySettings { verified_secrets_max: 1, ..RegistrySettings::default() };
            let registry = Registry::open(Arc::new(MemoryStore::default()), settings).unwrap();
            let directory = TempDir::new().unwrap();
            Self {
                directory,
                backend: Backend::Own { source: "the store".to_owned(), router, registry },
                commits,
            }
        }

        async fn apply(&mut self) -> Result<Applied, Failure> {
            let config = self.directory.path().join("bindery.toml");
            std::fs::write(&config, "[server]\ndata_dir = \"data\"\nldap = [\"127.0.0.1:0\"]\n").unwrap();
            let config = crate::config::load(&config, &|_| None).unwrap();
            let destination = Destination::File(SecretsFile::later(&self.secrets_file()));
            let options = SeedOptions::default();
            let output = Output::new(true);
            let (before_commit, refused) = (|_: &SeedPlan, _: &[NewSecret]| Ok(()), |_: &SeedPlan| Ok(()));
            apply(&mut self.backend, &config, &options, &destination, output, before_commit, refused).await
        }

        fn secrets_file(&self) -> std::path::PathBuf {
            self.directory.path().join("secrets.json")
        }
    }

    #[tokio::test]
    async fn a_commit_that_fails_takes_its_secrets_file_with_it() {
        let mut scene = Scene::new(vec![ProblemKind::Store]);
        let failure = scene.apply().await.err().unwrap();
        assert_eq!(failure.messages, ["no"]);
        assert!(!scene.secrets_file().exists());
    }

    #[tokio::test]
    async fn a_commit_of_which_nobody_knows_leaves_the_file() {
        let mut scene = Scene::new(vec![ProblemKind::StoreStopped]);
        let failure = scene.apply().await.err().unwrap();
        assert!(scene.secrets_file().exists());
        assert!(failure.messages.iter().any(|message| message.contains("secrets.json")), "{failure:?}");
    }

    #[tokio::test]
    async fn a_change_in_between_is_planned_anew_with_other_secrets() {
        let mut scene = Scene::new(vec![ProblemKind::Conflict]);
        let applied = scene.apply().await.unwrap_or_else(|failure| unreachable!("{failure:?}"));
        assert_eq!(scene.commits.load(Ordering::Relaxed), 2);
        let written = std::fs::read_to_string(scene.secrets_file()).unwrap();
        assert!(written.contains(secrets::text_of(&applied.secrets[0])));

        let mut scene = Scene::new(vec![ProblemKind::Conflict; ATTEMPTS_MAX as usize]);
        scene.apply().await.err().unwrap();
        assert!(!scene.secrets_file().exists());
    }

    #[test]
    fn a_diff_reads_like_one() {
        let field = |field: &str, before: Option<&str>, after: Option<&str>| FieldChange {
            field: field.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let entry = |sign, kind, name: &str, fields, reason: Option<&str>| DiffEntry {
            sign,
            kind,
            name: name.to_owned(),
            fields,
            reason: reason.map(str::to_owned),
            together: Vec::new(),
        };
        let plan = SeedPlan {
            revision: 1,
            diff: vec![
                entry(Sign::Created, ReferenceKind::Role, "r", vec![field("name", None, Some("r\n"))], None),
                entry(
                    Sign::Changed,
                    ReferenceKind::Account,
                    "a",
                    vec![field("email", Some("x"), None)],
                    None,
                ),
                entry(Sign::Skipped, ReferenceKind::Token, "t", vec![], Some("it was revoked")),
            ],
            needed: Vec::new(),
            unresolved: Vec::new(),
            credentials: Vec::new(),
            credentials_together: Vec::new(),
            warnings: Vec::new(),
            losing_access: LostAccesses::default(),
            shared_values: SharedValues::default(),
        };
        assert_eq!(
            diff(&plan, true, false),
            "+ role r\n    name: r\\n\n~ account a\n    email: x → –\n! token t (it was revoked)\n\
             would be 1 created, 1 changed, 0 deleted, 1 skipped\n"
        );
    }
}
