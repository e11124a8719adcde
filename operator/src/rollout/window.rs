//! When tenants may be restarted.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::crd::{Day, MaintenanceWindow};

/// Whether it is a time for restarts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Window {
    /// It is.
    Open,
    /// It will be then.
    OpensAt(Timestamp),
}

/// Looks at all windows; where there are none, it is always a time for restarts.
///
/// # Errors
/// When a window cannot be understood: what to do about it.
pub fn look(windows: &[MaintenanceWindow], now: Timestamp) -> Result<Window, String> {
    let mut next: Option<Timestamp> = None;
    for window in windows {
        match one(window, now)? {
            Window::Open => return Ok(Window::Open),
            Window::OpensAt(opens) => next = Some(next.map_or(opens, |known| known.min(opens))),
        }
    }
    Ok(next.map_or(Window::Open, Window::OpensAt))
}

fn one(window: &MaintenanceWindow, now: Timestamp) -> Result<Window, String> {
    let zone = TimeZone::get(&window.time_zone).map_err(|_| {
        format!(
            "maintenanceWindows has the time zone {}, which is none: take a name such as Europe/Madrid",
            window.time_zone
        )
    })?;
    let unreadable = |_| format!("maintenanceWindows has {} and {}, which cannot be read", window.opens, window.lasts);
    let opens: Time = window.opens.parse().map_err(unreadable)?;
    let lasts: SignedDuration = window.lasts.parse().map_err(unreadable)?;
    let today = now.to_zoned(zone.clone()).date();
    // One that opened yesterday may still be open; the same day of next week is the last that can be the next.
    let beginnings = (-1..=7).filter_map(|days| {
        let day = today.checked_add(i64::from(days).days()).ok()?;
        let is_its = window.days.is_empty() || window.days.iter().any(|its| weekday(*its) == day.weekday());
        is_its.then(|| zone.to_timestamp(day.to_datetime(opens)).ok()).flatten()
    });
    for begins in beginnings {
        if begins > now {
            return Ok(Window::OpensAt(begins));
        }
        if now < begins + lasts {
            return Ok(Window::Open);
        }
    }
    Err("maintenanceWindows has one that never opens".to_owned())
}

const fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Day], opens: &str, lasts: &str, zone: &str) -> MaintenanceWindow {
        MaintenanceWindow {
            days: days.to_vec(),
            opens: opens.to_owned(),
            lasts: lasts.to_owned(),
            time_zone: zone.to_owned(),
        }
    }

    fn at(time: &str) -> Timestamp {
        time.parse().expect("a time")
    }

    #[test]
    fn a_window_is_of_its_time_zone_and_may_reach_into_the_next_day() {
        // 30 November 2026 is a Monday; Madrid is an hour ahead.
        let nights = [window(&[Day::Sun], "23:00", "4h", "Europe/Madrid")];
        for (now, expected) in [
            ("2026-11-29T21:59:59Z", Window::OpensAt(at("2026-11-29T22:00:00Z"))),
            ("2026-11-29T22:00:00Z", Window::Open),
            ("2026-11-30T01:59:59Z", Window::Open),
            ("2026-11-30T02:00:00Z", Window::OpensAt(at("2026-12-06T22:00:00Z"))),
        ] {
            assert_eq!(look(&nights, at(now)), Ok(expected), "{now}");
        }
    }

    #[test]
    fn the_hour_that_is_left_out_in_spring_is_none_to_wait_for() {
        // On 28 March 2027 it is 03:00 in Madrid right after 01:59.
        let early = [window(&[], "02:30", "1h", "Europe/Madrid")];
        assert_eq!(look(&early, at("2027-03-28T00:45:00Z")), Ok(Window::OpensAt(at("2027-03-28T01:30:00Z"))));
    }

    #[test]
    fn of_several_windows_the_next_one_counts_and_of_none_every_moment() {
        let two = [window(&[Day::Sat], "02:00", "2h", "UTC"), window(&[], "04:00", "1h", "UTC")];
        assert_eq!(look(&two, at("2026-11-30T03:00:00Z")), Ok(Window::OpensAt(at("2026-11-30T04:00:00Z"))));
        assert_eq!(look(&[], at("2026-11-30T03:00:00Z")), Ok(Window::Open));
        let nowhere = look(&[window(&[], "04:00", "1h", "Europe/Cartera")], at("2026-11-30T03:00:00Z"));
        assert!(nowhere.is_err_and(|error| error.contains("Europe/Cartera, which is none")));
    }
}
