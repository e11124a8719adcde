//! Days as numbers, counted from 1970-01-01.

use jiff::civil::Date;

const EPOCH: Date = Date::constant(1970, 1, 1);
pub(super) const DAY_MS: i64 = 86_400_000;
/// 0000-01-01 and 9999-12-31: what a date can be.
pub(super) const FIRST_DAY: i64 = -719_528;
pub(super) const LAST_DAY: i64 = 2_932_896;

/// The day number of `"2026-11-22"`; nothing for any other spelling, or a day that no calendar has.
#[must_use]
pub fn day_number(text: &str) -> Option<i64> {
    let date = parse(text)?;
    Some(date.duration_since(EPOCH).as_secs() / (DAY_MS / 1000))
}

/// The date of a day number as `"2026-11-22"`; nothing outside the years 0 to 9999.
#[must_use]
pub fn date_text(day: i64) -> Option<String> {
    let date = civil(day)?;
    Some(format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()))
}

/// The day, in UTC, of an instant.
#[must_use]
pub fn day_of_instant(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

/// Year and month of a day number; nothing outside the years 0 to 9999.
pub(super) fn year_and_month(day: i64) -> Option<(i64, i64)> {
    let date = civil(day)?;
    Some((i64::from(date.year()), i64::from(date.month())))
}

fn parse(text: &str) -> Option<Date> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i16, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0')))
    };
    let month = i8::try_from(number(&bytes[5..7])?).ok()?;
    let day = i8::try_from(number(&bytes[8..])?).ok()?;
    Date::new(number(&bytes[..4])?, month, day).ok()
}

fn civil(day: i64) -> Option<Date> {
    if !(FIRST_DAY..=LAST_DAY).contains(&day) {
        return None;
    }
    EPOCH.checked_add(jiff::SignedDuration::from_hours(day * 24)).ok()
}

#[cfg(test)]
mod tests {
    use super::{date_text, day_number, day_of_instant};

    #[test]
    fn a_date_and_its_day_number_name_the_same_day() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2026-11-22", 20_779),
            ("0000-01-01", -719_528),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(day_number(text), Some(day), "{text}");
            assert_eq!(date_text(day).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_date_has_no_day_number() {
        for text in ["", "2026-02-30", "2026-1-1", "2026-13-01", "20261122", "2026-11-22T10:00", "٢٠٢٦-١"] {
            assert_eq!(day_number(text), None, "{text}");
        }
        assert_eq!(date_text(i64::MAX), None);
        assert_eq!(date_text(2_932_897), None);
        assert_eq!(date_text(-719_529), None);
    }

    #[test]
    fn an_instant_before_1970_belongs_to_the_day_it_falls_on() {
        assert_eq!(day_of_instant(-1), -1);
        assert_eq!(day_of_instant(0), 0);
        assert_eq!(day_of_instant(86_400_000), 1);
    }
}
