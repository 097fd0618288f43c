//! `CONTAINER:ATTRIBUTE`: where entries stand, and what names them.

use crate::http::api::ProviderContainer;

/// `ou=people:uid`
pub(super) fn container(text: &str) -> Result<ProviderContainer, String> {
    match text.rsplit_once(':') {
        Some((container, naming)) if container.contains('=') && !naming.is_empty() => {
            Ok(ProviderContainer { container: container.to_owned(), naming: naming.to_owned() })
        }
        _ => Err("expected a container and the attribute that names its entries, such as \"ou=people:uid\""
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_have_a_naming_attribute() {
        let expected = ProviderContainer { container: "ou=people".to_owned(), naming: "uid".to_owned() };
        assert_eq!(container("ou=people:uid"), Ok(expected));
        assert!(container("ou=people").is_err());
        assert!(container("ou=people:").is_err());
        assert!(container("people:uid").is_err());
    }
}
