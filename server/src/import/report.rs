//! What an import came to, complete for machines and in the order in which a person wants to know it.

use std::collections::{BTreeMap, BTreeSet};

use crm::model::Language;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::plan::{RowProblem, Severity};

/// Values of one problem that are told apart; a file of which every row has another bad value is told by its lines.
const MAX_CASES: usize = 5_000;

/// How many rows and records an import concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows with cells.
    pub rows: u64,
    /// Records of the imported entity that were made.
    pub created: u64,
    /// Those that were changed.
    pub updated: u64,
    /// Those that already were as their rows say.
    pub unchanged: u64,
    /// Rows with an error.
    pub rows_with_errors: u64,
    /// Rows with a warning and no error.
    pub rows_with_warnings: u64,
    /// All records that were made, by entity: those of the rows, and those that rows link to.
    pub made: BTreeMap<String, u64>,
}

/// One kind of problem in one place, with every row that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemGroup {
    /// What it means for the import.
    pub severity: Severity,
    /// Stable and machine-readable.
    pub code: String,
    /// The column's heading, when it comes from a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The field, by its path from the imported record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Rows that have it; none where it is about the file as a whole.
    pub rows: u64,
    /// By offending value.
    pub cases: Vec<Case>,
}

/// The rows with one offending value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// As the file has it; absent where a value is missing, and where there are too many values to tell apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong and what to do about it.
    pub message: String,
    /// Where these rows start in the file.
    pub lines: Vec<u64>,
}

type GroupKey = (Severity, String, Option<String>, Option<String>);
type CaseKey = (Option<String>, String);

/// Collects problems as rows go by.
#[derive(Debug)]
pub struct Problems {
    language: Language,
    groups: IndexMap<GroupKey, IndexMap<CaseKey, Vec<u64>>>,
    lines_with_errors: BTreeSet<u64>,
    lines_with_warnings: BTreeSet<u64>,
}

impl Problems {
    /// None yet; they will be told in `language`.
    #[must_use]
    pub fn new(language: Language) -> Self {
        Self {
            language,
            groups: IndexMap::new(),
            lines_with_errors: BTreeSet::new(),
            lines_with_warnings: BTreeSet::new(),
        }
    }

    /// Adds a problem of the row that starts on `line`.
    pub fn add(&mut self, line: u64, problem: RowProblem) {
        let lines = match problem.severity {
            Severity::Error => &mut self.lines_with_errors,
            Severity::Warning => &mut self.lines_with_warnings,
        };
        lines.insert(line);
        self.group(problem).push(line);
    }

    /// Adds a problem of the file as a whole.
    pub fn add_about_file(&mut self, problem: RowProblem) {
        self.group(problem);
    }

    fn group(&mut self, problem: RowProblem) -> &mut Vec<u64> {
        let message = problem.message.text(self.language).to_owned();
        let group = (problem.severity, problem.code, problem.column, problem.field);
        let cases = self.groups.entry(group).or_default();
        let mut case = (problem.value, message);
        if cases.len() >= MAX_CASES && !cases.contains_key(&case) {
            case = (None, cases.first().map_or_else(String::new, |((_, message), _)| message.clone()));
        }
        cases.entry(case).or_default()
    }

    /// Whether a row has an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        !self.lines_with_errors.is_empty()
    }

    /// Rows with errors, and rows with nothing but warnings.
    #[must_use]
    pub fn rows(&self) -> (u64, u64) {
        let warned = self.lines_with_warnings.difference(&self.lines_with_errors).count();
        (self.lines_with_errors.len() as u64, warned as u64)
    }

    /// All of them: errors first, then by how many rows have them.
    #[must_use]
    pub fn into_groups(self) -> Vec<ProblemGroup> {
        let mut groups: Vec<ProblemGroup> = self
            .groups
            .into_iter()
            .map(|((severity, code, column, field), cases)| {
                let mut rows = BTreeSet::new();
                let cases: Vec<Case> = cases
                    .into_iter()
                    .map(|((value, message), lines)| {
                        rows.extend(lines.iter().copied());
                        Case { value, message, lines }
                    })
                    .collect();
                ProblemGroup { severity, code, column, field, rows: rows.len() as u64, cases }
            })
            .collect();
        groups.sort_by_key(|group| (group.severity, std::cmp::Reverse(group.rows)));
        groups
    }
}
