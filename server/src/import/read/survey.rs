//! A first reading of the whole file, before anything is written: it finds damage, counts rows, and learns from the
//! cells that say it how numbers and dates are written in each column.

use std::fs::File;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{Cell, FileFacts, ReadError, ReadOptions, Row, Sink, read};

/// What stands before the decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecimalMark {
    /// `1100.04`
    #[serde(rename = ".")]
    Point,
    /// `1100,04`
    #[serde(rename = ",")]
    Comma,
}

/// In which order day, month and year stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DateOrder {
    /// `31/12/2026`
    #[serde(rename = "dd/mm/yyyy", alias = "dmy")]
    DayFirst,
    /// `12/31/2026`
    #[serde(rename = "mm/dd/yyyy", alias = "mdy")]
    MonthFirst,
    /// `2026-12-31`
    #[serde(rename = "yyyy-mm-dd", alias = "ymd")]
    YearFirst,
}

/// How one column writes what can be written in two ways, where its cells say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnHints {
    /// The decimal mark of a cell that can be read in one way only.
    pub decimal: Option<DecimalMark>,
    /// The order in a date whose day is after the 12th.
    pub order: Option<DateOrder>,
}

/// What the first reading found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// About the file.
    pub facts: FileFacts,
    /// The columns, in their order.
    pub columns: Vec<String>,
    /// As many as columns.
    pub hints: Vec<ColumnHints>,
    /// Rows with cells.
    pub rows: u64,
}

impl Sink for Survey {
    fn start(&mut self, facts: &FileFacts, columns: &[String]) -> ControlFlow<()> {
        self.facts = facts.clone();
        self.columns = columns.to_vec();
        self.hints = vec![ColumnHints::default(); columns.len()];
        ControlFlow::Continue(())
    }

    fn row(&mut self, row: Row) -> ControlFlow<()> {
        self.rows += 1;
        for (hints, cell) in self.hints.iter_mut().zip(&row.cells) {
            if let Cell::Text(text) = cell {
                hints.decimal = hints.decimal.or_else(|| decimal_mark(text));
                hints.order = hints.order.or_else(|| date_order(text));
            }
        }
        ControlFlow::Continue(())
    }
}

/// Reads the whole file once.
///
/// # Errors
/// When it is damaged anywhere.
pub fn survey(file: &mut File, options: &ReadOptions) -> Result<Survey, ReadError> {
    let mut survey = Survey::default();
    read(file, options, &mut survey)?;
    Ok(survey)
}

/// The decimal mark of a number that can be read in one way only: `1.100,04`, `12,5`, `0.125`, but not `1.234`.
fn decimal_mark(text: &str) -> Option<DecimalMark> {
    let number: String = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).collect();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    // A currency code at most: longer text with digits in it is no number.
    if letters > 3 || !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let last = number.rfind(['.', ','])?;
    let mark = if number.as_bytes()[last] == b',' { DecimalMark::Comma } else { DecimalMark::Point };
    let marks = number.matches(['.', ',']).count();
    let same = number.matches(number.as_bytes()[last] as char).count();
    if same > 1 {
        return None;
    }
    let (whole, decimals) = (&number[..last], number.len() - last - 1);
    let groups = decimals == 3 && marks == 1 && whole.len() <= 3 && !whole.starts_with('0');
    (!groups && decimals > 0).then_some(mark)
}

/// The order of a date with a day after the 12th and the year at its end.
fn date_order(text: &str) -> Option<DateOrder> {
    let day = text.split([' ', 'T']).next()?;
    let parts: Vec<u16> = day.split(['/', '-', '.']).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [first, second, _] = parts[..] else { return None };
    match (first, second) {
        (13..=31, 1..=12) => Some(DateOrder::DayFirst),
        (1..=12, 13..=31) => Some(DateOrder::MonthFirst),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_can_be_read_in_one_way_tells_the_mark() {
        assert_eq!(decimal_mark("1.100,04"), Some(DecimalMark::Comma));
        assert_eq!(decimal_mark("1,100.04 €"), Some(DecimalMark::Point));
        assert_eq!(decimal_mark("12,5"), Some(DecimalMark::Comma));
        assert_eq!(decimal_mark("0.125"), Some(DecimalMark::Point));
        assert_eq!(decimal_mark("1100.045"), Some(DecimalMark::Point));
        for unclear in ["1.234", "1,234", "1.234.567", "12", "", "v1.5 of the thing", ".5"] {
            assert_eq!(decimal_mark(unclear), None, "{unclear}");
        }
    }

    #[test]
    fn a_date_after_the_twelfth_tells_the_order() {
        assert_eq!(date_order("31/12/2026"), Some(DateOrder::DayFirst));
        assert_eq!(date_order("12-31-2026 10:00"), Some(DateOrder::MonthFirst));
        for unclear in ["01/02/2026", "2026-12-31", "32/12/2026", "a/b/c", "13"] {
            assert_eq!(date_order(unclear), None, "{unclear}");
        }
    }
}
