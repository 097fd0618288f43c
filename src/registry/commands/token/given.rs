//! Secrets that somebody gives to a token instead of having one generated: whether it can have them, and what they are
//! found by (product rule 8).

use crate::auth::{SecretShape, TokenKeys};
use crate::model::{
    CHOSEN_PASSWORD_LENGTH_MIN, CHOSEN_SECRET_LENGTH_MAX, CHOSEN_SECRET_LENGTH_MIN, Intent, TokenSelector,
};
use crate::registry::Rules;
use crate::registry::commands::validate;
use crate::secret::Secret;

/// What a given secret of a token is found by.
///
/// # Errors
/// What is wrong with it, to be put behind the name of the token.
pub(in crate::registry::commands) fn selector_of(
    keys: &TokenKeys,
    intent: Intent,
    secret: &Secret,
    rules: Rules,
) -> Result<TokenSelector, String> {
    match (SecretShape::parse(secret.expose()), intent) {
        (SecretShape::Ours { intent: stated, selector }, intent) if stated == intent => {
            Ok(TokenSelector::Generated(selector.to_string()))
        }
        (SecretShape::Ours { intent: stated, .. }, _) => Err(format!(
            "begins with {}, which is for another intent than {intent}; give it one that was generated for it, or leave \
             it out",
            stated.secret_prefix()
        )),
        (SecretShape::OursBroken, _) => Err(
            "begins as a generated one does, but its length or checksum is wrong; copy it anew, or leave it out"
                .to_owned(),
        ),
        (SecretShape::Other, Intent::AppPassword) if secret.expose().is_empty() => {
            Err("is empty; leave it out to have one generated".to_owned())
        }
        (SecretShape::Other, Intent::AppPassword) => {
            validate::bindable(secret, rules)?;
            let length_min = CHOSEN_PASSWORD_LENGTH_MIN;
            match validate::characters(secret) < length_min {
                true => Err(too_short("app password", length_min)),
                false => Ok(TokenSelector::None),
            }
        }
        (SecretShape::Other, Intent::Api) => chosen(keys, secret),
    }
}

/// A secret that somebody chose for an API token. It travels in a header, and is found by its digest.
fn chosen(keys: &TokenKeys, secret: &Secret) -> Result<TokenSelector, String> {
    let octets = secret.expose();
    if octets.len() < CHOSEN_SECRET_LENGTH_MIN {
        return Err(too_short("API token", CHOSEN_SECRET_LENGTH_MIN));
    }
    if octets.len() > CHOSEN_SECRET_LENGTH_MAX {
        return Err(format!("is longer than {CHOSEN_SECRET_LENGTH_MAX} characters; give it a shorter one"));
    }
    if !octets.iter().all(u8::is_ascii_graphic) {
        return Err(
            "has characters that no Authorization header can carry; give it one of printable ASCII without blanks"
                .to_owned(),
        );
    }
    keys.digest(octets).map(TokenSelector::Chosen).ok_or_else(|| {
        "cannot be found again, as the key for it was not made when the data directory was opened: see the log, and \
         restart the server"
            .to_owned()
    })
}

fn too_short(kind: &str, length_min: usize) -> String {
    format!(
        "is too short for an {kind}; give it at least {length_min} characters, or leave it out to have one generated"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::auth::TokenSecret;

    #[test]
    fn what_can_be_a_secret_and_how_it_is_found() {
        let keys = TokenKeys::of(1, None);
        let of =
            |intent, text: &str| selector_of(&keys, intent, &Secret::from(text.to_owned()), Rules::default());
        let app = TokenSecret::generate(Intent::AppPassword).unwrap();
        let api = TokenSecret::generate(Intent::Api).unwrap();
        let text = |secret: &TokenSecret| String::from_utf8(secret.secret().expose().to_vec()).unwrap();
        let generated = |secret: &TokenSecret| Ok(TokenSelector::Generated(secret.selector().to_string()));
        assert_eq!(of(Intent::AppPassword, &text(&app)), generated(&app));
        assert_eq!(of(Intent::Api, &text(&api)), generated(&api));
        assert_eq!(of(Intent::AppPassword, &"ü".repeat(CHOSEN_PASSWORD_LENGTH_MIN)), Ok(TokenSelector::None));
        let long = "c".repeat(CHOSEN_SECRET_LENGTH_MIN);
        let digest = keys.digest(long.as_bytes()).unwrap();
        assert_eq!(of(Intent::Api, &long), Ok(TokenSelector::Chosen(digest)));
        for (intent, wrong, reason) in [
            (Intent::AppPassword, text(&api), "another intent"),
            (Intent::Api, text(&app), "another intent"),
            (Intent::Api, format!("{}x", text(&api)), "checksum"),
            (Intent::AppPassword, format!("{}x", text(&app)), "checksum"),
            (Intent::AppPassword, String::new(), "is empty"),
            (Intent::AppPassword, "ü".repeat(CHOSEN_PASSWORD_LENGTH_MIN - 1), "at least 16"),
            (Intent::AppPassword, "c".repeat(Rules::default().secret_length_max + 1), "1024 octets"),
            (Intent::AppPassword, "two lines of\nan app password".to_owned(), "second line"),
            (Intent::Api, "c".repeat(CHOSEN_SECRET_LENGTH_MIN - 1), "at least 32"),
            (Intent::Api, "c".repeat(CHOSEN_SECRET_LENGTH_MAX + 1), "longer"),
            (Intent::Api, format!("{long} "), "printable"),
        ] {
            let refusal = of(intent, &wrong).unwrap_err();
            assert!(refusal.contains(reason), "{refusal}");
        }
        let without = selector_of(&TokenKeys::default(), Intent::Api, &Secret::from(long), Rules::default());
        assert!(without.unwrap_err().contains("cannot be found"));
    }
}
