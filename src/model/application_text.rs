//! The texts that describe an application to people and decide nothing. Each is a row here, and all that knows of them goes
//! by the rows: config, writer, trail, diff, export and record. Only the API names its fields itself.

use serde::{Deserialize, Serialize};

use super::{NAME_OCTETS_MAX, TEXT_OCTETS_MAX};

/// A text that describes an application. Their numbers are those of the records: another one comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationText {
    Group,
    LaunchUrl,
    Description,
    Publisher,
    Icon,
}

/// What is to be known of such a text.
#[derive(Clone, Copy, Debug)]
pub struct ApplicationTextRow {
    /// Its key in the config, and its name wherever it is told.
    pub key: &'static str,
    /// Its name in the API.
    pub api: &'static str,
    /// What it is, behind "the application … has".
    pub what: &'static str,
    pub octets_max: usize,
    /// Whether it must be an address of the web.
    pub is_web_address: bool,
    /// What it is for; for docs/config.md.
    pub sentence: &'static str,
}

impl ApplicationText {
    /// All of them, in the order of the records.
    pub const ALL: [Self; 5] = [Self::Group, Self::LaunchUrl, Self::Description, Self::Publisher, Self::Icon];

    pub const fn row(self) -> ApplicationTextRow {
        match self {
            Self::Group => ApplicationTextRow {
                key: "group",
                api: "group",
                what: "a group",
                octets_max: NAME_OCTETS_MAX,
                is_web_address: false,
                sentence: "The heading that it stands under in a list of applications. This and the following describe \
                           it to people and decide nothing.",
            },
            Self::LaunchUrl => ApplicationTextRow {
                key: "launch_url",
                api: "meta_launch_url",
                what: "a launch URL",
                octets_max: TEXT_OCTETS_MAX,
                is_web_address: true,
                sentence: "Where it is, for a browser.",
            },
            Self::Description => ApplicationTextRow {
                key: "description",
                api: "meta_description",
                what: "a description",
                octets_max: TEXT_OCTETS_MAX,
                is_web_address: false,
                sentence: "What it is.",
            },
            Self::Publisher => ApplicationTextRow {
                key: "publisher",
                api: "meta_publisher",
                what: "a publisher",
                octets_max: NAME_OCTETS_MAX,
                is_web_address: false,
                sentence: "Who makes it.",
            },
            Self::Icon => ApplicationTextRow {
                key: "icon",
                api: "meta_icon",
                what: "an icon",
                octets_max: TEXT_OCTETS_MAX,
                is_web_address: false,
                sentence: "Where its picture is, for what lists applications; bindery shows none.",
            },
        }
    }
}

/// The texts of an application in the order of [`ApplicationText::ALL`], without those that are empty at the end. So one more
/// kind of text changes nothing in the records that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApplicationTexts(Vec<String>);

impl ApplicationTexts {
    /// Empty where nothing is said.
    pub fn get(&self, text: ApplicationText) -> &str {
        self.0.get(text as usize).map_or("", String::as_str)
    }

    pub fn set(&mut self, text: ApplicationText, value: String) {
        let index = text as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, String::new());
        }
        if let Some(place) = self.0.get_mut(index) {
            *place = value;
        }
        while self.0.last().is_some_and(String::is_empty) {
            self.0.pop();
        }
    }

    /// All of them, empty ones too.
    pub fn iter(&self) -> impl Iterator<Item = (ApplicationText, &str)> {
        ApplicationText::ALL.into_iter().map(|text| (text, self.get(text)))
    }
}

impl<T: Into<String>> FromIterator<(ApplicationText, T)> for ApplicationTexts {
    fn from_iter<I: IntoIterator<Item = (ApplicationText, T)>>(given: I) -> Self {
        let mut texts = Self::default();
        for (text, value) in given {
            texts.set(text, value.into());
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_place_by_number_and_empty_ones_at_the_end_are_none() {
        for (index, text) in ApplicationText::ALL.into_iter().enumerate() {
            assert_eq!(text as usize, index);
        }
        let mut texts: ApplicationTexts =
            [(ApplicationText::Description, "Files"), (ApplicationText::Publisher, "Example")]
                .into_iter()
                .collect();
        assert_eq!(texts.get(ApplicationText::Group), "");
        texts.set(ApplicationText::Publisher, String::new());
        texts.set(ApplicationText::Description, String::new());
        assert_eq!(texts, ApplicationTexts::default());
    }
}
