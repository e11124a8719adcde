use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use serde_json::{Value, json};

use super::super::read::{Cell, DateOrder};
use super::{Locale, Trouble};

/// A day as `2026-11-22`.
pub(super) fn date(cell: &Cell, locale: &Locale) -> Result<Value, Trouble> {
    let day = match cell {
        Cell::Date(date) => *date,
        Cell::Datetime(at) => at.date(),
        Cell::Text(text) => moment(text, locale).ok_or_else(|| no_date(text))?.date(),
        other => return Err(no_date(&other.shown())),
    };
    Ok(json!(day.to_string()))
}

/// An instant; without a zone, in UTC.
pub(super) fn datetime(cell: &Cell, locale: &Locale) -> Result<Value, Trouble> {
    let at = match cell {
        Cell::Date(date) => date.to_datetime(Time::midnight()),
        Cell::Datetime(at) => *at,
        Cell::Text(text) => {
            if let Ok(at) = text.parse::<Timestamp>() {
                return Ok(json!(at.as_millisecond()));
            }
            moment(text, locale).ok_or_else(|| no_date(text))?
        }
        other => return Err(no_date(&other.shown())),
    };
    Ok(json!(milliseconds(at)))
}

/// Entries as the export writes them: an instant and a text on each line.
pub(super) fn log(text: &str) -> Result<Value, Trouble> {
    let mut entries = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (at, said) = line.split_once(' ').unwrap_or((line, ""));
        let at = match (at.parse::<Timestamp>(), at.parse::<Date>()) {
            (Ok(at), _) => at.as_millisecond(),
            (_, Ok(day)) => milliseconds(day.to_datetime(Time::midnight())),
            _ => return Err(no_date(at)),
        };
        entries.push(json!({"at": at, "text": said.replace("\\n", "\n")}));
    }
    Ok(json!(entries))
}

fn milliseconds(at: DateTime) -> i64 {
    jiff::tz::TimeZone::UTC.to_timestamp(at).map_or(0, Timestamp::as_millisecond)
}

/// A day, with or without a time of day, in one of the ways people write it.
fn moment(text: &str, locale: &Locale) -> Option<DateTime> {
    let text = text.trim();
    let (day, time) = match text.find(['T', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    };
    Some(day_of(day, locale.order)?.to_datetime(time_of(time)?))
}

fn time_of(text: &str) -> Option<Time> {
    let text = text.trim_end_matches('Z');
    if text.is_empty() {
        return Some(Time::midnight());
    }
    let full = if text.split(':').count() == 2 { format!("{text}:00") } else { text.to_owned() };
    let full = if full.find(':') == Some(1) { format!("0{full}") } else { full };
    full.parse().ok()
}

fn day_of(text: &str, order: Option<DateOrder>) -> Option<Date> {
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return civil(&text[..4], &text[4..6], &text[6..]);
    }
    let parts: Vec<&str> = text.split(['/', '-', '.']).collect();
    let [first, second, third] = parts[..] else { return None };
    if first.len() == 4 {
        return civil(first, second, third);
    }
    // A year of two digits could be of any century.
    if third.len() != 4 {
        return None;
    }
    match order.unwrap_or(DateOrder::DayFirst) {
        DateOrder::DayFirst => civil(third, second, first),
        DateOrder::MonthFirst => civil(third, first, second),
        DateOrder::YearFirst => None,
    }
}

fn civil(year: &str, month: &str, day: &str) -> Option<Date> {
    let year = year.parse().ok().filter(|year| *year > 0)?;
    Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()
}

fn no_date(text: &str) -> Trouble {
    Trouble::new(
        "not-a-date",
        format!("«{text}» no es una fecha: escríbela como 31/12/2026 o 2026-12-31."),
        format!("“{text}” is no date: write it as 2026-12-31 or 31/12/2026."),
    )
}
