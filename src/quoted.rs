//! What somebody has written, as messages repeat it: its beginning, which is enough to find it again, and no character that
//! a terminal or a log would take for something else.

use std::fmt;

/// A text that is repeated, between double quotes.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<T>(T);

/// The name of something, between backticks.
#[derive(Clone, Copy, Debug)]
pub struct Called<T>(T);

/// A text in a message.
pub const fn quoted<T: AsRef<str>>(text: T) -> Quoted<T> {
    Quoted(text)
}

/// A name in a message.
pub const fn called<T: AsRef<str>>(name: T) -> Called<T> {
    Called(name)
}

/// The beginning of a text as a message shows it, with a mark where there is more: what breaks a line, turns the direction of
/// the text round or takes no room is escaped.
pub fn beginning(text: &str) -> String {
    let mut shown = String::new();
    for piece in cut(text).split_inclusive(QUOTES) {
        let plain = piece.strip_suffix(QUOTES).unwrap_or(piece);
        shown.extend(plain.escape_debug());
        shown.extend(piece.strip_prefix(plain));
    }
    shown
}

/// The first of so many names, and how many more there are.
pub fn enumerated(names: &[impl AsRef<str>], count: usize) -> String {
    let shown: Vec<String> = names.iter().take(ENUMERATED_MAX).map(|name| beginning(name.as_ref())).collect();
    match count.saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The same as it was written.
fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(REPEATED_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

impl<T: AsRef<str>> fmt::Display for Quoted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&cut(self.0.as_ref()), formatter)
    }
}

impl<T: AsRef<str>> fmt::Display for Called<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", beginning(self.0.as_ref()))
    }
}

/// What stands as it is where a text is between no quotes.
const QUOTES: [char; 3] = ['"', '\'', '\\'];
/// Characters of what is repeated.
/// No limit of the config: how long a message is, not what is held of anybody.
const REPEATED_MAX: usize = 100;
/// Names of many that are told.
/// No limit of the config: how long a message is, and the others are counted.
const ENUMERATED_MAX: usize = 3;
/// So many are named of those that are told together; more are counted.
/// No limit of the config: all are counted, and nobody reads more.
pub const NAMED_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_the_first_are_told() {
        let names = ["a", "b\n", "c", "d"];
        assert_eq!(enumerated(&names, 437), "a, b\\n, c and 434 more");
        assert_eq!(enumerated(&names, 4), "a, b\\n, c and 1 more");
        assert_eq!(enumerated(&names[..2], 2), "a, b\\n");
    }

    #[test]
    fn no_more_is_repeated_than_finds_it_again() {
        assert_eq!(quoted("two\nlines \"of\" O'Neil").to_string(), r#""two\nlines \"of\" O'Neil""#);
        assert_eq!(called("two\nlines \"of\" O'Neil").to_string(), "`two\\nlines \"of\" O'Neil`");
        for shown in [
            called("a\u{202e}b\u{2028}c\u{200b}é日e\u{301}\\'").to_string(),
            beginning("a\u{202e}b\u{2028}c\u{200b}é日e\u{301}\\'"),
        ] {
            assert_eq!(shown.trim_matches('`'), "a\\u{202e}b\\u{2028}c\\u{200b}é日e\u{301}\\'");
        }
        let long = "ü".repeat(REPEATED_MAX);
        assert_eq!(quoted(&long).to_string(), format!("\"{long}\""));
        assert_eq!(quoted(format!("{long}x")).to_string(), format!("\"{long}…\""));
        assert_eq!(called(format!("{long}x")).to_string(), format!("`{long}…`"));
    }
}
