use serde_json::{Value, json};

use super::super::read::Cell;
use super::{Locale, Trouble, number};

/// How many digits of a currency's amounts stand after the decimal mark (ISO 4217).
#[must_use]
pub fn minor_digits(currency: &str) -> u8 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV"
        | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// Currencies that are written with a dollar sign.
const DOLLARS: [&str; 10] = ["USD", "ARS", "AUD", "BBD", "CAD", "CLP", "COP", "MXN", "NZD", "UYU"];

/// An amount with the currency that the cell names, else `currency`, else the file's.
pub(super) fn read(cell: &Cell, locale: &Locale, currency: Option<&str>) -> Result<Value, Trouble> {
    let assumed = currency.unwrap_or(&locale.currency);
    let (currency, minor) = match cell {
        Cell::Text(text) => {
            let (named, amount) = split_currency(text, assumed);
            let currency = named.unwrap_or_else(|| assumed.to_owned());
            let minor = number::from_text(amount, locale.decimal, minor_digits(&currency))?;
            (currency, minor)
        }
        other => (assumed.to_owned(), number::read(other, locale, minor_digits(assumed))?),
    };
    Ok(json!({"minor": minor, "currency": currency}))
}

/// The currency that a text names by code or sign, and the rest.
fn split_currency<'a>(text: &'a str, assumed: &str) -> (Option<String>, &'a str) {
    let text = text.trim();
    let is_code = |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    if let Some((code, rest)) = text.split_at_checked(3).filter(|(code, _)| is_code(code)) {
        return (Some(code.to_ascii_uppercase()), rest.trim());
    }
    let tail = text.len().saturating_sub(3);
    if let Some((rest, code)) = text.split_at_checked(tail).filter(|(_, code)| is_code(code)) {
        return (Some(code.to_ascii_uppercase()), rest.trim());
    }
    for (sign, currency) in [('€', "EUR"), ('$', "USD"), ('£', "GBP"), ('¥', "JPY")] {
        let rest = text.strip_prefix(sign).or_else(|| text.strip_suffix(sign));
        if let Some(rest) = rest {
            let currency = if sign == '$' && DOLLARS.contains(&assumed) { assumed } else { currency };
            return (Some(currency.to_owned()), rest.trim());
        }
    }
    (None, text)
}
