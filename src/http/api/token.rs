//! `core/tokens/`: the credentials of accounts, by identifier.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::WrittenPage;
use super::call::Call;
use super::ordered::SortKey;
use super::reading::{Reading, RepresentationSource};
use super::refusal::CallRefusal;
use super::route::{NoContent, NoParameters};
use super::used_by::{UsedBy, UsedByAction};
use super::user::{self, User};
use super::value::{EndTime, Network, Required, RequiredFields, Time, given, or_null, secret_text};
use crate::model::{self, AccountNumber, Expiry, Intent, ObjectReference, Permission, Usage, UsageOf};
use crate::quoted::quoted;
use crate::registry::commands::{replaced_by, successor_of};
use crate::registry::{ChangeError, NewToken, Replaced, TokenChanges, WrongFields};
use crate::secret::Secret;

/// A token. Its secret does not stand here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// Its UUID.
    pub pk: Uuid,
    /// Always `null`: bindery manages no tokens of its own.
    pub managed: Option<String>,
    /// Its name, unique among all tokens.
    pub identifier: String,
    /// What it is for: `app_password` or `api`.
    #[schemars(with = "String")]
    pub intent: Intent,
    /// Its owner; `null`: one that the caller may not view.
    pub user: Option<u32>,
    /// The same as it is; of one that the caller may not view nothing is said (`pk` 0, no name, no UUID).
    pub user_obj: User,
    /// What it is used for.
    pub description: String,
    /// When it expires; `null`: never.
    pub expires: Option<Time>,
    /// Whether it expires.
    pub expiring: bool,
    /// Where it may be used from; empty: anywhere. bindery's own.
    #[schemars(with = "Vec<String>")]
    pub networks: Vec<IpNet>,
    /// Whether its secret is kept, encrypted, for who holds `view_token_key` on it. bindery's own.
    pub retrievable: bool,
    /// Whether another has taken its place, and it works until it expires. bindery's own.
    pub replaced: bool,
    /// The token that has taken its place; `null`: none, or one that the caller may not view. bindery's own.
    pub replaced_by: Option<String>,
    /// When it was made. bindery's own.
    pub created: Time,
    /// Its last use; `null`: it was never used. bindery's own.
    pub last_used: Option<LastUse>,
}

/// The last use of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastUse {
    /// When.
    pub time: Time,
    /// Where from; `null`: from a Unix socket.
    pub source: Option<IpAddr>,
    /// The slug of the application that it was used for; `null`: there was none, or the caller may not view it.
    pub application: Option<String>,
    /// How often it was used in all.
    pub count: u64,
}

/// A token that was made, with its secret. Does not print that.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedToken {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// Its secret, shown once; bindery's own. authentik's clients ask `view_key` for it, once within ten minutes.
    pub key: String,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CreatedToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// What is said of a token that is made or changed; what is absent stays.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PatchedTokenRequest {
    /// Accepted as `null`: bindery manages no tokens of its own.
    #[schemars(transform = or_null)]
    pub managed: Option<String>,
    pub identifier: Option<String>,
    /// `app_password` or `api`.
    pub intent: Option<String>,
    /// Its owner; who makes it, if nothing is said. `null`, as one is shown that the caller may not view: nothing.
    #[schemars(transform = or_null)]
    pub user: Option<u32>,
    pub description: Option<String>,
    /// `null`: what the server says, of a token that is made, or, with `expiring: false`, never.
    #[serde(deserialize_with = "given")]
    #[schemars(transform = or_null)]
    pub expires: Option<Option<EndTime>>,
    pub expiring: Option<bool>,
    /// Where it may be used from; bindery's own.
    pub networks: Option<Vec<Network>>,
    /// Whether its secret is kept, encrypted; bindery's own, and only when it is made.
    pub retrievable: Option<bool>,
}

impl RequiredFields for PatchedTokenRequest {
    const REQUIRED: &'static [&'static str] = &["identifier"];
}

/// A secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// The secret.
    pub key: String,
}

/// A secret of the caller's own.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TokenSetKeyRequest {
    key: String,
}

