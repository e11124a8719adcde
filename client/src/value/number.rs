use serde_json::Value;

use super::{Reading, Unreadable};
use crate::message::say;

/// An integer, or a whole percent with or without its sign.
pub fn integer(text: &str) -> Reading {
    text.parse::<i64>().map(Value::from).map_err(|_| {
        Unreadable(say(
            format!("«{text}» no es un número entero; escribe, por ejemplo, 42."),
            format!("“{text}” is not a whole number; write, for example, 42."),
        ))
    })
}

/// A decimal as the integer of its smallest unit: with `scale` 2, `12.5` is 1250.
pub fn scaled(text: &str, scale: u8) -> Result<i64, Unreadable> {
    let refuse = || {
        Unreadable(say(
            format!(
                "«{text}» no es un número con punto decimal y hasta {scale} decimales; escribe, por ejemplo, 1234.5."
            ),
            format!(
                "“{text}” is not a number with a decimal point and at most {scale} decimals; write, for example, 1234.5."
            ),
        ))
    };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1_i64, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let only_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let part = part.trim_end_matches('0');
    if whole.is_empty() || !only_digits(whole) || !only_digits(part) || part.len() > usize::from(scale) {
        return Err(refuse());
    }
    let padded = format!("{whole}{part:0<width$}", width = usize::from(scale));
    padded.parse::<i64>().map(|number| sign * number).map_err(|_| refuse())
}

/// The other way round: 1250 with `scale` 2 is `12.50`.
pub fn unscaled(number: i128, scale: u8) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, part) = digits.split_at(digits.len() - usize::from(scale));
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// Yes or no, in either language.
pub fn boolean(text: &str) -> Reading {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "y" | "sí" | "si" | "s" | "1" => Ok(Value::Bool(true)),
        "false" | "no" | "n" | "0" => Ok(Value::Bool(false)),
        _ => Err(Unreadable(say(
            format!("«{text}» no es ni sí ni no; escribe true o false."),
            format!("“{text}” is neither yes nor no; write true or false."),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decimal_keeps_every_digit_and_refuses_the_ones_it_cannot_keep() {
        assert_eq!(scaled("1234.5", 2), Ok(123_450));
        assert_eq!(scaled("-0.01", 2), Ok(-1));
        assert_eq!(scaled("7", 0), Ok(7));
        assert_eq!(scaled("1.500", 1), Ok(15));
        for bad in ["1.234", "1,5", "", ".", ".5", "1.2.3", "1e3", "99999999999999999999"] {
            assert!(scaled(bad, 2).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number in -1_000_000_000_000_i64..1_000_000_000_000, scale in 0_u8..=6) {
            prop_assert_eq!(scaled(&unscaled(number.into(), scale), scale), Ok(number));
        }
    }
}
