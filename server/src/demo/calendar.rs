//! The days on which people work.

use jiff::civil::{Date, Weekday};
use rand::RngExt;

use super::chance::Chance;

/// Days since 1970-01-01.
pub type Day = i64;

/// The calendar date of a day.
pub fn date(day: Day) -> Date {
    let epoch = Date::constant(1970, 1, 1);
    epoch.checked_add(jiff::Span::new().days(day)).expect("the company's days lie within a few years of today")
}

/// As the field kind `date` holds it.
pub fn date_text(day: Day) -> String {
    date(day).to_string()
}

/// Neither a weekend nor one of the holidays that the whole of Spain keeps.
pub fn is_working(day: Day) -> bool {
    const HOLIDAYS: [(i8, i8); 9] = [(1, 1), (1, 6), (5, 1), (8, 15), (10, 12), (11, 1), (12, 6), (12, 8), (12, 25)];
    let date = date(day);
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !HOLIDAYS.contains(&(date.month(), date.day()))
}

/// That day, or the first working day after it.
pub fn working_from(mut day: Day) -> Day {
    while !is_working(day) {
        day += 1;
    }
    day
}

/// Some working day from `first` to `last`; `last` itself where all of them are free.
pub fn working_between(first: Day, last: Day, chance: &mut Chance) -> Day {
    let some = chance.random_range(first.min(last)..=last);
    (some..=last).chain((first..some).rev()).find(|day| is_working(*day)).unwrap_or(last)
}

/// The instant of a time of day in Spain's winter, milliseconds since the Unix epoch.
pub fn instant(day: Day, hour: i64, minute: i64) -> i64 {
    day * 86_400_000 + (hour - 1) * 3_600_000 + minute * 60_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekends_and_holidays_are_free() {
        let christmas = 20_447; // Thursday, 2025-12-25
        assert_eq!(date_text(christmas), "2025-12-25");
        assert!(!is_working(christmas));
        assert_eq!(date_text(working_from(christmas)), "2025-12-26");
        assert_eq!(date_text(working_from(christmas + 2)), "2025-12-29");
    }
}