/// How a token is rotated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TokenRotateRequest {
    /// Seconds that the old secret goes on working; what the server says when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u64>,
}

/// Which tokens are asked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(non_snake_case, reason = "the names are those of authentik's parameters")]
pub(super) struct TokenQuery {
    description: Option<String>,
    expires: Option<EndTime>,
    expiring: Option<bool>,
    identifier: Option<String>,
    intent: Option<String>,
    managed: Option<String>,
    user__username: Option<String>,
}

/// How a token is deleted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct TokenDeleteQuery {
    /// Whether the secrets that it has replaced work on until they expire; else they end with it. bindery's own.
    keep_replaced: bool,
}

pub(super) fn list(reading: &Reading, query: TokenQuery) -> Result<WrittenPage<Token>, CallRefusal> {
    let accounts = reading.accounts();
    let owner = query.user__username.as_deref().filter(|name| !name.is_empty());
    let viewer = reading.viewer();
    let knows = |account: AccountNumber| viewer.names(ObjectReference::Account(account));
    let owner = owner.map(|name| accounts.account_named(name).map(|account| account.number));
    let owner = owner.map(|found| found.filter(|number| knows(*number)));
    // Verification and recovery tokens are authentik's: there are none here.
    let intent = query.intent.as_deref().filter(|intent| !intent.is_empty());
    let is = |wanted: &Option<String>, value: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted.is_empty() || wanted == value)
    };
    let username = |token: &model::Token| {
        let owner = accounts.account(token.account).filter(|owner| knows(owner.number));
        owner.map(|owner| owner.username.to_string()).unwrap_or_default()
    };
    let mut found: Vec<Arc<model::Token>> = reading
        .walk(accounts.tokens())
        .filter(|token| {
            reading.may_view(ObjectReference::Token(token.number))
                && owner.is_none_or(|owner| owner == Some(token.account))
                && intent.is_none_or(|intent| intent == token.intent.as_str())
                && query.managed.as_deref().is_none_or(str::is_empty)
                && is(&query.identifier, &token.identifier)
                && is(&query.description, &token.description)
                && query.expiring.is_none_or(|wanted| wanted == token.expires.is_some())
                && query.expires.is_none_or(|wanted| token.expires == Some(wanted.0))
                && reading.page.finds([
                    token.identifier.as_str(),
                    token.intent.as_str(),
                    username(token).as_str(),
                    token.description.as_str(),
                ])
        })
        .cloned()
        .collect();
    reading.order(&mut found, |field, token| match field {
        "identifier" => Some(SortKey::text(&token.identifier)),
        "expires" => Some(token.expires.map_or(SortKey::Never, SortKey::time)),
        "intent" => Some(SortKey::text(token.intent.as_str())),
        "user" | "user__username" => Some(SortKey::name(&username(token))),
        "description" => Some(SortKey::text(&token.description)),
        "created" => Some(SortKey::time(token.created)),
        _ => None,
    })?;
    reading.cut(&found, |token| Ok(shown(reading, token)?))
}

pub(super) async fn create(
    call: Call,
    request: Required<PatchedTokenRequest>,
) -> Result<CreatedToken, CallRefusal> {
    let Required(request) = request;
    call.require(Permission::AddToken)?;
    let wrong = WrongFields::of(&call.caller);
    wrong.noting(request.check_managed())?;
    let account = wrong.noting(owner(&call, request.user))?;
    // authentik's default is a token to call its API with.
    let intent = wrong.noting(request.intent())?.flatten().unwrap_or(Intent::Api);
    let networks = request.networks();
    let new = NewToken {
        identifier: request.identifier.unwrap_or_default(),
        account: account.unwrap_or_default(),
        intent,
        expiring: request.expiring,
        expires: request.expires.flatten().map(|time| Expiry::At(time.0)),
        description: request.description.unwrap_or_default(),
        networks: networks.unwrap_or_default(),
        retrievable: request.retrievable.unwrap_or(false),
    };
    let checked = call.registry.check_new_token(&call.caller, &new, &wrong);
    wrong.told(checked)?;
    let created = call.registry.create_token(call.caller.clone(), new).await?;
    let key = secret_text(&created.secret);
    let token = read(call, created.identifier).await?;
    Ok(CreatedToken { token, key })
}

