use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::read::{DateOrder, DecimalMark, ReadOptions};

/// What the sender of a file says about it: the content of a `--map` file, and part of a request to import.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// Where each column goes: a field, a field of a linked record (`account.tax_id`), several of these, or `-` for
    /// nowhere. Columns that are not named here go where their headings say.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub columns: IndexMap<String, OneOrMany>,
    /// By column: what to read in place of a value.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub values: IndexMap<String, IndexMap<String, Value>>,
    /// Values that every row gets where no column gives one.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub constants: IndexMap<String, Value>,
    /// What becomes of a row whose value names no record, or that lacks a required one.
    pub on_missing: MissingPolicies,
    /// ISO 4217: of amounts that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// ISO 3166-1 alpha-2: of telephone numbers without a country code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// What stands before decimals: `.` or `,`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<DecimalMark>,
    /// `dd/mm/yyyy`, `mm/dd/yyyy` or `yyyy-mm-dd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_format: Option<DateOrder>,
    /// How to read the file.
    pub file: ReadOptions,
}

/// One target or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// `name`
    One(String),
    /// `[team, team.manager]`
    Many(Vec<String>),
}

impl OneOrMany {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(target) => std::slice::from_ref(target).iter(),
            Self::Many(targets) => targets.iter(),
        }
        .map(String::as_str)
    }
}

/// What becomes of a row whose value names no record, or that lacks a required value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It is an error, and nothing is imported.
    #[default]
    Reject,
    /// A record of that name is made.
    Create,
    /// The row is brought in without it, and a warning says so.
    Keep,
}

/// A policy for all fields, or one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MissingPolicies {
    /// For all.
    All(Policy),
    /// By field or path; `"*"` for the others.
    Each(IndexMap<String, Policy>),
}

impl Default for MissingPolicies {
    fn default() -> Self {
        Self::All(Policy::default())
    }
}

impl MissingPolicies {
    /// The policy for a field, named by its path from the imported record.
    #[must_use]
    pub fn of(&self, path: &str) -> Policy {
        match self {
            Self::All(policy) => *policy,
            Self::Each(each) => each.get(path).or_else(|| each.get("*")).copied().unwrap_or_default(),
        }
    }

    /// Sets the policy of one field, or of all.
    pub fn set(&mut self, path: Option<&str>, policy: Policy) {
        let mut each = match self {
            Self::All(all) => IndexMap::from_iter([("*".to_owned(), *all)]),
            Self::Each(each) => std::mem::take(each),
        };
        each.insert(path.unwrap_or("*").to_owned(), policy);
        *self = Self::Each(each);
    }
}

impl Mapping {
    /// Reads the YAML of a `--map` file.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn from_yaml(yaml: &str) -> Result<Self, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    /// Reads one `COLUMN=FIELD`.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn map_column(&mut self, said: &str) -> Result<(), String> {
        // A heading may contain the sign, a field may not.
        let (column, field) =
            said.rsplit_once('=').ok_or_else(|| format!("“{said}” is not of the form COLUMN=FIELD"))?;
        let (column, field) = (column.trim(), field.trim());
        if column.is_empty() || field.is_empty() {
            return Err(format!("“{said}” is not of the form COLUMN=FIELD"));
        }
        let targets: Vec<String> = field.split(',').map(|target| target.trim().to_owned()).collect();
        self.columns.insert(column.to_owned(), OneOrMany::Many(targets));
        Ok(())
    }

    /// Reads one `POLICY` or `FIELD=POLICY`.
    ///
    /// # Errors
    /// When there is no such policy.
    pub fn map_missing(&mut self, said: &str) -> Result<(), String> {
        let (field, word) = said.split_once('=').map_or((None, said), |(field, word)| (Some(field.trim()), word));
        let policy = match word.trim() {
            "reject" => Policy::Reject,
            "create" => Policy::Create,
            "keep" => Policy::Keep,
            other => return Err(format!("“{other}” is no policy: say reject, create or keep")),
        };
        self.on_missing.set(field, policy);
        Ok(())
    }
}
