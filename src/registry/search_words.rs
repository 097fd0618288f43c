//! Words that are searched for: each of them stands somewhere in what is found, whatever its case, as in authentik.

use std::collections::BTreeSet;

/// The words of a text, each once and in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchWords(BTreeSet<String>);

impl SearchWords {
    /// Splits a text at its spaces.
    pub fn of(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_lowercase).collect())
    }

    /// How many there are; each is looked for in all texts of an item.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is searched for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each of them stands in one of these texts, which are not looked at where nothing is searched for.
    pub fn stand_in<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) -> bool {
        if self.is_empty() {
            return true;
        }
        let texts: Vec<String> = texts.into_iter().map(|text| text.as_ref().to_lowercase()).collect();
        self.0.iter().all(|word| texts.iter().any(|text| text.contains(word)))
    }
}