pub(super) fn retrieve(reading: &Reading, _: NoParameters) -> Result<Token, CallRefusal> {
    Ok(shown(reading, viewed(reading)?)?)
}

pub(super) async fn update(call: Call, request: PatchedTokenRequest) -> Result<Token, CallRefusal> {
    let identifier: String = call.parameter("identifier")?;
    let found = call.registry.snapshot().accounts().token_named(&identifier).cloned();
    let token = found.ok_or_else(CallRefusal::not_found)?;
    call.require_on(Permission::ChangeToken, ObjectReference::Token(token.number))?;
    let wrong = WrongFields::of(&call.caller);
    wrong.noting(request.check_managed())?;
    let account = match request.user {
        Some(user) => wrong.noting(owner(&call, Some(user)))?,
        None => None,
    };
    if request.retrievable.is_some_and(|said| said != token.is_retrievable()) {
        let message = "whether the secret is kept is decided when the token is made: make another token";
        wrong.noting(Err::<(), _>(ChangeError::field("retrievable", message)))?;
    }
    if request.expires == Some(None) && token.expires.is_some() && request.expiring != Some(false) {
        let message = "the token has a time when it expires: say `expiring: false` for one that never does";
        wrong.noting(Err::<(), _>(ChangeError::field("expires", message)))?;
    }
    let networks = request.networks();
    let changes = TokenChanges {
        intent: wrong.noting(request.intent())?.flatten(),
        identifier: request.identifier.clone(),
        account,
        expiring: request.expiring,
        expires: request.expires.flatten().map(|time| Expiry::At(time.0)),
        description: request.description,
        networks,
    };
    let checked = call.registry.check_token_changes(&call.caller, &identifier, &changes, &wrong);
    wrong.told(checked)?;
    call.registry.update_token(call.caller.clone(), identifier.clone(), changes).await?;
    read(call, request.identifier.unwrap_or(identifier)).await
}

pub(super) async fn destroy(call: Call, query: TokenDeleteQuery) -> Result<NoContent, CallRefusal> {
    let identifier: String = call.parameter("identifier")?;
    let replaced = if query.keep_replaced { Replaced::Keep } else { Replaced::End };
    call.registry.revoke_token(call.caller.clone(), identifier, replaced).await?;
    Ok(NoContent)
}

pub(super) async fn view_key(call: Call, _: NoParameters) -> Result<TokenView, CallRefusal> {
    let identifier: String = call.parameter("identifier")?;
    let secret = call.registry.view_token_key(call.caller.clone(), identifier).await?;
    Ok(TokenView { key: secret_text(&secret) })
}

pub(super) async fn set_key(call: Call, request: TokenSetKeyRequest) -> Result<NoContent, CallRefusal> {
    let identifier: String = call.parameter("identifier")?;
    call.registry.set_token_key(call.caller.clone(), identifier, Secret::from(request.key)).await?;
    Ok(NoContent)
}

pub(super) async fn rotate(call: Call, request: TokenRotateRequest) -> Result<CreatedToken, CallRefusal> {
    let identifier: String = call.parameter("identifier")?;
    let overlap = request.overlap.map_or_else(|| call.registry.rotation_overlap(), Duration::from_secs);
    let created = call.registry.rotate_token(call.caller.clone(), identifier, overlap).await?;
    let key = secret_text(&created.secret);
    let token = read(call, created.identifier).await?;
    Ok(CreatedToken { token, key })
}

pub(super) fn used_by(reading: &Reading, _: NoParameters) -> Result<Vec<UsedBy>, CallRefusal> {
    let token = viewed(reading)?;
    let replaced = replaced_by(reading.accounts(), token).into_iter();
    let replaced = replaced.map(|other| ObjectReference::Token(other.number));
    Ok(replaced.filter_map(|on| UsedBy::of(reading, on, UsedByAction::Cascade)).collect())
}

