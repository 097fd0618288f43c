//! A text that is not TOML: one error for each mistake, and as much of it as can be read nevertheless.
//!
//! A parser that goes on behind a mistake reports what it meets in the wrong state, line after line. So each table is parsed
//! alone, with its header: what is wrong inside of one is its first error, and the smallest run of lines around that is taken
//! away with which the rest of the table is right.

use std::ops::Range;

use toml::de::DeTable;

/// What is wrong, and what is left.
pub(super) struct Mended {
    /// The text with blanks in place of what cannot be read, so that offsets stay true.
    pub(super) text: String,
    /// In the order of the text.
    pub(super) mistakes: Vec<Mistake>,
}

/// Something that cannot be read.
pub(super) struct Mistake {
    pub(super) message: String,
    /// The octets that are meant.
    pub(super) span: Range<usize>,
    /// The octets of the table that it stands in; of all of it, where no table shows it alone.
    pub(super) table: Range<usize>,
    /// The octets of which nobody knows what they are to say.
    pub(super) broken: Range<usize>,
    /// What stands in the headers there, without their brackets.
    pub(super) headers: Vec<String>,
    /// The names that stand below a header, each with its key.
    pub(super) names: Vec<(&'static str, String)>,
}

/// Finds out what is wrong with a text; `None`: nothing.
pub(super) fn mend(text: &str) -> Option<Mended> {
    errors(text).into_iter().next()?;
    let mut mended = text.to_owned();
    let mut mistakes = Vec::new();
    let tables = tables(text);
    for table in &tables {
        let piece = text.get(table.clone()).unwrap_or("");
        let Some((message, span)) = errors(piece).into_iter().next() else { continue };
        let mut taken = taken_away(piece, span.start);
        let header = piece.find('\n').map_or(piece.len(), |end| end + 1);
        if piece.starts_with('[') && taken.start < header {
            // Without its header it would be part of the table before.
            taken = 0..piece.len();
        }
        // It may be noticed behind what is wrong, at the end of the table or later.
        let span = if taken.contains(&span.start) { span } else { first_line(piece, &taken) };
        blank(&mut mended, taken.start + table.start..taken.end + table.start);
        let span = span.start + table.start..span.end + table.start;
        let (table, broken) = (table.clone(), table.clone());
        let (headers, names) = (headers(piece), names(piece));
        mistakes.push(Mistake { message, span, table, broken, headers, names });
    }
    let is_nothing_left = DeTable::parse_recoverable(&mended).0.get_ref().is_empty();
    if is_nothing_left || (tables.len() > 1 && mistakes.len() == tables.len()) {
        // It is something else, and so is all of it.
        mistakes.truncate(1);
        mended.clear();
    }
    // What no table shows alone: two of them say the same.
    let mut last = None;
    for (message, span) in errors(&mended) {
        let table = tables.iter().rposition(|table| table.start <= span.start);
        if table.is_none() || table != last {
            let broken = table.and_then(|table| tables.get(table)).cloned().unwrap_or(0..text.len());
            let piece = text.get(broken.clone()).unwrap_or("");
            let (headers, names) = (headers(piece), names(piece));
            mistakes.push(Mistake { message, span, table: 0..text.len(), broken, headers, names });
        }
        last = table;
    }
    Some(Mended { text: mended, mistakes })
}

/// What stands in the headers of a text, also in those that are none, without their brackets.
fn headers(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter_map(|line| line.strip_prefix('['));
    let inside = lines.map(|line| line.trim_start_matches('[').split([']', '#']).next().unwrap_or("").trim());
    inside.map(str::to_owned).collect()
}

/// What stands below a header as a name of an object.
fn names(text: &str) -> Vec<(&'static str, String)> {
    let below = text.split_once('\n').map_or("", |(_, below)| below);
    let (table, _) = DeTable::parse_recoverable(below);
    let table = table.get_ref();
    let said = |key: &'static str| Some((key, table.get(key)?.get_ref().as_str()?.to_owned()));
    NAME_KEYS.into_iter().filter_map(said).collect()
}

/// The errors of a text, each with where it is.
fn errors(text: &str) -> Vec<(String, Range<usize>)> {
    let (_, errors) = DeTable::parse_recoverable(text);
    let placed =
        |error: toml::de::Error| (error.message().to_owned(), error.span().unwrap_or(text.len()..text.len()));
    errors.into_iter().map(placed).collect()
}

/// The tables of a text, each from its header on; what stands before the first is one too. Those with nothing but blanks and
/// comments are left out.
fn tables(text: &str) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    let (mut offset, mut string) = (0, None);
    for line in text.split_inclusive('\n') {
        if string.is_none() && is_header(line) {
            starts.push(offset);
        }
        string = string_behind(line, string);
        offset += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let tables = starts.iter().copied().zip(ends).map(|(start, end)| start..end);
    let says_something = |table: &Range<usize>| {
        let mut lines = text.get(table.clone()).unwrap_or("").lines().map(str::trim_start);
        lines.any(|line| !line.is_empty() && !line.starts_with('#'))
    };
    tables.filter(says_something).collect()
}

/// The quotes of the string that goes on behind a line, given those of the string that it begins in; none: no string does.
/// One of single lines ends with its line, and quotes in a comment are none.
fn string_behind(line: &str, mut quotes: Option<&'static str>) -> Option<&'static str> {
    let mut rest = line;
    loop {
        if let Some(open) = quotes {
            match behind_string(rest, open) {
                Some(behind) => rest = behind,
                None => return quotes.filter(|quotes| quotes.len() > 1),
            }
        }
        rest = rest.get(rest.find(['"', '\'', '#'])?..)?;
        quotes = QUOTES.into_iter().find(|quotes| rest.starts_with(quotes));
        rest = rest.strip_prefix(quotes?)?;
    }
}

/// What stands behind the quotes that end a string.
fn behind_string<'t>(text: &'t str, quotes: &str) -> Option<&'t str> {
    let mut rest = text;
    loop {
        if let Some(behind) = rest.strip_prefix(quotes) {
            return Some(behind);
        }
        let mut characters = rest.chars();
        if characters.next()? == '\\' && quotes.starts_with('"') {
            characters.next();
        }
        rest = characters.as_str();
    }
}

