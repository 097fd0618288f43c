//! String preparation (RFC 4518): what makes `Müller  GmbH` and `mÜller gmbh` one value.
//!
//! One deviation in representation: RFC 4518 section 2.6.1 gives a prepared value one space at each end and
//! two for each inner run. Here the ends are trimmed and an inner run is one space, which saves memory in
//! every index and decides equality and order in the same way. Substrings differ in two corners: a part that
//! begins or ends with a space needs a space between two words of the value (the RFC would let `(cn=a *)` find
//! the value `a`), and two parts cannot share one run of spaces (the RFC would let `(cn=*a * b*)` find `a b`).
//!
//! Code points that are unassigned in Unicode 3.2 are not prohibited (section 2.4 would): most of them have
//! been assigned since. The bidirectional check does not exist (section 2.5).

use std::borrow::Cow;

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The value is not of the syntax that the rule compares; an assertion of it is Undefined.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
#[error("The value is not of the syntax that the matching rule compares.")]
pub struct InvalidSyntax;

/// Where a part of a substring assertion stands (RFC 4511 section 4.5.1.7.2).
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum PartPosition {
    /// At the beginning of the value.
    Initial,
    /// Anywhere after the part before.
    Any,
    /// At the end of the value.
    Final,
}

/// Whether letters that differ in case alone are one.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Case {
    Fold,
    Keep,
}

/// Which ends of the text lose their spaces.
#[derive(Copy, Clone)]
struct Trim {
    start: bool,
    end: bool,
}

/// Appends the prepared form of a whole value.
pub(super) fn prepare(value: &[u8], case: Case, out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    prepare_within(value, case, usize::MAX, out)
}

/// The same, but stops soon behind `octets_max` octets, as a code point may become eighteen: more than that is appended
/// then, and it is no prepared form.
pub(super) fn prepare_within(
    value: &[u8],
    case: Case,
    octets_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), InvalidSyntax> {
    prepare_trimmed(value, case, Trim { start: true, end: true }, octets_max, out)
}

/// Appends the prepared form of one part of a substring assertion: a space at an end that touches other text
/// is kept, as one.
pub(super) fn prepare_part(
    value: &[u8],
    case: Case,
    position: PartPosition,
    octets_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), InvalidSyntax> {
    let trim = Trim { start: position == PartPosition::Initial, end: position == PartPosition::Final };
    prepare_trimmed(value, case, trim, octets_max, out)
}

/// What it costs to prepare a value, in the unit in which work is counted (some 50 ns), where `form` octets came of it:
/// text that needs the tables costs for every octet about what sixty-four of plain text do.
pub fn cost_of_preparing(value: &[u8], form: usize) -> u64 {
    match value.iter().copied().all(is_plain) {
        true => cost_of_plain(value),
        false => value.len().max(form) as u64,
    }
}

/// The same of what is taken as it is, or nearly so.
pub(super) fn cost_of_plain(value: &[u8]) -> u64 {
    value.len() as u64 / 64
}

/// Whether `value`, prepared, is `prepared`; for ASCII without writing anything.
pub(super) fn matches(value: &[u8], case: Case, prepared: &[u8], scratch: &mut Vec<u8>) -> bool {
    let mut expected = prepared.iter();
    let mut pending_space = false;
    let mut is_empty = true;
    for &octet in value {
        if !is_plain(octet) {
            scratch.clear();
            return prepare(value, case, scratch).is_ok() && scratch == prepared;
        }
        if octet == b' ' {
            pending_space = !is_empty;
            continue;
        }
        if pending_space && expected.next() != Some(&b' ') {
            // Not yet a verdict: a later octet may be mapped to nothing or be combining. That needs one that
            // is not plain, and then the rest must be looked at.
            return matches_unless_plain(value, case, prepared, scratch);
        }
        pending_space = false;
        is_empty = false;
        if expected.next() != Some(&fold_octet(octet, case)) {
            return matches_unless_plain(value, case, prepared, scratch);
        }
    }
    expected.next().is_none()
}

/// The verdict on a value that differs from `prepared` as far as it is plain.
fn matches_unless_plain(value: &[u8], case: Case, prepared: &[u8], scratch: &mut Vec<u8>) -> bool {
    if value.iter().copied().all(is_plain) {
        return false;
    }
    scratch.clear();
    prepare(value, case, scratch).is_ok() && scratch == prepared
}

