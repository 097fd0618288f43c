//! Reader and writer, alone and against each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{self, BufReader, Read};

use proptest::prelude::*;

use super::reader::{LdifError, LdifProblem};
use super::*;

fn read(text: impl AsRef<[u8]>) -> Vec<Result<Record, LdifError>> {
    LdifReader::new(text.as_ref()).collect()
}

fn record(text: impl AsRef<[u8]>) -> Record {
    let mut found = read(text);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0).unwrap()
}

fn error(text: impl AsRef<[u8]>) -> LdifError {
    let mut found = read(text);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0).unwrap_err()
}

/// What the records say, without where they stood; an error by its sentence.
fn contents(found: Vec<Result<Record, LdifError>>) -> Vec<Result<Content, String>> {
    let content = |record: Record| (record.dn, record.attributes);
    found.into_iter().map(|result| result.map(content).map_err(|error| error.to_string())).collect()
}

type Content = (String, Vec<(String, Vec<u8>)>);

fn content(dn: &str, attributes: &[(&str, &[u8])]) -> Content {
    let attributes =
        attributes.iter().map(|(description, value)| ((*description).to_owned(), value.to_vec()));
    (dn.to_owned(), attributes.collect())
}

const SLAPCAT: &str = "\
dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example
structuralObjectClass: organization
entryUUID: 4f2e5a9c-1c1f-103e-8b1c-1d2a3b4c5d6e

dn:: Y249TcO8bGxlcixvdT1wZW9wbGUsZGM9ZXhhbXBsZSxkYz1jb20=
cn:: TcO8bGxlcg==
userPassword:: e1NTSEF9YWJj
description: a value that slapcat has folded because it is longer than seventy-si
 x octets
mail:

";

#[test]
fn what_slapcat_writes_is_read() {
    let found = read(SLAPCAT);
    assert_eq!(found.iter().map(|result| result.as_ref().unwrap().line).collect::<Vec<_>>(), [1, 9]);
    let found = contents(found);
    assert_eq!(found[0].as_ref().unwrap().1.len(), 6);
    assert_eq!(
        found[1].as_ref().unwrap(),
        &content(
            "cn=Müller,ou=people,dc=example,dc=com",
            &[
                ("cn", "Müller".as_bytes()),
                ("userPassword", b"{SSHA}abc"),
                (
                    "description",
                    b"a value that slapcat has folded because it is longer than seventy-six octets"
                ),
                ("mail", b""),
            ]
        )
    );
}

/// RFC 2849, examples 1 to 4 (their content records).
#[test]
fn the_examples_of_the_rfc_are_read() {
    let text = "\
version: 1
dn: cn=Barbara Jensen, ou=Product Development, dc=airius, dc=com
objectclass: top
objectclass: person
cn: Barbara Jensen
sn: Jensen
telephonenumber: +1 408 555 1212
description:Babs is a big sailing fan, and travels extensively in sea
 rch of perfect sailing conditions.
title:Product Manager, Rod and Reel Division

dn:: b3U95Za25qWt6YOoLG89QWlyaXVz
# dn:: ou=<JapaneseOU>,o=Airius
objectclass: organizationalUnit
ou:: 5Za25qWt6YOo
ou;lang-ja;phonetic:: 44GI44GE44GO44KH44GG44G2
ou;lang-en: Sales
";
    let found = read(text);
    let first = found[0].as_ref().unwrap();
    assert_eq!(first.line, 2);
    assert_eq!(
        first.values("DESCRIPTION").collect::<Vec<_>>(),
        [b"Babs is a big sailing fan, and travels extensively in search of perfect sailing conditions."]
    );
    assert_eq!(first.values("objectClass").count(), 2);
    let second = found[1].as_ref().unwrap();
    assert_eq!(second.dn, "ou=営業部,o=Airius");
    assert_eq!(second.values("ou").count(), 1);
    assert_eq!(second.values("ou;lang-en").collect::<Vec<_>>(), [b"Sales"]);
}

