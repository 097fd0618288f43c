//! Imports point down: no folder takes from one of a floor above or from another of its own floor, and no file of a folder
//! from one that takes from it. What the code says of itself is read here, not what it means.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Where a file stands: `directory/reader.rs` is `["directory", "reader"]`, `directory/mod.rs` is `["directory"]`.
type Place = Vec<String>;

/// The circles that there are, by the first of their files, and how many files they may have. The large ones are one thing in many
/// files that know each other (a registry with its commands and its writer, a session with its operations, a call with what
/// stands around it): a file that is to be one more of them is chosen to be. The others are to be opened; a new one is not to be
/// added.
const KNOWN: &[(&str, usize)] =
    &[("http", 19), ("ldap/memory", 12), ("registry", 38), ("schema/attributes", 3), ("store/disk", 2)];

/// What takes something from its own floor.
const BESIDE: &[(&str, &str)] = &[("clock", "model"), ("model", "quoted"), ("schema", "quoted")];

#[test]
fn no_new_circle_of_files() {
    let sources = Sources::read();
    let imports = sources.imports();
    let reached: BTreeMap<&Place, BTreeSet<Place>> =
        sources.files.keys().map(|place| (place, reached(&imports, place))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (place, others) in &reached {
        let circle = others.iter().filter(|other| reached[other].contains(*place));
        circles.insert(circle.map(|other| other.join("/")).collect());
    }
    circles.remove(&Vec::new());
    let is_known =
        |circle: &Vec<String>| KNOWN.iter().any(|(first, most)| circle[0] == *first && circle.len() <= *most);
    let new: Vec<_> = circles.iter().filter(|circle| !is_known(circle)).collect();
    assert!(new.is_empty(), "files that import each other; what they share belongs below them: {new:#?}");
    for (first, _) in KNOWN {
        assert!(circles.iter().any(|circle| circle[0] == *first), "{first}: it is open, so the row may go");
    }
}

#[test]
fn folders_import_from_floors_below() {
    let sources = Sources::read();
    let floors = floors();
    assert_eq!(floors.get("ldap"), Some(&4));
    let mut up = BTreeSet::new();
    for (place, others) in sources.imports() {
        let Some((folder, floor)) = place.first().and_then(|folder| floors.get_key_value(folder)) else {
            continue;
        };
        for other in others.iter().filter_map(|other| other.first()).filter(|other| *other != folder) {
            let is_below = floors.get(other).is_none_or(|below| below < floor);
            if !is_below && !BESIDE.contains(&(folder.as_str(), other.as_str())) {
                up.insert(format!("{} imports from {other}", place.join("/")));
            }
        }
    }
    assert!(up.is_empty(), "imports point down: {up:#?}");
}

#[test]
fn imports_are_found() {
    let text = "use super::entry::{self, Entry as E};\nuse crate::model::*;\n#[cfg(test)]\nuse crate::plain;\n\
                pub use below::Below;\nfn f() { crate::net::g(super::Up); } // crate::cli\n\
                #[cfg(test)]\n#[allow(x)]\nmod tests { use crate::http::{a, b}; fn g() {} }\nuse self::own::{a::B, c};\n";
    let found = paths(&product(text));
    let expected = [
        "super::entry",
        "super::entry::Entry",
        "crate::model::*",
        "self::own::a::B",
        "self::own::c",
        "crate::net::g",
        "super::Up",
    ];
    assert_eq!(found, expected.map(str::to_owned));
}

/// The files of `src/` but for tests, and what each hands on under its own name.
struct Sources {
    files: BTreeMap<Place, String>,
    /// A name of a folder, and the file that it comes from.
    handed_on: BTreeMap<(Place, String), Place>,
}

impl Sources {
    fn read() -> Self {
        let mut sources = Self { files: BTreeMap::new(), handed_on: BTreeMap::new() };
        sources.collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[]);
        let mut handed_on = BTreeMap::new();
        for (place, text) in &sources.files {
            for path in
                uses(text).filter(|(is_handed_on, _)| *is_handed_on).flat_map(|(_, tree)| leaves(tree))
            {
                let Some((target, name)) = sources.file_of(place, &path) else { continue };
                if let Some(name) = name {
                    handed_on.insert((place.clone(), name), target);
                }
            }
        }
        sources.handed_on = handed_on;
        sources
    }

    fn collect(&mut self, directory: &Path, above: &[String]) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let mut place = above.to_vec();
            match name.as_str() {
                "tests" | "testing" | "climb" | "simulation" | "documentation" | "inside" | "imports"
                | "named_tests" | "main" => continue,
                "mod" | "lib" => {}
                _ => place.push(name),
            }
            if path.is_dir() {
                self.collect(&path, &place);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                self.files.insert(place, product(&fs::read_to_string(&path).unwrap()));
            }
        }
    }

    /// Each file with those that it imports from.
    fn imports(&self) -> BTreeMap<Place, BTreeSet<Place>> {
        let of = |place: &Place, text: &str| -> BTreeSet<Place> {
            let targets = paths(text).into_iter().filter_map(|path| {
                let (mut target, mut name) = self.file_of(place, &path)?;
                while let Some(source) =
                    name.take().and_then(|name| self.handed_on.get(&(target.clone(), name)))
                {
                    target.clone_from(source);
                }
                Some(target)
            });
            targets.filter(|target| target != place && !target.is_empty()).collect()
        };
        self.files.iter().map(|(place, text)| (place.clone(), of(place, text))).collect()
    }

    /// The file that a path leads to from a place, and the first name behind it.
    fn file_of(&self, place: &Place, path: &str) -> Option<(Place, Option<String>)> {
        let mut parts = path.split("::").peekable();
        let mut base = match parts.peek()? {
            &"crate" => Vec::new(),
            _ => place.clone(),
        };
        while let Some(step @ (&"crate" | &"self" | &"super")) = parts.peek() {
            if *step == "super" {
                base.pop();
            }
            parts.next();
        }
        let mut name = None;
        for part in parts {
            base.push(part.to_owned());
            if !self.files.contains_key(&base) {
                base.pop();
                name = Some(part.to_owned());
                break;
            }
        }
        self.files.contains_key(&base).then_some((base, name))
    }
}

