//! Options of attribute descriptions (RFC 4512 section 2.5.2): which are asked for, and whether a description has them.
//! Whoever reads or compares options does it here, where it is counted at what it costs.

use crate::schema::steps;

/// The options of an attribute description that somebody asks for (`a;b`), for [`has_options`]. `None`: nothing has them, as
/// one is empty (an option has at least one character) or they are more than [`OPTIONS_MAX`]. `work` grows by what it costs
/// to read and to keep them, in the unit in which an evaluator counts.
pub fn wanted_options<'a>(options: &'a str, work: &mut u64) -> Option<&'a str> {
    let (mut begin, mut count) = (0, 0);
    let mut ends = memchr::memchr_iter(b';', options.as_bytes()).chain([options.len()]);
    let are_sound = ends.all(|end| {
        steps::note(1);
        let is_empty = end == begin;
        begin = end + 1;
        count += 1;
        !is_empty && count <= OPTIONS_MAX
    });
    *work += 1 + count as u64 / OPTIONS_OF_ONE_WORK + options.len() as u64 / READ_OCTETS_OF_ONE_WORK;
    are_sound.then_some(options)
}

/// Whether an attribute description has all of these options, in any case and order, which [`wanted_options`] has read; none
/// is had by all. `work` grows by what it costs to compare them, in the unit in which an evaluator counts.
pub fn has_options(description: &[u8], wanted: &[u8], work: &mut u64) -> bool {
    if wanted.is_empty() {
        return true;
    }
    *work += 1;
    let Some(place) = memchr::memchr(b';', description) else { return false };
    let own = description.get(place + 1..).unwrap_or_default();
    let mut wanted = wanted;
    loop {
        *work += 1 + own.len() as u64 / OCTETS_OF_ONE_WORK;
        // One that is longer than all own ones together is none of them, and is read no further.
        let near = wanted.get(..=own.len()).unwrap_or(wanted);
        let (option, behind) = match memchr::memchr(b';', near) {
            Some(end) => (wanted.get(..end).unwrap_or_default(), wanted.get(end + 1..)),
            None if wanted.len() > own.len() => return false,
            None => (wanted, None),
        };
        let is_own = own.split(|octet| *octet == b';').any(|own| {
            steps::note(1);
            own.eq_ignore_ascii_case(option)
        });
        match behind {
            _ if !is_own => return false,
            None => return true,
            Some(behind) => wanted = behind,
        }
    }
}

/// Options that a description may have, of an attribute that is stored as of one that is asked for.
/// No limit of the config: a rule about what one description may be, far above what any is.
pub const OPTIONS_MAX: usize = 8;
/// So many options cost as much to read as to look at a short value.
const OPTIONS_OF_ONE_WORK: u64 = 4;
/// So many octets of options cost as much to read and to copy.
const READ_OCTETS_OF_ONE_WORK: u64 = 64;
/// So many octets of options cost as much to compare; the shortest have two, with what separates them.
const OCTETS_OF_ONE_WORK: u64 = 8;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn many(count: usize) -> String {
        (0..count).map(|number| format!("x{number}")).collect::<Vec<_>>().join(";")
    }

    #[test]
    fn options_are_read_once_within_what_is_counted() {
        for sound in ["x", "b;A;B;a", "lang-de", &many(OPTIONS_MAX), &"x".repeat(100_000)] {
            let (before, mut work) = (steps::taken(), 0);
            assert_eq!(wanted_options(sound, &mut work), Some(sound));
            assert!(steps::taken() - before <= 4 * work);
            assert!(work > sound.len() as u64 / 64, "{work}");
        }
        let of = |options: &str| {
            let mut work = 0;
            wanted_options(options, &mut work);
            work
        };
        assert_eq!((of("lang-de"), of(&many(8))), (1, 1 + 2));
        for nothing in ["", ";", "a;", ";a", "a;;b", &many(OPTIONS_MAX + 1), &"a;".repeat(10_000)] {
            let (before, mut work) = (steps::taken(), 0);
            assert_eq!(wanted_options(nothing, &mut work), None, "{nothing}");
            // Those behind are not looked at.
            assert!(steps::taken() - before <= OPTIONS_MAX as u64 + 1);
        }
    }

    #[test]
    fn options_are_compared_in_any_order_and_case_within_what_is_counted() {
        for (description, wanted, expected) in [
            ("cn", "", true),
            ("cn", "a", false),
            ("cn;A", "a", true),
            ("cn;a", "a;A;a", true),
            ("cn;ab", "a", false),
            ("cn;a", "ab", false),
            ("cn;b;a", "a;b", true),
            ("cn;b;b", "a;b", false),
            ("cn;a", "a;b", false),
            ("cn;x;b;A;y", "B;a", true),
            ("cn;x;b;A;y", "B;a;x;Y;X", true),
            ("cn;x;b;A;y", "B;a;x;Y;z", false),
        ] {
            let (before, mut work) = (steps::taken(), 0);
            let found = has_options(description.as_bytes(), wanted.as_bytes(), &mut work);
            assert_eq!(found, expected, "{description}: {wanted}");
            assert!(steps::taken() - before <= 4 * work, "{description}: {wanted}");
        }
        // The dearest that there is: all are compared, to the last.
        let description = format!("cn;{}", "a;".repeat(60) + &many(OPTIONS_MAX));
        let (before, mut work) = (steps::taken(), 0);
        assert!(has_options(description.as_bytes(), many(OPTIONS_MAX).as_bytes(), &mut work));
        let steps = steps::taken() - before;
        assert!(steps > 500 && steps <= 4 * work, "{steps} steps, counted as {work}");
        // One that is longer than all that it could be is not compared at all.
        let (before, mut work) = (steps::taken(), 0);
        assert!(!has_options(b"cn;a", "x".repeat(1_000).as_bytes(), &mut work));
        assert_eq!((steps::taken() - before, work), (0, 2));
    }
}
