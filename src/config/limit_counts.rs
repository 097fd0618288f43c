//! How often each limit was reached since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use super::limits::Limit;

/// A counter for each limit. To note something takes no lock and no memory.
#[derive(Debug)]
pub struct LimitCounts {
    reached: [AtomicU64; Limit::ALL.len()],
}

impl Default for LimitCounts {
    fn default() -> Self {
        Self { reached: [const { AtomicU64::new(0) }; Limit::ALL.len()] }
    }
}

impl LimitCounts {
    /// Notes that something was refused, ended or held back by this limit.
    pub fn note(&self, limit: Limit) {
        self.add(limit, 1);
    }

    /// Notes it several times.
    pub fn add(&self, limit: Limit, times: u64) {
        if let Some(count) = self.reached.get(limit as usize) {
            // Nothing is ordered by a count.
            count.fetch_add(times, Ordering::Relaxed);
        }
    }

    /// How often it was noted.
    pub fn count(&self, limit: Limit) -> u64 {
        self.reached.get(limit as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Limit {
    /// Those that are counted.
    pub fn counted() -> impl Iterator<Item = Self> {
        let is_counted = |limit: &Self| !UNCOUNTED.iter().any(|(other, _)| other == limit);
        Self::ALL.iter().copied().filter(is_counted)
    }
}

/// Limits that nothing reaches while the server runs, and why.
pub const UNCOUNTED: [(Limit, &str); 16] = [
    (Limit::throttle_time, "a span over which others are counted"),
    (Limit::throttle_pause_min, "how long something else lasts, whose beginnings are counted"),
    (Limit::logins_told_time, "the time between two events"),
    (Limit::store_wait_time, "what reaches it ends, and says so, before it has counters"),
    (Limit::argon2_memory_max, IMPORT),
    (Limit::argon2_time_cost_max, IMPORT),
    (Limit::argon2_parallelism_max, IMPORT),
    (Limit::pbkdf2_rounds_max, IMPORT),
    (Limit::sha_crypt_rounds_max, IMPORT),
    (Limit::bcrypt_cost_max, IMPORT),
    (Limit::posix_number_min, RULE),
    (Limit::attribute_values_max, RULE),
    (Limit::password_length_min, RULE),
    (Limit::groups_above_max, RULE),
    (Limit::containers_max, RULE),
    (Limit::container_length_max, RULE),
];

const RULE: &str =
    "a rule about what may be given: who gives something else is told so, and the trail has the refusal";

const IMPORT: &str =
    "what it bounds is refused when it is put into the store, and told there with the name of the entry";

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_noted_is_counted() {
        let counts = LimitCounts::default();
        counts.note(Limit::search_size_max);
        counts.add(Limit::search_size_max, 2);
        assert_eq!(counts.count(Limit::search_size_max), 3);
        assert_eq!(Limit::ALL.iter().map(|limit| counts.count(*limit)).sum::<u64>(), 3);
        assert_eq!(Limit::counted().count() + UNCOUNTED.len(), Limit::ALL.len());
    }

    /// A new limit is noted where it acts, or says in [`UNCOUNTED`] why it is not.
    #[test]
    fn every_limit_is_noted_by_some_code() {
        let mut code = String::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
        for limit in Limit::ALL {
            // Where one is noted that another stands in for before a bind, that one is noted too.
            let mut noted =
                Limit::ALL.iter().filter(|noted| **noted == *limit || noted.before_bind() == *limit);
            let is_noted = noted.any(|noted| stands_in(&code, *noted));
            let is_excused = UNCOUNTED.iter().any(|(other, _)| other == limit);
            assert!(is_noted != is_excused, "{}: noted {is_noted}, excused {is_excused}", limit.name());
        }
    }

    /// A bound that is no limit says beside it why not; whoever writes the next one chooses.
    #[test]
    fn every_bound_is_a_limit_or_says_why_not() {
        let mut code = String::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
        let mut documentation = String::new();
        let mut bounds = 0;
        for line in code.lines().map(str::trim_start) {
            if let Some(words) = line.strip_prefix("///") {
                documentation.push_str(words);
            } else if let Some(name) = bound_of(line) {
                bounds += 1;
                let reason = documentation.split(NO_LIMIT).nth(1).unwrap_or_default();
                let is_told = reason.split_whitespace().count() >= 3 && reason.ends_with('.');
                assert!(is_told, "{name}: a limit of the config, or `{NO_LIMIT}` and the reason");
                documentation.clear();
            } else if !line.starts_with("#[") {
                documentation.clear();
            }
        }
        assert!(bounds > 50, "{bounds}");
        for bound in
            ["const A_MAX: u32 = 1;", "pub const A_MAX: u32 = 1;", "pub(super) const A_B_MAX: u8 = 1;"]
        {
            assert!(bound_of(bound).is_some(), "{bound}");
        }
        assert_eq!(bound_of("const A_MAXIMAL: u32 = 1;"), None);
    }

    /// How a bound begins to say why the config does not have it.
    const NO_LIMIT: &str = "No limit of the config: ";

    /// The name of the bound that a line of code declares.
    fn bound_of(line: &str) -> Option<&str> {
        let (before, rest) = line.split_once("const ")?;
        let is_item = before.is_empty() || before.starts_with("pub");
        let (name, _) = rest.split_once(':')?;
        (is_item && name.ends_with("_MAX")).then_some(name)
    }

    fn stands_in(code: &str, limit: Limit) -> bool {
        let name = format!("Limit::{}", limit.name());
        let is_whole = |place: usize| {
            let behind = code[place + name.len()..].chars().next();
            behind.is_none_or(|next| !next.is_ascii_alphanumeric() && next != '_')
        };
        code.match_indices(&name).any(|(place, _)| is_whole(place))
    }

    /// All code but tests and this file.
    fn collect(directory: &Path, code: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "tests" {
                collect(&path, code);
            } else if name.ends_with(".rs") && !["tests.rs", "limit_counts.rs"].contains(&name) {
                let text = std::fs::read_to_string(&path).unwrap();
                code.push_str(text.split("#[cfg(test)]\nmod tests {").next().unwrap());
                code.push('\n');
            }
        }
    }
}
