use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::Value;

use super::{Reading, Unreadable};
use crate::message::say;

/// `2026-11-22`, `today`, `today+30`, `today-7`; also `hoy`.
pub fn date(text: &str, today: i64) -> Reading {
    let refuse = || {
        Unreadable(say(
            format!("«{text}» no es una fecha; escribe, por ejemplo, 2026-11-22, hoy o hoy+7."),
            format!("“{text}” is not a date; write, for example, 2026-11-22, today or today+7."),
        ))
    };
    let relative = text.strip_prefix("today").or_else(|| text.strip_prefix("hoy"));
    let date = match relative {
        Some("") => day(today),
        Some(days) => days.parse().ok().and_then(|days| day(today.checked_add(days)?)),
        None => text.parse::<Date>().ok().filter(|_| text.len() == 10),
    };
    date.map(|date| Value::from(date.to_string())).ok_or_else(refuse)
}

fn day(number: i64) -> Option<Date> {
    jiff::civil::date(1970, 1, 1).checked_add(Span::new().try_days(number).ok()?).ok()
}

/// `2026-11-22T10:30`, with or without seconds, in UTC unless `Z` or an offset such as `+01:00` follows.
pub fn datetime(text: &str) -> Reading {
    let with_zone = text.parse::<Timestamp>().ok();
    let in_utc = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let instant = with_zone.or_else(in_utc).ok_or_else(|| {
        Unreadable(say(
            format!("«{text}» no es una fecha con hora; escribe, por ejemplo, 2026-11-22T10:30+01:00."),
            format!("“{text}” is not a date with a time; write, for example, 2026-11-22T10:30+01:00."),
        ))
    })?;
    Ok(Value::from(instant.as_millisecond()))
}

/// An instant as it is typed, in UTC; none where it is beyond the calendar.
#[must_use]
pub fn show_datetime(ms: i64) -> Option<String> {
    let instant = Timestamp::from_millisecond(ms).ok()?;
    Some(instant.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22.
    const TODAY: i64 = 20_779;

    #[test]
    fn dates_are_iso_or_relative_to_today() {
        assert_eq!(date("2026-02-28", TODAY), Ok(Value::from("2026-02-28")));
        assert_eq!(date("today", TODAY), Ok(Value::from("2026-11-22")));
        assert_eq!(date("hoy+10", TODAY), Ok(Value::from("2026-12-02")));
        assert_eq!(date("today-22", TODAY), Ok(Value::from("2026-10-31")));
        for bad in ["2026-02-30", "22/11/2026", "20261122", "today+x", "2026-11-22T10:00", ""] {
            assert!(date(bad, TODAY).is_err(), "{bad}");
        }
    }

    #[test]
    fn instants_know_their_offset() {
        assert_eq!(datetime("1970-01-01T01:00:00+01:00"), Ok(Value::from(0)));
        assert_eq!(datetime("1970-01-01T00:01"), Ok(Value::from(60_000)));
        assert_eq!(datetime("1970-01-02"), Ok(Value::from(86_400_000)));
        assert!(datetime("tomorrow").is_err());
        let shown = show_datetime(1_795_337_400_123).expect("a time");
        assert_eq!(datetime(&shown), Ok(Value::from(1_795_337_400_123_i64)));
    }
}
