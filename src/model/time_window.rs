//! Weekly time windows: days of the week with a time of day from and to, by the clock of a time zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::{TimeZone, Timestamp};

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Weekday {
    /// The week, from Monday on.
    pub const ALL: [Weekday; 7] =
        [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// The name in config and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Mon => "Mon",
            Self::Tue => "Tue",
            Self::Wed => "Wed",
            Self::Thu => "Thu",
            Self::Fri => "Fri",
            Self::Sat => "Sat",
            Self::Sun => "Sun",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A time of day to the minute, from 00:00 to 24:00. Reads and prints as `08:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct TimeOfDay(u16);

/// A text or a number that is no time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time of day from \"00:00\" to \"24:00\", such as \"08:30\"")]
pub struct BadTimeOfDay;

impl TimeOfDay {
    /// Where a day begins.
    pub const START: Self = Self(0);
    /// Where a day ends.
    pub const END: Self = Self(24 * 60);

    /// Minutes since the day began.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for TimeOfDay {
    type Error = BadTimeOfDay;

    fn try_from(minutes: u16) -> Result<Self, BadTimeOfDay> {
        if minutes <= Self::END.0 { Ok(Self(minutes)) } else { Err(BadTimeOfDay) }
    }
}

impl From<TimeOfDay> for u16 {
    fn from(time: TimeOfDay) -> Self {
        time.0
    }
}

impl FromStr for TimeOfDay {
    type Err = BadTimeOfDay;

    fn from_str(text: &str) -> Result<Self, BadTimeOfDay> {
        let number = |text: &str| {
            let is_number = text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit());
            if is_number { text.parse::<u16>().map_err(|_| BadTimeOfDay) } else { Err(BadTimeOfDay) }
        };
        let (hours, minutes) = text.split_once(':').ok_or(BadTimeOfDay)?;
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        if minutes >= 60 {
            return Err(BadTimeOfDay);
        }
        Self::try_from(hours * 60 + minutes)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A weekly time window: open on its days from one time of day until before another.
///
/// Times are what the clock of the zone shows. An hour that is skipped when summer time begins is in no window, and one
/// that comes twice when it ends is in a window twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct TimeWindow {
    /// A bit for each day, Monday's the lowest; never none.
    days: u8,
    from: TimeOfDay,
    /// Before `from`: on the next day. Never the same.
    to: TimeOfDay,
    timezone: TimeZone,
}

/// Why there is no such time window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTimeWindow {
    /// No day of the week.
    #[error("expected at least one day of the week")]
    NoDay,
    /// It would end when it begins.
    #[error("it begins and ends at {0}; for the whole day, leave both out")]
    Empty(TimeOfDay),
    /// Nothing comes after the end of a day.
    #[error("a window cannot begin at 24:00; that is 00:00 of the next day")]
    BeginsAtEnd,
}

impl TimeWindow {
    /// A window on these days. When `to` is before `from`, it goes on until then on the next day.
    ///
    /// # Errors
    /// It would never be open.
    pub fn new(
        days: impl IntoIterator<Item = Weekday>,
        from: TimeOfDay,
        to: TimeOfDay,
        timezone: TimeZone,
    ) -> Result<Self, BadTimeWindow> {
        let days = days.into_iter().fold(0, |days, day| days | day.bit());
        if days == 0 {
            return Err(BadTimeWindow::NoDay);
        }
        if from == TimeOfDay::END {
            return Err(BadTimeWindow::BeginsAtEnd);
        }
        if from == to {
            return Err(BadTimeWindow::Empty(from));
        }
        Ok(Self { days, from, to, timezone })
    }

    /// The days on which it opens, from Monday on.
    pub fn days(&self) -> impl Iterator<Item = Weekday> + '_ {
        Weekday::ALL.into_iter().filter(|day| self.days & day.bit() != 0)
    }

    /// When it opens.
    pub fn from(&self) -> TimeOfDay {
        self.from
    }

    /// When it closes: the first minute that is not in it.
    pub fn to(&self) -> TimeOfDay {
        self.to
    }

    /// By whose clock.
    pub fn timezone(&self) -> &TimeZone {
        &self.timezone
    }

    /// Whether it is open at `now`; never, when the rules of its time zone are not known here.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let Some(local) = self.timezone.local(now) else { return false };
        let minute = minute_of_day(local);
        let today = weekday(local);
        let is_after_start = minute >= self.from.0;
        let is_before_end = minute < self.to.0;
        if self.from < self.to {
            return is_after_start && is_before_end && self.opens_on(today);
        }
        // Over midnight: the evening of one of its days, or the morning after one.
        is_after_start && self.opens_on(today) || is_before_end && self.opens_on(day_before(today))
    }

    /// What the clock of its time zone shows at `now`, as `Sat 12:01`; `None` when its rules are not known here.
    pub fn shown_there(&self, now: Timestamp) -> Option<String> {
        let local = self.timezone.local(now)?;
        Some(format!("{} {}", weekday(local).in_words(), TimeOfDay(minute_of_day(local))))
    }

    fn opens_on(&self, day: Weekday) -> bool {
        self.days & day.bit() != 0
    }

    fn days_in_words(&self) -> String {
        let days: Vec<Weekday> = self.days().collect();
        let runs = days.chunk_by(|day, next| *day == day_before(*next) && *next != Weekday::Mon);
        let runs = runs.map(|run| match run {
            [first, _, .., last] => format!("{}-{}", first.in_words(), last.in_words()),
            few => few.iter().map(|day| day.in_words()).collect::<Vec<_>>().join(", "),
        });
        runs.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, timezone, .. } = self;
        write!(formatter, "{} {from}-{to} {timezone}", self.days_in_words())
    }
}

/// How a window is kept.
#[derive(Serialize, Deserialize)]
struct Parts {
    days: Vec<Weekday>,
    from: TimeOfDay,
    to: TimeOfDay,
    timezone: String,
}

impl TryFrom<Parts> for TimeWindow {
    type Error = BadTimeWindow;

    fn try_from(Parts { days, from, to, timezone }: Parts) -> Result<Self, BadTimeWindow> {
        Self::new(days, from, to, TimeZone::kept(timezone))
    }
}

impl From<TimeWindow> for Parts {
    fn from(window: TimeWindow) -> Self {
        let days = window.days().collect();
        Self { days, from: window.from, to: window.to, timezone: window.timezone.name().to_owned() }
    }
}

fn minute_of_day(local: DateTime) -> u16 {
    // Both are small and not negative.
    u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs())
}

fn weekday(local: DateTime) -> Weekday {
    match local.weekday() {
        jiff::civil::Weekday::Monday => Weekday::Mon,
        jiff::civil::Weekday::Tuesday => Weekday::Tue,
        jiff::civil::Weekday::Wednesday => Weekday::Wed,
        jiff::civil::Weekday::Thursday => Weekday::Thu,
        jiff::civil::Weekday::Friday => Weekday::Fri,
        jiff::civil::Weekday::Saturday => Weekday::Sat,
        jiff::civil::Weekday::Sunday => Weekday::Sun,
    }
}

const fn day_before(day: Weekday) -> Weekday {
    match day {
        Weekday::Mon => Weekday::Sun,
        Weekday::Tue => Weekday::Mon,
        Weekday::Wed => Weekday::Tue,
        Weekday::Thu => Weekday::Wed,
        Weekday::Fri => Weekday::Thu,
        Weekday::Sat => Weekday::Fri,
        Weekday::Sun => Weekday::Sat,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    use super::*;

    fn window(days: &[Weekday], from: &str, to: &str, zone: &str) -> TimeWindow {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        TimeWindow::new(days.iter().copied(), from, to, zone.parse().unwrap()).unwrap()
    }

    #[track_caller]
    fn check(window: &TimeWindow, times: &[(&str, bool)]) {
        for (time, expected) in times {
            assert_eq!(window.is_open(time.parse().unwrap()), *expected, "{window} at {time}");
        }
    }

    #[test]
    fn a_window_is_open_on_its_days_from_its_first_minute_until_before_its_last() {
        // 2026-11-23 is a Monday.
        let office = window(&[Mon, Tue, Wed, Thu, Fri], "08:00", "18:00", "UTC");
        check(
            &office,
            &[
                ("2026-11-23T07:59:59Z", false),
                ("2026-11-23T08:00:00Z", true),
                ("2026-11-23T12:00:00Z", true),
                ("2026-11-23T17:59:59Z", true),
                ("2026-11-23T18:00:00Z", false),
                ("2026-11-27T08:00:00Z", true),
                ("2026-11-28T12:00:00Z", false),
                ("2026-11-29T12:00:00Z", false),
                ("2026-11-30T12:00:00Z", true),
            ],
        );
    }

    #[test]
    fn a_whole_day_ends_at_midnight() {
        let sunday = window(&[Sun], "00:00", "24:00", "UTC");
        check(
            &sunday,
            &[
                ("2026-11-28T23:59:59Z", false),
                ("2026-11-29T00:00:00Z", true),
                ("2026-11-29T23:59:59Z", true),
                ("2026-11-30T00:00:00Z", false),
            ],
        );
        let always = window(&Weekday::ALL, "00:00", "24:00", "Asia/Kathmandu");
        let first: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        for minute in 0..7 * 24 * 60 {
            assert!(always.is_open(first.after(std::time::Duration::from_secs(minute * 60))));
        }
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let friday = window(&[Fri], "22:00", "06:00", "UTC");
        check(
            &friday,
            &[
                // The morning of Friday is that of Thursday's window, and there is none.
                ("2026-11-27T05:59:59Z", false),
                ("2026-11-27T21:59:59Z", false),
                ("2026-11-27T22:00:00Z", true),
                ("2026-11-28T00:00:00Z", true),
                ("2026-11-28T05:59:59Z", true),
                ("2026-11-28T06:00:00Z", false),
                ("2026-11-28T22:00:00Z", false),
            ],
        );
        // Until midnight, written as the beginning of the next day.
        check(
            &window(&[Fri], "22:00", "00:00", "UTC"),
            &[("2026-11-27T23:59:59Z", true), ("2026-11-28T00:00:00Z", false)],
        );
    }

    #[test]
    fn sunday_goes_over_into_monday() {
        let sunday = window(&[Sun], "20:00", "04:00", "UTC");
        check(
            &sunday,
            &[
                ("2026-11-29T19:59:59Z", false),
                ("2026-11-29T20:00:00Z", true),
                ("2026-11-30T03:59:59Z", true),
                ("2026-11-30T04:00:00Z", false),
                ("2026-11-29T03:00:00Z", false),
            ],
        );
        let monday = window(&[Mon], "20:00", "04:00", "UTC");
        check(&monday, &[("2026-11-30T03:00:00Z", false), ("2026-12-01T03:00:00Z", true)]);
    }

    #[test]
    fn days_and_times_are_those_of_the_zone() {
        let office = window(&[Mon], "08:00", "18:00", "Europe/Berlin");
        check(
            &office,
            &[
                // Winter: an hour ahead of UTC; summer: two.
                ("2026-11-23T06:59:59Z", false),
                ("2026-11-23T07:00:00Z", true),
                ("2026-11-23T17:00:00Z", false),
                ("2026-07-06T05:59:59Z", false),
                ("2026-07-06T06:00:00Z", true),
                ("2026-07-06T16:00:00Z", false),
            ],
        );
        // Monday begins on Sunday in UTC east of Greenwich, and ends on Tuesday west of it.
        let auckland = window(&[Mon], "00:00", "24:00", "Pacific/Auckland");
        check(
            &auckland,
            &[
                ("2026-11-22T10:59:59Z", false),
                ("2026-11-22T11:00:00Z", true),
                ("2026-11-23T10:59:59Z", true),
                ("2026-11-23T11:00:00Z", false),
            ],
        );
        let honolulu = window(&[Mon], "00:00", "24:00", "Pacific/Honolulu");
        check(&honolulu, &[("2026-11-23T09:59:59Z", false), ("2026-11-24T09:59:59Z", true)]);
    }

    #[test]
    fn an_hour_that_is_skipped_is_in_no_window() {
        // 2026-03-29: the clock goes from 02:00 to 03:00 at 01:00Z.
        let skipped = window(&[Sun], "02:15", "02:45", "Europe/Berlin");
        check(
            &skipped,
            &[
                ("2026-03-22T01:30:00Z", true),
                ("2026-03-29T00:30:00Z", false),
                ("2026-03-29T00:59:59Z", false),
                ("2026-03-29T01:00:00Z", false),
                ("2026-03-29T01:30:00Z", false),
                ("2026-04-05T00:30:00Z", true),
            ],
        );
        // A window around it is an hour shorter.
        let night = window(&[Sat], "22:00", "04:00", "Europe/Berlin");
        check(
            &night,
            &[
                ("2026-03-28T20:59:59Z", false),
                ("2026-03-28T21:00:00Z", true),
                ("2026-03-29T00:59:59Z", true),
                ("2026-03-29T01:00:00Z", true),
                ("2026-03-29T01:59:59Z", true),
                ("2026-03-29T02:00:00Z", false),
            ],
        );
    }

    #[test]
    fn an_hour_that_comes_twice_is_in_a_window_twice() {
        // 2026-10-25: the clock goes from 03:00 back to 02:00 at 01:00Z.
        let twice = window(&[Sun], "02:15", "02:45", "Europe/Berlin");
        check(
            &twice,
            &[
                ("2026-10-25T00:14:59Z", false),
                ("2026-10-25T00:15:00Z", true),
                ("2026-10-25T00:45:00Z", false),
                ("2026-10-25T01:00:00Z", false),
                ("2026-10-25T01:15:00Z", true),
                ("2026-10-25T01:45:00Z", false),
            ],
        );
        let night = window(&[Sat], "22:00", "04:00", "Europe/Berlin");
        check(&night, &[("2026-10-25T02:59:59Z", true), ("2026-10-25T03:00:00Z", false)]);
    }

    #[test]
    fn a_window_of_an_unknown_zone_is_never_open() {
        let Parts { days, from, to, .. } = window(&Weekday::ALL, "00:00", "24:00", "UTC").into();
        let kept = Parts { days, from, to, timezone: "Mars/Olympus".to_owned() };
        let window = TimeWindow::try_from(kept).unwrap();
        assert!(!window.timezone().is_known());
        check(&window, &[("2026-11-23T12:00:00Z", false)]);
        assert_eq!(window.shown_there(Timestamp::from_unix_seconds(0)), None);
    }

    #[test]
    fn a_window_that_never_opens_is_none() {
        let time = |text: &str| text.parse::<TimeOfDay>().unwrap();
        let new = |days: &[Weekday], from: &str, to: &str| {
            TimeWindow::new(days.iter().copied(), time(from), time(to), TimeZone::utc())
        };
        assert_eq!(new(&[], "08:00", "18:00"), Err(BadTimeWindow::NoDay));
        assert_eq!(new(&[Mon], "08:00", "08:00"), Err(BadTimeWindow::Empty(time("08:00"))));
        assert_eq!(new(&[Mon], "24:00", "08:00"), Err(BadTimeWindow::BeginsAtEnd));
        assert_eq!(new(&[Mon], "00:00", "00:00"), Err(BadTimeWindow::Empty(TimeOfDay::START)));
        // Days are a set.
        assert_eq!(new(&[Tue, Mon, Tue], "08:00", "18:00"), new(&[Mon, Tue], "08:00", "18:00"));
    }

    #[test]
    fn windows_are_told_in_words() {
        for (days, words) in [
            (&[Mon, Tue, Wed, Thu, Fri][..], "Mon-Fri"),
            (&[Sat, Sun], "Sat, Sun"),
            (&[Sun, Mon], "Mon, Sun"),
            (&[Mon], "Mon"),
            (&[Mon, Wed, Thu, Fri, Sun], "Mon, Wed-Fri, Sun"),
            (&Weekday::ALL, "Mon-Sun"),
        ] {
            let window = window(days, "08:00", "18:30", "Europe/Berlin");
            assert_eq!(window.to_string(), format!("{words} 08:00-18:30 Europe/Berlin"));
        }
        let office = window(&[Mon], "08:00", "18:00", "Europe/Berlin");
        let saturday = "2026-11-28T11:01:30Z".parse().unwrap();
        assert_eq!(office.shown_there(saturday).unwrap(), "Sat 12:01");
    }

    #[test]
    fn times_of_day_read_back() {
        for text in ["00:00", "08:05", "23:59", "24:00"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for text in
            ["", "8:00", "08:60", "24:01", "25:00", "08:00:00", "08.00", "+8:00", "0800", "08:0", "٠٨:٠٠"]
        {
            assert_eq!(text.parse::<TimeOfDay>(), Err(BadTimeOfDay), "{text}");
        }
    }

    #[test]
    fn windows_travel_and_nothing_else_does() {
        let night = window(&[Fri, Sat], "22:00", "06:00", "Europe/Berlin");
        let json = serde_json::to_string(&night).unwrap();
        assert_eq!(serde_json::from_str::<TimeWindow>(&json).unwrap(), night);
        for wrong in [
            json.replace("[\"fri\",\"sat\"]", "[]"),
            json.replace("1320", "1441"),
            json.replace("1320", "360"),
            json.replace("fri", "day"),
        ] {
            assert_ne!(wrong, json);
            assert!(serde_json::from_str::<TimeWindow>(&wrong).is_err(), "{wrong}");
        }
    }
}
