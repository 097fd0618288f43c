//! Single values of a config: what a key may hold, and how it is written.
//!
//! A value comes from a file or, for `[server]`, from an environment variable; one function reads both.

use std::time::Duration;

use bytesize::ByteSize;
use toml::de::DeValue;

use super::names;

use crate::quoted::quoted;

/// A value before it is understood.
#[derive(Clone, Copy)]
pub(super) enum Raw<'v> {
    /// From a file.
    Toml(&'v DeValue<'v>),
    /// From an environment variable.
    Variable(&'v str),
}

impl<'v> Raw<'v> {
    /// What it is, for a message: `a string`.
    pub(super) fn form(self) -> &'static str {
        match self {
            Self::Variable(_) => "a text",
            Self::Toml(value) => match value {
                DeValue::String(_) => "a string",
                DeValue::Integer(_) => "an integer",
                DeValue::Float(_) => "a float",
                DeValue::Boolean(_) => "a boolean",
                DeValue::Datetime(_) => "a date or time",
                DeValue::Array(_) => "a list",
                DeValue::Table(_) => "a table",
            },
        }
    }

    /// The text, if it is one; otherwise a message that says what was expected.
    fn text_or(self, expected: &str) -> Result<&'v str, String> {
        match self {
            Self::Toml(DeValue::String(text)) => Ok(text),
            Self::Variable(text) => Ok(text),
            Self::Toml(_) => Err(format!("expected {expected}, found {}", self.form())),
        }
    }
}

/// Any text.
pub(super) fn text(raw: Raw<'_>) -> Result<String, String> {
    raw.text_or("a string").map(str::to_owned)
}

/// A text that is not empty, such as a path.
pub(super) fn filled_text(raw: Raw<'_>) -> Result<String, String> {
    match raw.text_or("a string")? {
        "" => Err("expected a string that is not empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// The name of an object.
pub(super) fn name(raw: Raw<'_>) -> Result<String, String> {
    let name = text(raw)?;
    names::check_name(&name).map(|()| name).map_err(|problem| problem.to_string())
}

/// `true` or `false`.
pub(super) fn boolean(raw: Raw<'_>) -> Result<bool, String> {
    match raw {
        Raw::Toml(DeValue::Boolean(value)) => Ok(*value),
        Raw::Variable("true") => Ok(true),
        Raw::Variable("false") => Ok(false),
        _ => Err(format!("expected true or false, found {}", raw.form())),
    }
}

/// A whole number of the type that is asked for.
pub(super) fn integer<T: TryFrom<i128>>(raw: Raw<'_>) -> Result<T, String> {
    let number = match raw {
        Raw::Toml(DeValue::Integer(number)) => i128::from_str_radix(number.as_str(), number.radix()).ok(),
        Raw::Variable(text) => text.parse().ok(),
        Raw::Toml(_) => return Err(format!("expected an integer, found {}", raw.form())),
    };
    let Some(number) = number else {
        return Err("expected an integer".to_owned());
    };
    T::try_from(number).map_err(|_| format!("{number} is out of range here"))
}

/// A duration in words.
pub(super) fn duration(raw: Raw<'_>) -> Result<Duration, String> {
    const EXPECTED: &str = "a duration in words, such as \"90s\", \"15m\" or \"360d\"";
    let text = raw.text_or(EXPECTED)?;
    humantime::parse_duration(text)
        .map_err(|_| format!("expected {EXPECTED}, found {text}", text = quoted(text)))
}

/// A size in words, in octets.
pub(super) fn size(raw: Raw<'_>) -> Result<u64, String> {
    const EXPECTED: &str = "a size in words, such as \"64 KiB\" or \"4 MiB\"";
    let text = raw.text_or(EXPECTED)?;
    text.trim()
        .parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| format!("expected {EXPECTED}, found {text}", text = quoted(text)))
}

/// One of a few words.
pub(super) fn word<'w, T: Copy>(words: &'w [(&'w str, T)]) -> impl Fn(Raw<'_>) -> Result<T, String> + 'w {
    move |raw| {
        let listed: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let expected = format!("one of {}", listed.join(", "));
        let text = raw.text_or(&expected)?;
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("expected {expected}, found {text}", text = quoted(text)))
    }
}

/// Writes a duration as the config does, in its largest whole unit.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let unit =
        DURATION_UNITS.iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    match unit {
        Some((length, unit)) if duration.subsec_nanos() == 0 => format!("{}{unit}", seconds / length),
        _ if duration.is_zero() => "0s".to_owned(),
        _ => humantime::format_duration(duration).to_string(),
    }
}

/// Writes a size as the config does, in its largest whole unit.
pub(super) fn show_size(octets: u64) -> String {
    let unit = SIZE_UNITS.iter().find(|(length, _)| octets >= *length && octets.is_multiple_of(*length));
    match unit {
        Some((length, unit)) => format!("{} {unit}", octets / length),
        None => format!("{octets} B"),
    }
}

/// The one of `known` that `word` was probably meant to be.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let bound = 1 + word.chars().count() / 4;
    known
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be added, taken away or replaced (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, character) in left.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(at + 1);
        for (other, pair) in right.iter().zip(row.windows(2)) {
            let (diagonal, above) = (pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0));
            let beside = next.last().copied().unwrap_or(0);
            next.push((diagonal + usize::from(*other != character)).min(above + 1).min(beside + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

const DURATION_UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

const SIZE_UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_words() {
        for (text, seconds) in [("90s", 90), ("1h", 3_600), ("24h", 86_400), ("360d", 31_104_000)] {
            assert_eq!(duration(Raw::Variable(text)).unwrap(), Duration::from_secs(seconds));
        }
        for (text, octets) in [("4 MiB", 4 << 20), ("64KiB", 64 << 10), ("100 B", 100), ("1 MB", 1_000_000)] {
            assert_eq!(size(Raw::Variable(text)).unwrap(), octets);
        }
        for text in ["", "soon", "12", "-1s", "1 fortnight"] {
            assert!(duration(Raw::Variable(text)).is_err(), "{text}");
        }
        for text in ["", "big", "-1 KiB", "4 MiBs"] {
            assert!(size(Raw::Variable(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_and_sizes_are_written_as_they_are_read() {
        for text in ["0s", "90s", "1m", "24m", "1h", "1d", "360d"] {
            assert_eq!(show_duration(duration(Raw::Variable(text)).unwrap()), text);
        }
        for text in ["0 B", "1023 B", "1 KiB", "64 KiB", "4 MiB", "3 GiB"] {
            assert_eq!(show_size(size(Raw::Variable(text)).unwrap()), text);
        }
    }

    #[test]
    fn the_nearest_word_is_found() {
        assert_eq!(nearest("emali", ["email", "name"]), Some("email"));
        assert_eq!(nearest("Username", ["username", "name"]), Some("username"));
        assert_eq!(nearest("colour", ["email", "name"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn numbers_keep_to_their_type() {
        assert_eq!(integer::<u32>(Raw::Variable("7")), Ok(7));
        assert!(integer::<u32>(Raw::Variable("-1")).is_err());
        assert!(integer::<u32>(Raw::Variable("4294967296")).is_err());
        assert!(integer::<u32>(Raw::Variable("many")).is_err());
    }
}