/// All that is reached from a place.
fn reached(imports: &BTreeMap<Place, BTreeSet<Place>>, from: &Place) -> BTreeSet<Place> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(place) = open.pop() {
        for next in imports.get(place).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

/// The floors of the folders, as `lib.rs` has them.
fn floors() -> BTreeMap<String, u32> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let mut floor = None;
    let mut floors = BTreeMap::new();
    for line in text.lines() {
        if let Some((number, _)) = line.strip_prefix("// ").and_then(|line| line.split_once(':')) {
            floor = number.parse().ok();
        } else if let (Some(name), Some(floor)) = (line.strip_prefix("mod "), floor) {
            floors.insert(name.trim_end_matches(';').to_owned(), floor);
        }
    }
    floors
}

/// A text without comments and without what only tests have.
fn product(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let mut parts = code.split("#[cfg(test)]");
    let mut product = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        product.push_str(behind_item(part));
    }
    product
}

/// What comes behind the item that a text begins with.
fn behind_item(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && octet == b'}' {
                    return text[at + 1..].trim_start_matches(';');
                }
            }
            b';' | b',' if depth == 0 => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

/// The trees of `use`, and whether each is handed on.
fn uses(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find("use ")?;
            let line = rest[..at].rsplit('\n').next().unwrap_or_default().trim();
            let (tree, behind) = rest[at + 4..].split_once(';')?;
            if line.is_empty() || line.starts_with("pub") && !line.contains(' ') {
                rest = behind;
                return Some((line.starts_with("pub"), tree));
            }
            rest = &rest[at + 4..];
        }
    })
}

/// The paths of a tree of `use`.
fn leaves(tree: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut path, mut above) = (String::new(), Vec::new());
    let mut end = |path: &mut String, above: &[String]| {
        let whole = above.concat() + path.split(" as ").next().unwrap_or_default().trim();
        path.clear();
        let whole = whole.trim_end_matches("::self").trim_end_matches("::");
        if !whole.is_empty() && found.last().is_none_or(|last: &String| last != whole) {
            found.push(whole.to_owned());
        }
    };
    for character in tree.chars() {
        match character {
            '{' => above.push(std::mem::take(&mut path).trim().to_owned()),
            ',' => end(&mut path, &above),
            '}' => {
                if !path.trim().is_empty() {
                    end(&mut path, &above);
                }
                path.clear();
                above.pop();
            }
            '\n' => {}
            _ => path.push(character),
        }
    }
    if !path.trim().is_empty() {
        end(&mut path, &above);
    }
    found
}

/// The paths by which a text reaches others: those of its `use`, and those that stand in the code.
fn paths(text: &str) -> Vec<String> {
    let own = uses(text).filter(|(is_handed_on, _)| !is_handed_on);
    let mut found: Vec<String> = own.flat_map(|(_, tree)| leaves(tree)).collect();
    let mut code = text.to_owned();
    for (_, tree) in uses(text) {
        code = code.replacen(tree, "", 1);
    }
    let is_path = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | ':');
    for word in code.split(|character| !is_path(character)) {
        let begins = ["crate::", "super::", "self::"].iter().any(|start| word.starts_with(start));
        if begins {
            found.push(word.trim_end_matches(':').to_owned());
        }
    }
    found
}
