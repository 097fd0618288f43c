//! docs/protocol.md names tests: they must exist.

use std::path::Path;

#[test]
fn the_tests_that_the_protocol_page_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/protocol.md")).unwrap();
    let mut count = 0;
    for name in page.split('`').skip(1).step_by(2).filter(|name| name.contains("::")) {
        let (file, function) = name.rsplit_once("::").unwrap();
        let candidates = [format!("src/{file}.rs"), format!("tests/{file}.rs"), format!("src/{file}/mod.rs")];
        let text = candidates.iter().find_map(|path| std::fs::read_to_string(root.join(path)).ok());
        let text =
            text.unwrap_or_else(|| panic!("docs/protocol.md names the file {file}, which is not there"));
        let is_there =
            text.contains(&format!("fn {function}()")) || text.contains(&format!("fn {function}("));
        assert!(is_there, "docs/protocol.md names {name}, which is not there");
        count += 1;
    }
    assert!(count > 60, "only {count} tests were found on the page");
}
