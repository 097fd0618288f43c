//! Options of attribute descriptions (RFC 4512 section 2.5.2): which are asked for, and whether a description has them.
//! Whoever reads or compares options does it here, where it is counted at what it costs.

use std::collections::HashMap;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use crate::schema::steps;

/// The options of many lists that are asked for at once, each kept once under a number: whether a description has all of a list is
/// asked of numbers then. For a list alone there is [`has_options`].
#[derive(Clone, Debug, Default)]
pub struct OptionNumbers {
    /// In lower case.
    numbers: HashMap<Box<[u8]>, u32, RandomState>,
    longest: usize,
    octets: usize,
}

/// Which of the options that are asked for a description has.
#[derive(Debug)]
pub struct HadOptions(SmallVec<[u64; 8]>);

impl OptionNumbers {
    /// Octets that it holds beside itself.
    pub fn octets(&self) -> usize {
        self.numbers.capacity() * size_of::<(Box<[u8]>, u32)>() + self.octets
    }

    /// The numbers of options that [`wanted_options`] has read, in order, each once. `work` grows by what it costs to find
    /// them.
    pub fn of_wanted(&mut self, options: &str, work: &mut u64) -> SmallVec<[u32; OPTIONS_MAX]> {
        let mut found = SmallVec::new();
        for option in options.split(';') {
            steps::note(1);
            let option = lower_case(option.as_bytes());
            // A message is far below 4 GiB.
            let next = self.numbers.len() as u32;
            found.push(match self.numbers.get(&*option) {
                Some(number) => *number,
                None => {
                    self.longest = self.longest.max(option.len());
                    self.octets += option.len();
                    self.numbers.insert(Box::from(&*option), next);
                    next
                }
            });
        }
        *work += 1 + found.len() as u64 / 2;
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Which of them a description has. `work` grows by what it costs to find them.
    pub fn had_by(&self, description: &[u8], work: &mut u64) -> HadOptions {
        let mut had = SmallVec::from_elem(0, self.numbers.len().div_ceil(64));
        let mut count = 0;
        for option in description.split(|octet| *octet == b';').skip(1) {
            steps::note(1);
            count += 1;
            if option.len() <= self.longest
                && let Some(number) = self.numbers.get(&*lower_case(option))
                && let Some(word) = had.get_mut(*number as usize / 64)
            {
                *word |= 1_u64 << (number % 64);
            }
        }
        *work += 1 + count / 2 + description.len() as u64 / READ_OCTETS_OF_ONE_WORK;
        HadOptions(had)
    }
}

impl HadOptions {
    /// Whether all with these numbers are among them: a step, as a list has few.
    pub fn has_all(&self, numbers: &[u32]) -> bool {
        steps::note(1);
        numbers.iter().all(|number| {
            self.0.get(*number as usize / 64).is_some_and(|word| (word >> (number % 64)) & 1 == 1)
        })
    }
}

fn lower_case(option: &[u8]) -> SmallVec<[u8; 64]> {
    option.iter().map(u8::to_ascii_lowercase).collect()
}

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
    fn options_by_number_are_had_as_options_are_within_what_is_counted() {
        let (all, long, longer) = (many(OPTIONS_MAX), "a".repeat(100), format!("cn;{};b", "a".repeat(200)));
        let descriptions = ["cn", "cn;a", "cn;b;A", "cn;x;b;a;y", "cn;ab", "cn;;a", &longer];
        let lists = ["a", "A;a", "b;a", "ab", "y;x", "x;y;a;b;B", &all, &long];
        let (mut numbers, mut work, before) = (OptionNumbers::default(), 0, steps::taken());
        let found = lists.map(|list| numbers.of_wanted(list, &mut work));
        assert!(steps::taken() - before <= 4 * work);
        assert_eq!(found.each_ref().map(|list| list.len()), [1, 1, 2, 1, 2, 4, 8, 1]);
        assert_eq!(found[0], found[1]);
        assert!(numbers.octets() >= 100 + 13 * size_of::<(Box<[u8]>, u32)>());
        for description in descriptions {
            let (before, mut work) = (steps::taken(), 0);
            let had = numbers.had_by(description.as_bytes(), &mut work);
            assert!(steps::taken() - before <= 4 * work);
            for (list, numbers) in lists.iter().zip(&found) {
                let expected = has_options(description.as_bytes(), list.as_bytes(), &mut 0);
                assert_eq!(had.has_all(numbers), expected, "{description}: {list}");
            }
        }
        // With more numbers than one word has.
        let all = (0..200).map(|number| numbers.of_wanted(&format!("o{number};same"), &mut 0));
        let all: Vec<_> = all.collect();
        let had = numbers.had_by(b"cn;same;O150", &mut 0);
        let places: Vec<_> = all.iter().enumerate().filter(|(_, list)| had.has_all(list)).collect();
        assert_eq!(places.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [150]);
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