/// Appends text that consists of plain octets alone, prepared; `false` when it does not.
pub(super) fn prepare_plain(value: &[u8], case: Case, out: &mut Vec<u8>) -> bool {
    if !value.iter().copied().all(is_plain) {
        return false;
    }
    collapse_plain(value, case, Trim { start: true, end: true }, out);
    true
}

/// Appends the decimal digits of a numeric string: all spaces are insignificant (section 2.6.2).
pub(super) fn prepare_numeric(value: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    let start = out.len();
    for &octet in value {
        match octet {
            b'0'..=b'9' => out.push(octet),
            b' ' => {}
            _ => {
                out.truncate(start);
                return Err(InvalidSyntax);
            }
        }
    }
    Ok(())
}

/// Appends a telephone number: spaces and hyphens of every kind are insignificant (section 2.6.3).
pub(super) fn prepare_telephone(value: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidSyntax> {
    if value.iter().copied().all(is_plain) {
        let significant = value.iter().filter(|octet| !matches!(octet, b' ' | b'-'));
        out.extend(significant.map(u8::to_ascii_lowercase));
        return Ok(());
    }
    let mut text = Vec::new();
    prepare(value, Case::Fold, &mut text)?;
    let text = String::from_utf8(text).map_err(|_| InvalidSyntax)?;
    let mut utf8 = [0; 4];
    for character in text.chars().filter(|character| *character != ' ' && !is_hyphen(*character)) {
        out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
    }
    Ok(())
}

fn prepare_trimmed(
    value: &[u8],
    case: Case,
    trim: Trim,
    octets_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), InvalidSyntax> {
    if value.iter().copied().all(is_plain) {
        collapse_plain(value, case, trim, out);
        return Ok(());
    }
    let text = std::str::from_utf8(value).map_err(|_| InvalidSyntax)?;
    let mapped: String = text.chars().filter_map(map).collect();
    let mut prepared = String::with_capacity(mapped.len());
    let folded = match case {
        Case::Keep => Cow::Borrowed(mapped.as_str()),
        Case::Fold => FOLD.fold_string(&mapped),
    };
    for character in folded.nfkc() {
        if prepared.len() > octets_max {
            // Whatever is left of it: this is too much.
            out.resize(out.len().saturating_add(octets_max).saturating_add(1), b' ');
            return Ok(());
        }
        prepared.push(character);
    }
    // Table B.2 of RFC 3454 folds what normalisation makes, too: `℡` becomes `tel`.
    if case == Case::Fold {
        let again = FOLD.fold_string(&prepared);
        if *again != *prepared {
            prepared = again.nfkc().collect();
        }
    }
    if prepared.chars().any(is_prohibited) {
        return Err(InvalidSyntax);
    }
    collapse(&prepared, trim, out);
    Ok(())
}

/// Printable ASCII, which needs no table: the whole of most values.
fn is_plain(octet: u8) -> bool {
    matches!(octet, b' '..=b'~')
}

fn fold_octet(octet: u8, case: Case) -> u8 {
    match case {
        Case::Fold => octet.to_ascii_lowercase(),
        Case::Keep => octet,
    }
}

fn collapse_plain(value: &[u8], case: Case, trim: Trim, out: &mut Vec<u8>) {
    out.reserve(value.len());
    let start = out.len();
    for (spaces, word) in value.split(|octet| *octet == b' ').enumerate() {
        if word.is_empty() {
            continue;
        }
        if spaces > 0 && (out.len() > start || !trim.start) {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    if let (Case::Fold, Some(written)) = (case, out.get_mut(start..)) {
        written.make_ascii_lowercase();
    }
    finish(value.ends_with(b" "), start, trim, out);
}

/// As `collapse_plain`; a space that carries a combining mark is a character of its own (section 2.6).
fn collapse(text: &str, trim: Trim, out: &mut Vec<u8>) {
    let start = out.len();
    let mut pending_space = false;
    let mut characters = text.chars().peekable();
    let mut utf8 = [0; 4];
    while let Some(character) = characters.next() {
        if character == ' ' && !characters.peek().copied().is_some_and(is_combining_mark) {
            pending_space = true;
            continue;
        }
        if pending_space && (out.len() > start || !trim.start) {
            out.push(b' ');
        }
        pending_space = false;
        out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
    }
    finish(pending_space, start, trim, out);
}

/// A trailing space, where it is kept. Of text that is nothing but spaces one remains in the middle of a
/// substring assertion and none at an end.
fn finish(pending_space: bool, start: usize, trim: Trim, out: &mut Vec<u8>) {
    let is_empty = out.len() == start;
    if pending_space && !trim.end && !(is_empty && trim.start) {
        out.push(b' ');
    }
}

/// Section 2.2: what is mapped to nothing (`None`) and to a space.
fn map(character: char) -> Option<char> {
    match character {
        '\u{9}'..='\u{D}' | '\u{85}' => Some(' '),
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{2028}' | '\u{2029}' => Some(' '),
        '\u{202F}' | '\u{205F}' | '\u{3000}' => Some(' '),
        '\u{AD}'
        | '\u{34F}'
        | '\u{1806}'
        | '\u{180B}'..='\u{180E}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FFFC}' => None,
        '\0'..='\u{8}' | '\u{E}'..='\u{1F}' | '\u{7F}'..='\u{9F}' => None,
        '\u{6DD}' | '\u{70F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' => None,
        '\u{2060}'..='\u{2063}' | '\u{206A}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' => None,
        '\u{1D173}'..='\u{1D17A}' | '\u{E0001}' | '\u{E0020}'..='\u{E007F}' => None,
        _ => Some(character),
    }
}

/// Section 2.4: private use, the replacement character, and code points that are no characters.
fn is_prohibited(character: char) -> bool {
    matches!(character,
        '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' | '\u{FFFD}' | '\u{FDD0}'..='\u{FDEF}')
        || u32::from(character) & 0xFFFE == 0xFFFE
}

fn is_hyphen(character: char) -> bool {
    matches!(character, '-' | '\u{58A}' | '\u{2010}' | '\u{2011}' | '\u{2212}' | '\u{FE63}' | '\u{FF0D}')
}

static FOLD: CaseMapperBorrowed<'static> = CaseMapper::new();

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prepared(text: &str, case: Case) -> String {
        let mut out = Vec::new();
        prepare(text.as_bytes(), case, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn part(text: &str, position: PartPosition) -> String {
        let mut out = Vec::new();
        prepare_part(text.as_bytes(), Case::Fold, position, usize::MAX, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn case_spaces_and_normalisation_fold() {
        for (text, folded, kept) in [
            ("Foo  Bar ", "foo bar", "Foo Bar"),
            ("  ", "", ""),
            ("", "", ""),
            ("Mu\u{308}ller\tGmbH", "müller gmbh", "Müller GmbH"),
            ("Straße", "strasse", "Straße"),
            ("ﬁn", "fin", "fin"),
            ("Ａ\u{3000}Ｂ", "a b", "A B"),
            ("Σ", "σ", "Σ"),
            ("℡", "tel", "TEL"),
            ("a\u{AD}b\u{200B}c\u{FEFF}\0\u{7F}", "abc", "abc"),
            ("a\u{85}b\u{2028}c\r\n", "a b c", "a b c"),
            ("\u{202E}abc", "abc", "abc"),
        ] {
            assert_eq!(prepared(text, Case::Fold), folded, "{text:?}");
            assert_eq!(prepared(text, Case::Keep), kept, "{text:?}");
        }
    }

    #[test]
    fn a_space_with_a_combining_mark_is_kept() {
        assert_eq!(prepared("a  \u{301}b", Case::Fold), "a  \u{301}b");
        assert_eq!(prepared(" \u{301}b", Case::Fold), " \u{301}b");
    }

    #[test]
    fn prohibited_code_points_and_other_octets_are_refused() {
        for text in ["a\u{FFFD}", "\u{E000}", "\u{10FFFD}", "\u{FDD0}", "\u{1FFFE}"] {
            assert_eq!(prepare(text.as_bytes(), Case::Fold, &mut Vec::new()), Err(InvalidSyntax), "{text:?}");
        }
        assert_eq!(prepare(b"a\xFF", Case::Fold, &mut Vec::new()), Err(InvalidSyntax));
    }

    #[test]
    fn what_grows_is_not_prepared_beyond_what_it_may_be() {
        for (text, octets_max, fits) in
            [("\u{fdfa}", 64, true), ("\u{fdfa}", 32, false), (&*"\u{fdfa}".repeat(20_000), 4_096, false)]
        {
            for case in [Case::Fold, Case::Keep] {
                let mut out = Vec::new();
                prepare_within(text.as_bytes(), case, octets_max, &mut out).unwrap();
                assert_eq!(out.len() <= octets_max, fits, "{octets_max}");
                assert!(out.len() <= octets_max + 64, "it stops: {}", out.len());
            }
        }
        // Also where what was looked at so far collapses to nothing.
        let mut out = Vec::new();
        prepare_within(" \u{3000}".repeat(100).as_bytes(), Case::Fold, 64, &mut out).unwrap();
        assert!(out.len() > 64);
    }

    #[test]
    fn what_unicode_3_2_did_not_know_is_text() {
        assert_eq!(prepared("😀 ẞ", Case::Fold), "😀 ss");
    }

    #[test]
    fn parts_keep_the_space_that_touches_other_text() {
        use PartPosition::{Any, Final, Initial};
        for (text, position, expected) in [
            ("  A  b ", Initial, "a b "),
            ("  A  b ", Any, " a b "),
            ("  A  b ", Final, " a b"),
            ("a", Any, "a"),
            ("   ", Any, " "),
            ("   ", Initial, ""),
            ("   ", Final, ""),
            ("\u{A0}Ä\u{A0}", Any, " ä "),
            ("\u{A0}Ä\u{A0}", Initial, "ä "),
            ("\u{A0}", Any, " "),
        ] {
            assert_eq!(part(text, position), expected, "{text:?} {position:?}");
        }
    }

    #[test]
    fn telephone_numbers_lose_spaces_and_hyphens() {
        let mut out = Vec::new();
        prepare_telephone("+49 (0)30\u{2011}12-34\u{A0}5 X".as_bytes(), &mut out).unwrap();
        assert_eq!(out, b"+49(0)3012345x");
        out.clear();
        prepare_telephone(b" +49 (0)30 12-34  5 X-", &mut out).unwrap();
        assert_eq!(out, b"+49(0)3012345x");
    }

    proptest! {
        #![proptest_config(crate::rounds::cases(256))]
        #[test]
        fn matching_without_writing_is_matching_normal_forms(
            value in "[aAbB \u{301}\u{308}üÜ\u{AD}\t]{0,8}",
            assertion in "[aAbB \u{301}\u{308}üÜ\u{AD}\t]{0,8}",
        ) {
            for case in [Case::Fold, Case::Keep] {
                let (mut first, mut second) = (Vec::new(), Vec::new());
                prepare(value.as_bytes(), case, &mut first).unwrap();
                prepare(assertion.as_bytes(), case, &mut second).unwrap();
                prop_assert_eq!(matches(value.as_bytes(), case, &second, &mut Vec::new()), first == second);
                prop_assert!(matches(value.as_bytes(), case, &first, &mut Vec::new()));
            }
        }

        #[test]
        fn plain_text_has_one_form_by_both_ways(text in "[ -~]{0,30}") {
            let mut by_table = Vec::new();
            collapse(&text.to_ascii_lowercase(), Trim { start: true, end: true }, &mut by_table);
            prop_assert_eq!(prepared(&text, Case::Fold).into_bytes(), by_table);
        }

        #[test]
        fn a_prepared_text_stays_as_it_is(text in "[ -~äöüÄßéΣς\u{300}\u{3000}]{0,20}") {
            let once = prepared(&text, Case::Fold);
            prop_assert_eq!(prepared(&once, Case::Fold), once);
        }

        #[test]
        fn nothing_panics(value in proptest::collection::vec(any::<u8>(), 0..40), text in "\\PC{0,20}") {
            let _ = prepare(&value, Case::Fold, &mut Vec::new());
            let _ = prepare(text.as_bytes(), Case::Fold, &mut Vec::new());
            let _ = matches(&value, Case::Fold, text.as_bytes(), &mut Vec::new());
        }
    }
}
