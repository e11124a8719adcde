use crm::model::Label;
use serde::{Deserialize, Serialize};

use super::super::value::Trouble;

/// Whether a problem keeps the file from being imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is imported.
    Error,
    /// The row is brought in, in another form or with a gap.
    Warning,
}

/// Something about one row that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// What it means for the import.
    pub severity: Severity,
    /// Stable and machine-readable.
    pub code: String,
    /// The heading of the column that it comes from, when it comes from one.
    pub column: Option<String>,
    /// The field, by its path from the imported record.
    pub field: Option<String>,
    /// The offending value as the file has it.
    pub value: Option<String>,
    /// What is wrong and what to do about it.
    pub message: Label,
}

/// How much of a value a report repeats.
const SHOWN_CHARACTERS: usize = 120;

impl RowProblem {
    /// An error about a cell.
    #[must_use]
    pub fn error(trouble: Trouble, column: Option<&str>, field: &str, value: &str) -> Self {
        Self {
            severity: Severity::Error,
            code: trouble.code.to_owned(),
            column: column.map(str::to_owned),
            field: Some(field.to_owned()),
            value: shown(value),
            message: trouble.message,
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn into_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }
}

/// The beginning of a value; nothing when it is empty.
pub(super) fn shown(value: &str) -> Option<String> {
    let mut characters = value.chars();
    let mut text: String = characters.by_ref().take(SHOWN_CHARACTERS).collect();
    if characters.next().is_some() {
        text.push('…');
    }
    (!text.is_empty()).then_some(text)
}
