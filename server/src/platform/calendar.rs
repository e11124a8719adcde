//! The tenant's days: where one begins is a matter of its time zone.

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

/// Tells days and hours in a time zone.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// Days of that zone.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        Self { zone }
    }

    /// The day at an instant, as the number of days since 1970-01-01.
    #[must_use]
    pub fn day(&self, now_ms: i64) -> i64 {
        let epoch = date(1970, 1, 1);
        self.at(now_ms).map_or(now_ms.div_euclid(86_400_000), |local| (local.date() - epoch).get_days().into())
    }

    /// The last day whose hour `hour` has come at an instant.
    #[must_use]
    pub fn day_past(&self, hour: u8, now_ms: i64) -> i64 {
        let is_past = self.at(now_ms).is_none_or(|local| i64::from(local.hour()) >= i64::from(hour));
        self.day(now_ms) - i64::from(!is_past)
    }

    fn at(&self, now_ms: i64) -> Option<jiff::civil::DateTime> {
        Some(Timestamp::from_millisecond(now_ms).ok()?.to_zoned(self.zone.clone()).datetime())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_the_zone_in_summer_and_in_winter() {
        let madrid = Calendar::new(TimeZone::get("Europe/Madrid").expect("a zone"));
        let utc = Calendar::new(TimeZone::UTC);
        let ms = |text: &str| text.parse::<Timestamp>().expect("an instant").as_millisecond();
        let day = |text: &str| (ms(text)).div_euclid(86_400_000);
        assert_eq!(utc.day(ms("2026-07-01T23:59:59Z")), day("2026-07-01T00:00:00Z"));
        assert_eq!(madrid.day(ms("2026-07-01T21:59:59Z")), day("2026-07-01T00:00:00Z"));
        assert_eq!(madrid.day(ms("2026-07-01T22:00:00Z")), day("2026-07-02T00:00:00Z"));
        assert_eq!(madrid.day(ms("2026-01-01T22:59:59Z")), day("2026-01-01T00:00:00Z"));
        assert_eq!(madrid.day(ms("2026-01-01T23:00:00Z")), day("2026-01-02T00:00:00Z"));
        assert_eq!(madrid.day(ms("1969-12-31T22:59:59Z")), -1);
        assert_eq!(madrid.day_past(3, ms("2026-01-02T01:59:59Z")), day("2026-01-01T00:00:00Z"));
        assert_eq!(madrid.day_past(3, ms("2026-01-02T02:00:00Z")), day("2026-01-02T00:00:00Z"));
    }
}
