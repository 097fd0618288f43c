//! What names and addresses are made of, for whoever asks.

use super::is_invisible;

/// The identifier of a service account's first app password. Whatever of the username cannot stand there becomes a `-`,
/// and a piece of its hash tells it from others that become the same.
pub fn first_identifier(username: &str) -> String {
    if is_slug(username) {
        return format!("{username}-app-password");
    }
    let hash = blake3::hash(username.as_bytes()).to_hex();
    format!("{}-{}-app-password", slug_of(username), &hash[..8])
}

/// Whether a name is what authentik's clients take for the identifier of a token or the slug of an application: they
/// refuse a whole list in which one is anything else.
pub fn is_slug(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_of_slug)
}

/// The name with `-` for whatever cannot stand in a slug.
pub fn slug_of(name: &str) -> String {
    name.chars().map(|part| if is_of_slug(part) { part } else { '-' }).collect()
}

fn is_of_slug(part: char) -> bool {
    part.is_ascii_alphanumeric() || matches!(part, '-' | '_')
}

/// Whether this is a mail address. What can be delivered to nobody knows: it has two sides of an `@`, and nothing that would
/// end it where it is written (RFC 5322 section 3.4.1, without quoted parts and comments).
pub fn is_mail_address(text: &str) -> bool {
    let is_strange = |part: char| {
        part.is_whitespace()
            || is_invisible(part)
            || matches!(part, '<' | '>' | '(' | ')' | ',' | ';' | ':' | '"' | '\\')
    };
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && !local.contains('@')
            && text.len() <= MAIL_ADDRESS_OCTETS_MAX
    }) && !text.contains(is_strange)
}

/// Whether this can be the domain of `user@domain` names; empty: none.
pub fn is_domain(text: &str) -> bool {
    let is_strange = |part: char| part == '@' || part.is_whitespace() || part.is_control();
    text.len() <= DOMAIN_OCTETS_MAX && !text.contains(is_strange)
}

/// Octets of a name: it goes into DNs, events and tables.
/// No limit of the config: a rule about what one object may hold, far above what any does.
pub const NAME_OCTETS_MAX: usize = 256;
/// Octets of a text that describes an object, or of a URL: it is shown in lists and told in events. As a name, it is bounded in
/// the same way everywhere, so that no config makes what another has taken wrong.
/// No limit of the config: a rule about what one object may hold, far above what any does.
pub const TEXT_OCTETS_MAX: usize = 4_096;
/// RFC 5321 section 4.5.3.1.
/// No limit of the config: the RFC gives it.
const MAIL_ADDRESS_OCTETS_MAX: usize = 254;
/// The longest name of the DNS.
/// No limit of the config: RFC 1035 section 2.3.4 gives it.
const DOMAIN_OCTETS_MAX: usize = 253;