/// The token in the path, which the caller may view.
fn viewed(reading: &Reading) -> Result<&Arc<model::Token>, CallRefusal> {
    let identifier: String = reading.parameter("identifier")?;
    let token = reading.accounts().token_named(&identifier).ok_or_else(CallRefusal::not_found)?;
    reading.require_view(ObjectReference::Token(token.number))?;
    Ok(token)
}

/// The token as it is after a change; it may be read by who has changed it.
async fn read(call: Call, identifier: String) -> Result<Token, CallRefusal> {
    call.read(move |reading| match reading.accounts().token_named(&identifier) {
        Some(token) => shown(reading, token),
        None => Err(ChangeError::NotFound { kind: "token", name: identifier }),
    })
    .await
}

fn shown(source: &impl RepresentationSource, token: &model::Token) -> Result<Token, ChangeError> {
    Ok(Token {
        pk: token.uuid,
        managed: None,
        identifier: token.identifier.clone(),
        intent: token.intent,
        user: source.names(ObjectReference::Account(token.account)).then(|| token.account.get()),
        user_obj: user::owner(source, token.account)?,
        description: token.description.clone(),
        expires: token.expires.map(Time),
        expiring: token.expires.is_some(),
        // An earlier version took some with bits behind their prefix.
        networks: token.networks.iter().map(IpNet::trunc).collect(),
        retrievable: token.is_retrievable(),
        replaced: token.is_replaced,
        replaced_by: successor(source, token),
        created: Time(token.created),
        last_used: source.usage(UsageOf::Token(token.number)).map(|usage| LastUse {
            time: Time(usage.time),
            source: usage.source,
            application: name_of_use(source, &usage),
            count: usage.count,
        }),
    })
}

/// The token that has taken the place of one, if the caller may view it.
fn successor(source: &impl RepresentationSource, token: &model::Token) -> Option<String> {
    let successor = successor_of(source.accounts(), token)?;
    source.names(ObjectReference::Token(successor.number)).then(|| successor.identifier.clone())
}

/// The application that a token was used for, if the caller may view that. What has no such slug any more is for who may
/// view all applications.
fn name_of_use(source: &impl RepresentationSource, usage: &Usage) -> Option<String> {
    let slug = usage.application.as_deref()?;
    let viewer = source.viewer();
    let is_told = match source.accounts().application_named(slug) {
        Some(application) => viewer.names(ObjectReference::Application(application.number)),
        None => viewer.sees_all(Permission::ViewApplication),
    };
    is_told.then(|| slug.to_owned())
}

/// The username of the owner to be: who calls, if nobody is named.
fn owner(call: &Call, user: Option<u32>) -> Result<String, ChangeError> {
    let number = user.map(AccountNumber::new).or_else(|| call.caller.holder().map(|holder| holder.account));
    let number = number.ok_or_else(|| ChangeError::field("user", "This field is required."))?;
    let snapshot = call.registry.snapshot();
    let accounts = snapshot.accounts();
    let is_own = call.caller.holder().is_some_and(|holder| holder.account == number);
    let is_known = is_own || { call.caller.knows(accounts, ObjectReference::Account(number)) };
    let owner = accounts.account(number).filter(|_| is_known);
    owner
        .map(|owner| owner.username.to_string())
        .ok_or_else(|| ChangeError::field("user", format!("there is no user {number}")))
}

impl PatchedTokenRequest {
    fn check_managed(&self) -> Result<(), ChangeError> {
        match self.managed {
            None => Ok(()),
            Some(_) => {
                Err(ChangeError::field("managed", "bindery manages no tokens of its own; leave it out"))
            }
        }
    }

    fn networks(&self) -> Option<Vec<IpNet>> {
        Some(self.networks.as_ref()?.iter().map(|network| network.0).collect())
    }

    fn intent(&self) -> Result<Option<Intent>, ChangeError> {
        let Some(intent) = self.intent.as_deref() else { return Ok(None) };
        intent.parse().map(Some).map_err(|()| {
            ChangeError::field(
                "intent",
                format!("there are no {intent} tokens here: choose app_password, to bind with, or api, to call with", intent = quoted(intent)),
            )
        })
    }
}
