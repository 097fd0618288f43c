//! Pages and `tests/run` name tests: they must exist.
#![allow(clippy::unwrap_used)]

use std::path::Path;

#[test]
fn the_tests_that_pages_name_exist() {
    for (page, at_least) in [("docs/protocol.md", 60), ("docs/reliability.md", 40)] {
        let text = read(page).unwrap();
        let names: Vec<&str> =
            text.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
        for name in &names {
            assert!(exists(name), "{page} names {name}, which is not there");
        }
        assert!(names.len() > at_least, "only {} tests were found in {page}", names.len());
    }
}

/// cargo takes a name that nothing has for no mistake.
#[test]
fn the_tests_that_are_played_for_long_exist() {
    let text = read("tests/run").unwrap();
    let (_, table) = text.split_once("<<'ROUNDS'\n").unwrap();
    let (table, _) = table.split_once("\nROUNDS\n").unwrap();
    let lines: Vec<&str> = table.lines().collect();
    for line in &lines {
        let name = line.split(' ').next_back().unwrap();
        let program = if line.contains(" --lib ") { "" } else { "store/" };
        assert!(
            exists(&format!("{program}{}", name.replacen("::", "/", name.matches("::").count() - 1))),
            "{line}"
        );
    }
    assert!(lines.len() > 8, "{lines:?}");
}

/// Whether there is a test of this name: its file below `src/` or `tests/`, `::`, the function.
fn exists(name: &str) -> bool {
    let (file, function) = name.rsplit_once("::").unwrap();
    let files = [format!("src/{file}.rs"), format!("tests/{file}.rs"), format!("src/{file}/mod.rs")];
    files.iter().filter_map(|path| read(path)).any(|text| text.contains(&format!("fn {function}(")))
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}
