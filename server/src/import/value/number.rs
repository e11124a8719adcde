use super::super::read::{Cell, DecimalMark};
use super::{Locale, Trouble};

/// The largest integer that every JSON reader keeps exactly.
const LARGEST: i128 = 9_007_199_254_740_991;

/// The number in units of 10^-`scale`.
pub(super) fn read(cell: &Cell, locale: &Locale, scale: u8) -> Result<i64, Trouble> {
    match cell {
        Cell::Number(digits) => scaled(digits, scale),
        Cell::Text(text) => from_text(text, locale.decimal, scale),
        other => Err(no_number(&other.shown())),
    }
}

/// Whole percent, with or without its sign.
pub(super) fn percent(cell: &Cell, locale: &Locale) -> Result<i64, Trouble> {
    match cell {
        Cell::Text(text) => from_text(text.trim_end_matches('%').trim(), locale.decimal, 0),
        other => read(other, locale, 0),
    }
}

/// A number as people write it: groups of three, decimals after a point or a comma, a sign or brackets.
pub(super) fn from_text(text: &str, decimal: Option<DecimalMark>, scale: u8) -> Result<i64, Trouble> {
    let plain = plain(text, decimal, scale).ok_or_else(|| no_number(text))?;
    scaled(&plain, scale)
}

/// The same number as sign, digits and a decimal point.
fn plain(text: &str, decimal: Option<DecimalMark>, scale: u8) -> Option<String> {
    let text = text.trim();
    let (negative, body) = if let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        (true, inner)
    } else if let Some(rest) = text.strip_prefix(['-', '\u{2212}']).or_else(|| text.strip_suffix('-')) {
        (true, rest)
    } else {
        (false, text.strip_prefix('+').unwrap_or(text))
    };
    let compact: String = body.trim().chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'')).collect();
    if compact.is_empty() || !compact.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',')) {
        return None;
    }
    let (whole, decimals) = split_decimals(&compact, decimal, scale)?;
    let sign = if negative { "-" } else { "" };
    Some(format!("{sign}{whole}.{decimals}"))
}

/// Digits before and after the decimal mark, whichever it is.
fn split_decimals(number: &str, decimal: Option<DecimalMark>, scale: u8) -> Option<(String, String)> {
    let (points, commas) = (number.matches('.').count(), number.matches(',').count());
    let mark = match (points, commas) {
        (0, 0) => return Some((number.to_owned(), String::new())),
        // Both: the one that comes last is the decimal mark.
        (1.., 1..) => {
            let last = if number.rfind('.') > number.rfind(',') { '.' } else { ',' };
            if number.matches(last).count() > 1 || decimal.is_some_and(|decimal| character(decimal) != last) {
                return None;
            }
            Some(last)
        }
        (2.., 0) | (0, 2..) => None,
        (1, 0) | (0, 1) => {
            let mark = if points == 1 { '.' } else { ',' };
            let (whole, decimals) = number.split_once(mark)?;
            let could_group = decimals.len() == 3 && (1..=3).contains(&whole.len()) && !whole.starts_with('0');
            match decimal.map(character) {
                Some(said) => (said == mark).then_some(mark),
                // `1.234` in a field of two decimals can only be a thousand and something.
                None if could_group && scale < 3 => None,
                None => Some(mark),
            }
        }
    };
    let group = if mark == Some(',') || (mark.is_none() && points > 0) { '.' } else { ',' };
    let (whole, decimals) = match mark {
        Some(mark) => number.split_once(mark)?,
        None => (number, ""),
    };
    if decimals.contains(['.', ',']) {
        return None;
    }
    Some((ungrouped(whole, group)?, decimals.to_owned()))
}

fn character(mark: DecimalMark) -> char {
    match mark {
        DecimalMark::Point => '.',
        DecimalMark::Comma => ',',
    }
}

/// `1.234.567` as `1234567`, if all groups but the first have three digits.
fn ungrouped(whole: &str, group: char) -> Option<String> {
    let mut groups = whole.split(group);
    let first = groups.next()?;
    let mut digits = first.to_owned();
    let mut grouped = false;
    for part in groups {
        grouped = true;
        if part.len() != 3 {
            return None;
        }
        digits.push_str(part);
    }
    let sound = digits.bytes().all(|byte| byte.is_ascii_digit()) && (!grouped || (1..=3).contains(&first.len()));
    sound.then_some(digits)
}

/// Digits with a decimal point in units of 10^-`scale`.
fn scaled(plain: &str, scale: u8) -> Result<i64, Trouble> {
    let (whole, decimals) = plain.split_once('.').unwrap_or((plain, ""));
    let decimals = decimals.trim_end_matches('0');
    if decimals.len() > usize::from(scale) {
        return Err(too_precise(plain, scale));
    }
    let padded = format!("{whole}{decimals:0<width$}", width = usize::from(scale));
    let number = if padded.is_empty() || padded == "-" { Ok(0) } else { padded.parse::<i128>() };
    match number {
        Ok(number) if (-LARGEST..=LARGEST).contains(&number) => i64::try_from(number).map_err(|_| no_number(plain)),
        _ => Err(no_number(plain)),
    }
}

fn no_number(text: &str) -> Trouble {
    Trouble::new("not-a-number", format!("«{text}» no es un número."), format!("“{text}” is no number."))
}

fn too_precise(text: &str, scale: u8) -> Trouble {
    let text = text.trim_end_matches('.');
    Trouble::new(
        "too-precise",
        format!("{text} tiene más de {scale} decimales, que es lo que guarda el campo: redondéalo."),
        format!("{text} has more decimals than the {scale} that the field keeps: round it."),
    )
}