/// Whether a line is the header of a table. One that lacks a bracket is one too; a list that goes on in a line of its own is
/// none, as that ends with a comma or holds a quote.
fn is_header(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or("").trim_end();
    line.starts_with('[')
        && !line.ends_with(',')
        && line.bytes().all(|octet| {
            octet.is_ascii_alphanumeric() || matches!(octet, b'[' | b']' | b'.' | b'_' | b'-' | b' ' | b'\t')
        })
}

/// The lines around an error at `at` without which a table is right; all behind it, where there are none.
fn taken_away(table: &str, at: usize) -> Range<usize> {
    let lines: Vec<Range<usize>> = table
        .split_inclusive('\n')
        .scan(0, |start, line| {
            let range = *start..*start + line.len();
            *start = range.end;
            Some(range)
        })
        .collect();
    let Some(last) = lines.len().checked_sub(1) else { return 0..table.len() };
    let wrong = lines.partition_point(|line| line.end <= at).min(last);
    let octets = |from: usize, to: usize| {
        let start = lines.get(from).map_or(0, |line| line.start);
        start..lines.get(to).map_or(table.len(), |line| line.end)
    };
    let is_right_without = |taken: &Range<usize>| {
        let mut rest = table.to_owned();
        blank(&mut rest, taken.clone());
        errors(&rest).is_empty()
    };
    let before = (1..=LINES_BEFORE_MAX.min(wrong))
        .flat_map(|count| [octets(wrong - count, wrong - 1), octets(wrong - count, wrong)]);
    let behind = (0..=LINES_BEFORE_MAX.min(wrong)).map(|count| octets(wrong - count, last));
    let mut candidates = std::iter::once(octets(wrong, wrong)).chain(before).chain(behind);
    candidates.find(is_right_without).unwrap_or(0..table.len())
}

/// The first line of a range, without the blanks around it.
fn first_line(table: &str, range: &Range<usize>) -> Range<usize> {
    let lines = table.get(range.clone()).unwrap_or("");
    let text = lines.trim_start();
    let start = range.start + lines.len() - text.len();
    start..start + text.lines().next().unwrap_or("").trim_end().len()
}