#[test]
fn ends_of_lines_blanks_and_marks_make_no_difference() {
    let expected = content("cn=a", &[("cn", b"a"), ("sn", b"b c")]);
    for text in [
        "dn: cn=a\ncn: a\nsn: b c\n",
        "dn: cn=a\ncn: a\nsn: b c",
        "dn: cn=a\r\ncn: a\r\nsn: b c\r\n\r\n",
        "dn: cn=a\r\ncn: a\r\nsn: b\r\n  c\r\n",
        "dn: cn=a\r\ncn: a\r\nsn: b c\r",
        "\n\n\r\ndn: cn=a\ncn: a\nsn: b c\n\n\n\n",
        "\u{feff}dn: cn=a\ncn: a\nsn: b c\n",
        "\u{feff}# written by Notepad\r\nversion: 1\r\n\r\ndn: cn=a\ncn: a\nsn: b c\n",
        "version: 1 \ndn: cn=a\ncn: a\nsn: b c\n",
        "version: 1\n\n\ndn: cn=a\ncn: a\nsn: b c\n",
        "# one\n# two\n  folded: too\ndn: cn=a\n#three\n sn: no\ncn: a\nsn: b c\n# four",
        "dn:cn=a\ncn:a\nsn:   b c\n",
        "dn:: Y249YQ==\ncn:: YQ\nsn::   YiBj   \n",
        "DN: cn=a\ncn: a\nsn: b\n  c\n",
        "dn: cn=a\ncn: a\nsn: b\n \n  c\n \n",
    ] {
        assert_eq!(contents(read(text)), [Ok(expected.clone())], "{text:?}");
    }
}

#[test]
fn odd_but_legal_values() {
    let record = record(
        b"dn:\na:\nb::\nc: \nd:\ttab\ne: < f\nf: :g\ng: a:b\nh: end \ni: \xff\xfe\nj: m\xc3\xbcde\nk;range=0-9_x: y\nl: \r\r\n",
    );
    let expected: [(&str, &[u8]); 12] = [
        ("a", b""),
        ("b", b""),
        ("c", b""),
        ("d", b"\ttab"),
        ("e", b"< f"),
        ("f", b":g"),
        ("g", b"a:b"),
        ("h", b"end "),
        ("i", b"\xff\xfe"),
        ("j", "müde".as_bytes()),
        ("k;range=0-9_x", b"y"),
        ("l", b"\r"),
    ];
    assert_eq!((record.dn, record.attributes), content("", &expected));
}

type IsExpected = fn(&LdifProblem) -> bool;

#[test]
fn each_problem_has_its_line_and_costs_one_record() {
    let good = "dn: cn=z\ncn: z\n";
    let cases: [(&[u8], u64, IsExpected); 19] = [
        (b"cn: a\nsn: b\n", 1, |problem| matches!(problem, LdifProblem::NoDn)),
        (b"nothing\nsn: b\n", 1, |problem| matches!(problem, LdifProblem::NotAnAttribute)),
        (b"dn: cn=a\n\n cn: a\nsn: b\n", 3, |problem| matches!(problem, LdifProblem::Continuation)),
        (b"dn: cn=a\nc n: a\n", 2, |problem| matches!(problem, LdifProblem::NotAnAttribute)),
        (b"dn: cn=a\n: a\n", 2, |problem| matches!(problem, LdifProblem::NotAnAttribute)),
        (b"dn: cn=a\nc\xc3\xbc: a\n", 2, |problem| matches!(problem, LdifProblem::NotAnAttribute)),
        (b"dn: cn=a\nsn: b\nx: c\n d\ncn:: %%\n", 5, |problem| matches!(problem, LdifProblem::Base64 { .. })),
        (b"dn:: %%\ncn: a\n", 1, |problem| matches!(problem, LdifProblem::Base64 { .. })),
        (b"dn:: /w==\ncn: a\n", 1, |problem| matches!(problem, LdifProblem::DnNotUtf8)),
        (b"dn: \xff\ncn: a\n", 1, |problem| matches!(problem, LdifProblem::DnNotUtf8)),
        (b"dn: cn=a\ncn: a\ndn: cn=b\ncn: b\n", 3, |problem| matches!(problem, LdifProblem::SecondDn)),
        (b"dn: cn=a\nchangetype: delete\n", 2, |problem| {
            matches!(problem, LdifProblem::ChangeRecord(Some("delete")))
        }),
        (b"dn: cn=a\nchangetype: modRDN \nnewrdn: cn=b\n", 2, |problem| {
            matches!(problem, LdifProblem::ChangeRecord(Some("modrdn")))
        }),
        // Nowhere else, and once.
        (b"dn: cn=a\ncn: a\nchangetype: add\n", 3, |problem| {
            matches!(problem, LdifProblem::ChangeRecord(Some("add")))
        }),
        (b"dn: cn=a\nchangetype: add\nchangetype: hunter2\n", 3, |problem| {
            matches!(problem, LdifProblem::ChangeRecord(None))
        }),
        (b"dn: cn=a\ncontrol: 1.2.3 true\nchangetype: delete\n", 2, |problem| {
            matches!(problem, LdifProblem::Control)
        }),
        (b"dn: cn=a\nchangetype: modify\nadd: cn\ncn: b\n-\n", 2, |problem| {
            matches!(problem, LdifProblem::ChangeRecord(Some("modify")))
        }),
        (
            b"dn: cn=a\njpegPhoto:< file:///etc/shadow\n",
            2,
            |problem| matches!(problem, LdifProblem::Url { description } if description == "jpegPhoto"),
        ),
        (b"dn:< file:///etc/shadow\n", 1, |problem| matches!(problem, LdifProblem::Url { .. })),
    ];
    for (text, line, is_expected) in cases {
        let shown = String::from_utf8_lossy(text).into_owned();
        let text = [text, b"\n", good.as_bytes()].concat();
        // The record before the third case's continuation is well.
        let found: Vec<_> = read(text).into_iter().filter(|result| !is_record_of(result, "cn=a")).collect();
        let [Err(error), Ok(next)] = found.as_slice() else { panic!("{shown}: {found:?}") };
        assert_eq!((error.line, is_expected(&error.problem)), (line, true), "{shown}: {error}");
        assert_eq!(next.dn, "cn=z", "{shown}");
        assert!(!error.is_fatal());
    }
}

