use serde_json::{Value, json};

use super::number::{scaled, unscaled};
use super::{Reading, Unreadable};
use crate::message::say;

/// What an amount without a currency is in, where the record does not say otherwise.
const CURRENCY: &str = "EUR";

/// `1234.56 EUR`, `EUR 1234.56`, or `1234.56` in the currency that the field holds already.
pub fn money(text: &str, current: Option<&Value>) -> Reading {
    let is_currency = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let words: Vec<&str> = text.split_whitespace().collect();
    let (amount, currency) = match words[..] {
        [amount] => (amount, current.and_then(|money| money["currency"].as_str()).unwrap_or(CURRENCY)),
        [amount, currency] if is_currency(currency) => (amount, currency),
        [currency, amount] if is_currency(currency) => (amount, currency),
        _ => {
            return Err(Unreadable(say(
                format!("«{text}» no es un importe; escribe, por ejemplo, 1234.56 EUR."),
                format!("“{text}” is not an amount; write, for example, 1234.56 EUR."),
            )));
        }
    };
    let currency = currency.to_uppercase();
    let minor = scaled(amount, decimals(&currency))?;
    Ok(json!({"minor": minor, "currency": currency}))
}

/// As it is typed.
pub fn show(value: &Value) -> Option<String> {
    let currency = value["currency"].as_str()?;
    Some(format!("{} {currency}", unscaled(value["minor"].as_i64()?.into(), decimals(currency))))
}

/// How many decimals the currency has (ISO 4217).
pub fn decimals(currency: &str) -> u8 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_takes_its_currency_from_the_text_the_record_or_the_house() {
        assert_eq!(money("1234.56 usd", None), Ok(json!({"minor": 123_456, "currency": "USD"})));
        assert_eq!(money("GBP 3", None), Ok(json!({"minor": 300, "currency": "GBP"})));
        let yen = json!({"minor": 5, "currency": "JPY"});
        assert_eq!(money("70", Some(&yen)), Ok(json!({"minor": 70, "currency": "JPY"})));
        assert_eq!(money("70", None), Ok(json!({"minor": 7000, "currency": "EUR"})));
        assert!(money("70.5 JPY", None).is_err());
        assert!(money("1 2 3", None).is_err());
        assert!(money("EUR", None).is_err());
    }

    #[test]
    fn what_is_shown_can_be_typed() {
        let value = json!({"minor": -1205, "currency": "KWD"});
        let text = show(&value).expect("an amount");
        assert_eq!(text, "-1.205 KWD");
        assert_eq!(money(&text, None), Ok(value));
    }
}