/// Puts blanks in place of a range, but for the ends of lines.
fn blank(text: &mut String, range: Range<usize>) {
    let Some(taken) = text.get(range.clone()) else { return };
    let blanks: String = taken
        .bytes()
        .map(|octet| if matches!(octet, b'\n' | b'\r') { char::from(octet) } else { ' ' })
        .collect();
    text.replace_range(range, &blanks);
}

/// How far before the place where it is noticed a mistake is looked for, in lines.
/// No limit of the config: it is about the words of a report.
const LINES_BEFORE_MAX: usize = 32;
/// The keys that hold the name of an object.
const NAME_KEYS: [&str; 4] = ["name", "username", "identifier", "slug"];
/// What strings begin and end with; of what begins alike, the longer first.
const QUOTES: [&str; 4] = ["\"\"\"", "'''", "\"", "'"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The lines of the mistakes, and how many tables are left.
    fn lines(text: &str) -> (Vec<usize>, String) {
        let mended = mend(text).unwrap();
        assert!(mended.text.is_empty() || mended.text.len() == text.len());
        let line = |mistake: &Mistake| text[..mistake.span.start].matches('\n').count() + 1;
        let left = mended.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
        (mended.mistakes.iter().map(line).collect(), left.join("|"))
    }

    #[test]
    fn one_mistake_is_one() {
        for (text, expected, left) in [
            ("[a]\nx = [1\ny = 2\n[b]\nz = 3\n", 1, "[a]|y = 2|[b]|z = 3"),
            ("[a]\nx = [\n 1,\n 2,\ny = 2\n[b]\nz = 3\n", 1, "[a]|y = 2|[b]|z = 3"),
            ("[a]\nx = { q = 1\ny = 2\n[b]\nz = 3\n", 1, "[a]|y = 2|[b]|z = 3"),
            ("[a]\nx = \"1\ny = 2\n[b]\nz = 3\n", 1, "[a]|y = 2|[b]|z = 3"),
            ("[a]\nx = y\n[[b]\nz = 3\n[c]\n", 2, "[a]|[c]"),
            ("[a]\nx = [1 # \"\"\"\ny = 2 # it's\n[b]\nz = 3\n", 1, "[a]|y = 2 # it's|[b]|z = 3"),
            (
                "[a]\nx = \"#\" # '''\ny = \"\"\"\n# \\\"\"\"\n[c]\n\"\"\"\nz = y\n",
                1,
                "[a]|x = \"#\" # '''|y = \"\"\"|# \\\"\"\"|[c]|\"\"\"",
            ),
            ("[a]\nx = [1\n[[ b ]]\nz = 3\n", 1, "[a]|[[ b ]]|z = 3"),
            ("[a]\nx = 1\n[ [b] ]\ny = 2\n[c]\nz = 3\n", 1, "[a]|x = 1|[c]|z = 3"),
            ("[a]\nx = 1\nx = 2\n[b]\nz = 3\n", 1, "[a]|x = 1|[b]|z = 3"),
            ("[a]\nx = 1\n[b]\n[a]\nx = 2\n", 1, "[a]|x = 1|[b]|[a]|x = 2"),
        ] {
            let (lines, rest) = lines(text);
            assert_eq!((lines.len(), rest.as_str()), (expected, left), "{text}: {lines:?}");
        }
    }

    #[test]
    fn what_is_something_else_is_told_once() {
        for text in [
            "server:\n  data_dir: data\n  ldap:\n    - 127.0.0.1:389\n",
            "{\n  \"server\": { \"data_dir\": \"data\" },\n  \"provider\": []\n}\n",
            "[server]\ndata_dir = /var/lib/x\n[provider]\nname = ldap\n",
            "<config>\n<server/>\n</config>\n",
            "dn: dc=example\nobjectClass: top\n",
        ] {
            let mended = mend(text).unwrap();
            assert_eq!((mended.mistakes.len(), mended.text.as_str()), (1, ""), "{text}");
        }
        assert!(mend("[a]\nx = 1\n").is_none());
    }
}
