//! Characters that change what is read without being seen: no name may have them, and where a text from elsewhere is
//! shown they stand as escapes.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Controls, marks of the direction of writing, separators of lines and paragraphs, fillers, tags, and what has no width.
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text as it can be shown in one line of a terminal: nothing in it moves the cursor, breaks the line or turns what
/// stands behind it.
pub fn visible(text: &str) -> String {
    escape(text, is_invisible, |escaped, character| {
        // Writing to a string cannot fail.
        let _ = write!(escaped, "{}", character.escape_default());
    })
    .into_owned()
}

/// The text with what is `hidden` in it as `escape` writes it.
pub fn escape(
    text: &str,
    is_hidden: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if !text.contains(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) {
            escape(&mut escaped, character);
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_shown() {
        assert_eq!(visible("Zoë O'Brien \"🦀\""), "Zoë O'Brien \"🦀\"");
        assert_eq!(visible("a\u{202e}b\n\u{1b}[2J\u{3164}"), "a\\u{202e}b\\n\\u{1b}[2J\\u{3164}");
    }
}
