use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An amount of something, as Kubernetes writes it: `500m`, `2`, `10Gi`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

/// Why a text is no quantity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no amount: write a whole number with a unit, such as 500m, 2 or 10Gi")]
pub struct NoQuantity(String);

impl Quantity {
    /// The amount in thousandths of one.
    ///
    /// # Errors
    /// When the text is none.
    pub fn thousandths(&self) -> Result<i128, NoQuantity> {
        let wrong = || NoQuantity(self.0.clone());
        let digits = self.0.find(|char: char| !char.is_ascii_digit()).unwrap_or(self.0.len());
        let (number, unit) = self.0.split_at(digits);
        let number: i128 = number.parse().map_err(|_| wrong())?;
        let factor = match unit {
            "m" => 1,
            "" => 1_000,
            "k" => 1_000_000,
            "M" => 1_000_000_000,
            "G" => 1_000_000_000_000,
            "T" => 1_000_000_000_000_000,
            "Ki" => 1_000 << 10,
            "Mi" => 1_000 << 20,
            "Gi" => 1_000 << 30,
            "Ti" => 1_000 << 40,
            _ => return Err(wrong()),
        };
        number.checked_mul(factor).ok_or_else(wrong)
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 20, "pattern": "^[0-9]{1,15}(m|k|M|G|T|Ki|Mi|Gi|Ti)?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_compare_whatever_their_unit() {
        for (text, thousandths) in [("500m", 500), ("2", 2_000), ("1Ki", 1_024_000), ("10Gi", 10_737_418_240_000)] {
            assert_eq!(Quantity::from(text).thousandths(), Ok(thousandths), "{text}");
        }
        for wrong in ["", "Gi", "1.5Gi", "-1", "1 Gi", "1E"] {
            assert!(Quantity::from(wrong).thousandths().is_err(), "{wrong}");
        }
    }
}