#[test]
fn a_change_that_adds_an_entry_is_read_as_that_entry() {
    let content = record("dn: cn=a\nobjectClass: person\ncn: a\nsn:: w4Q=\n");
    for change in ["changetype: add", "changeType:ADD ", "changetype:: YWRk"] {
        let change = record(format!("dn: cn=a\n{change}\nobjectClass: person\ncn: a\nsn:: w4Q=\n"));
        assert_eq!(change, content);
    }
    let refused = error("dn: cn=a\nchangetype: modify\nreplace: sn\nsn: b\n-\n").to_string();
    assert!(
        refused.starts_with("line 2 (cn=a): this is a change record (changetype: modify); only"),
        "{refused}"
    );
}

fn is_record_of(result: &Result<Record, LdifError>, dn: &str) -> bool {
    matches!(result, Ok(record) if record.dn == dn)
}

#[test]
fn an_error_is_a_sentence_without_values() {
    let error = error("dn: cn=a\nuserPassword: hunter2\nuserPassword:: hunter2!\n");
    assert_eq!(error.to_string(), "line 3 (cn=a): the value of userPassword is not valid base64");
    let shown = format!("{:?}", record("dn: cn=a\nuserPassword: hunter2\n"));
    assert!(shown.contains("userPassword") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn control_may_be_the_name_of_an_attribute() {
    assert_eq!(record("dn: cn=a\ncn: a\ncontrol: loose\n").values("control").count(), 1);
}

#[test]
fn another_version_ends_the_file() {
    for text in ["version: 2\ndn: cn=a\ncn: a\n", "version:: MQ==\n\ndn: cn=a\ncn: a\n"] {
        let error = error(text);
        assert!(error.is_fatal() && matches!(error.problem, LdifProblem::Version));
    }
}

#[test]
fn files_that_were_put_together_are_read() {
    let one = "version: 1\n\ndn: cn=a\ncn: a\n";
    assert_eq!(read(format!("{one}\n{one}")).iter().filter(|result| result.is_ok()).count(), 2);
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn a_failing_input_ends_the_iteration_with_an_error() {
    let text = b"dn: cn=a\ncn: a\n\ndn: cn=b\ncn: b\n";
    let found: Vec<_> = LdifReader::new(BufReader::new(text.chain(Failing))).collect();
    // The second record is not complete: its blank line is missing and so is the end.
    let [Ok(first), Err(error)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(first.dn, "cn=a");
    assert!(error.is_fatal());
    assert_eq!(error.dn.as_deref(), Some("cn=b"));
    assert_eq!(std::error::Error::source(error).unwrap().to_string(), "the disk is gone");
}

#[test]
fn between_two_calls_another_reader_may_go_on() {
    let text = b"dn: cn=a\nbad\ndn: cn=b\nversion: 3\n\nnothing\nversion: 3\n\ndn: cn=z\ncn: z\n";
    let mut reader = LdifReader::new(text.as_slice());
    for _ in 0..2 {
        assert!(!reader.next().unwrap().unwrap_err().is_fatal());
        let rest = &text[usize::try_from(reader.octets_read()).unwrap()..];
        assert!(read(rest).iter().any(|result| is_record_of(result, "cn=z")));
        assert!(!read(rest).iter().any(|result| is_record_of(result, "cn=b")));
    }
    assert!(is_record_of(&reader.next().unwrap(), "cn=z"));
    // An input that fails behind what is wrong is told too.
    let mut reader = LdifReader::new(BufReader::new(b"dn: cn=a\nbad\ncn: a\n".chain(Failing)));
    assert!(!reader.next().unwrap().unwrap_err().is_fatal());
    assert!(reader.next().unwrap().unwrap_err().is_fatal());
    assert!(reader.next().is_none());
}

#[test]
fn a_record_that_is_too_large_costs_itself_only() {
    let long = "x".repeat(2_000);
    let folded = "x".repeat(60) + &format!("\n {}", "y".repeat(60)).repeat(30);
    let many = "a:\n".repeat(100);
    for large in [format!("cn: {long}"), format!("cn: {folded}"), many, format!("cn:: {long}")] {
        let text = format!("dn: cn=a\n{large}\n\ndn: cn=z\ncn: z\n");
        let mut reader =
            LdifReader::new(BufReader::with_capacity(16, text.as_bytes())).with_record_size_max(1_000);
        let error = reader.next().unwrap().unwrap_err();
        assert!(matches!(error.problem, LdifProblem::TooLarge { limit: 1_000 }), "{error}");
        assert_eq!(reader.next().unwrap().unwrap().dn, "cn=z");
        assert!(reader.next().is_none());
        assert_eq!(reader.octets_read(), text.len() as u64);
    }
    let text = format!("dn: {long}\n\ndn: cn=z\ncn: z\n#{long}");
    let mut reader = LdifReader::new(text.as_bytes()).with_record_size_max(1_000);
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().unwrap().is_ok(), "a comment may be of any length");
    assert!(reader.next().is_none());
}

#[test]
fn the_limit_is_the_same_for_both_ends_of_lines() {
    for (room, is_read) in [(9, true), (8, false)] {
        for text in ["dn: cn=ab", "dn: cn=ab\n", "dn: cn=ab\r\n", "dn: cn=\r\n ab\r\n"] {
            let mut reader = LdifReader::new(text.as_bytes()).with_record_size_max(room);
            assert_eq!(reader.next().unwrap().is_ok(), is_read, "{text:?}");
        }
    }
}

#[test]
fn a_fold_may_stand_anywhere() {
    let text = "dn: cn=a,ou=b\ncn:: TcO8bGxlcg==\nsn: x y\n";
    let expected = contents(read(text));
    for end in ["\n ", "\r\n "] {
        for position in 1..text.len() {
            // Before the end of a line and at its beginning a space continues that line.
            if text.as_bytes()[position - 1] == b'\n' {
                continue;
            }
            let folded = format!("{}{end}{}", &text[..position], &text[position..]);
            assert_eq!(contents(read(&folded)), expected, "{folded:?}");
        }
    }
}

fn write<'a>(
    writer: &mut LdifWriter<Vec<u8>>,
    dn: &str,
    attributes: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<(), LdifWriteError> {
    let mut record = writer.begin(dn)?;
    for (description, value) in attributes {
        record.attribute(description, value)?;
    }
    record.end()
}

fn written(records: &[Record]) -> Vec<u8> {
    let mut writer = LdifWriter::new(Vec::new());
    for record in records {
        let attributes = record.attributes.iter();
        let attributes = attributes.map(|(description, value)| (description.as_str(), value.as_slice()));
        write(&mut writer, &record.dn, attributes).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn records_are_written_as_the_rfc_says() {
    let record = Record {
        line: 0,
        dn: "cn=Müller".to_owned(),
        attributes: vec![
            ("cn".to_owned(), b"plain".to_vec()),
            ("empty".to_owned(), Vec::new()),
            ("space".to_owned(), b" a".to_vec()),
            ("end".to_owned(), b"a ".to_vec()),
            ("colon".to_owned(), b":a".to_vec()),
            ("url".to_owned(), b"<a".to_vec()),
            ("escape".to_owned(), b"\x1b[2J".to_vec()),
            ("long".to_owned(), "0123456789".repeat(15).into_bytes()),
        ],
    };
    let expected = "\
version: 1

dn:: Y249TcO8bGxlcg==
cn: plain
empty:
space:: IGE=
end:: YSA=
colon:: OmE=
url:: PGE=
escape:: G1sySg==
long: 0123456789012345678901234567890123456789012345678901234567890123456789
 012345678901234567890123456789012345678901234567890123456789012345678901234
 56789
";
    let text = String::from_utf8(written(std::slice::from_ref(&record))).unwrap();
    assert_eq!(text, expected);
    assert!(expected.ends_with(&record.to_ldif()));
    assert_eq!(written(&[]), b"version: 1\n");
}

#[test]
fn what_is_no_attribute_is_not_written() {
    for description in ["", "dn", "ChangeType", "control", "a b", "a\nb", "a:b", "ü", "-a"] {
        let mut writer = LdifWriter::new(Vec::new());
        let result = write(&mut writer, "cn=a", [("cn", b"a".as_slice()), (description, b"b".as_slice())]);
        assert!(matches!(result, Err(LdifWriteError::Description { .. })), "{description:?}");
        write(&mut writer, "cn=b", [("cn", b"b".as_slice())]).unwrap();
        assert_eq!(writer.finish().unwrap(), b"version: 1\n\ndn: cn=b\ncn: b\n");
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let octets = prop_oneof![prop::collection::vec(any::<u8>(), 0..200), "[ -~]{0,200}".prop_map(Vec::from)];
    // Not the three names that are no attributes.
    let attribute = ("x[a-zA-Z0-9;._=-]{0,90}", octets);
    let dn = prop_oneof![any::<String>(), "[a-z=, ]{0,120}"];
    (dn, prop::collection::vec(attribute, 0..8)).prop_map(|(dn, attributes)| Record {
        line: 0,
        dn,
        attributes,
    })
}

/// Octets that come close to LDIF.
fn nearly_ldif() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "dn: cn=a",
        "dn:: YQ==",
        "cn",
        ":",
        "::",
        ":<",
        " ",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "#",
        "version: 1",
        "changetype: add",
        "\u{feff}",
        "a: b\n",
        "ü",
        "YWI=",
        "\0",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(crate::rounds::cases(256))]
    #[test]
    fn what_is_written_is_read_again(records in prop::collection::vec(any_record(), 0..6)) {
        let text = written(&records);
        prop_assert!(text.is_ascii());
        prop_assert!(text.split(|octet| *octet == b'\n').all(|line| line.len() <= 76));
        let expected: Vec<_> = records.into_iter().map(|record| Ok((record.dn, record.attributes))).collect();
        prop_assert_eq!(contents(read(text)), expected);
    }

    #[test]
    fn the_parts_in_which_input_arrives_make_no_difference(
        text in prop_oneof![nearly_ldif(), prop::collection::vec(any::<u8>(), 0..300)],
        capacity in 1_usize..20,
        limit in 0_usize..600,
    ) {
        let whole: Vec<_> = LdifReader::new(text.as_slice()).with_record_size_max(limit).collect();
        let parts = BufReader::with_capacity(capacity, text.as_slice());
        let parts: Vec<_> = LdifReader::new(parts).with_record_size_max(limit).collect();
        prop_assert_eq!(contents(whole), contents(parts));
    }

    #[test]
    fn lines_are_counted(text in nearly_ldif()) {
        let lines = text.split(|octet| *octet == b'\n').count() as u64;
        for result in read(&text) {
            let line = match &result {
                Ok(record) => record.line,
                Err(error) => error.line,
            };
            prop_assert!((1..=lines).contains(&line));
        }
    }
}

#[test]
fn a_record_may_be_written_value_by_value() {
    let values: Vec<Vec<u8>> =
        (0..5_000).map(|number| format!("uid=u{number},ou=people,dc=example,dc=com").into_bytes()).collect();
    let mut writer = LdifWriter::new(Vec::new());
    for dn in ["cn=a", "cn=b"] {
        let mut record = writer.begin(dn).unwrap();
        for value in &values {
            record.attribute("member", value).unwrap();
        }
        record.end().unwrap();
    }
    let members: Vec<String> =
        values.iter().map(|value| format!("member: {}\n", String::from_utf8_lossy(value))).collect();
    let members = members.concat();
    let expected = format!("version: 1\n\ndn: cn=a\n{members}\ndn: cn=b\n{members}");
    assert_eq!(String::from_utf8(writer.finish().unwrap()).unwrap(), expected);
    let mut writer = LdifWriter::new(Vec::new());
    assert!(writer.begin("cn=c").unwrap().attribute("changetype", b"add").is_err());
}
