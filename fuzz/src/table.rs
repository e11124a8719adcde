use std::ops::ControlFlow;

use cartera_server::import::read::{FileFacts, ReadOptions, Row, Sink, read, survey};

use crate::with_file;

/// Looks at each row and keeps none.
#[derive(Debug, Default)]
struct Look {
    columns: Option<usize>,
    last_line: u64,
    rows: u64,
}

impl Sink for Look {
    fn start(&mut self, _facts: &FileFacts, columns: &[String]) -> ControlFlow<()> {
        assert!(self.columns.is_none(), "a reader starts once");
        assert!(columns.iter().all(|name| !name.is_empty()), "a column has a name");
        self.columns = Some(columns.len());
        ControlFlow::Continue(())
    }

    fn row(&mut self, row: Row) -> ControlFlow<()> {
        assert_eq!(Some(row.cells.len()), self.columns, "a row has as many cells as there are columns");
        assert!(row.line > self.last_line, "lines ascend: {} after {}", row.line, self.last_line);
        self.last_line = row.line;
        self.rows += 1;
        // What a report shows of it.
        for cell in &row.cells {
            let _ = cell.shown();
        }
        ControlFlow::Continue(())
    }
}

/// Reads bytes as an import does, twice: both readings must see the same rows, or the same damage.
///
/// # Panics
/// When they do not: that is the finding.
pub fn check_table(bytes: &[u8], options: &ReadOptions) {
    let mut look = Look::default();
    let (first, second) = with_file(bytes, |file| (survey(file, options), read(file, options, &mut look)));
    match (first, second) {
        (Ok(survey), Ok(())) => {
            assert_eq!(survey.rows, look.rows, "both readings see the same rows");
            assert_eq!(Some(survey.columns.len()), look.columns, "both readings see the same columns");
            assert_eq!(survey.hints.len(), survey.columns.len(), "every column has its hints");
        }
        (Err(first), Err(second)) => {
            assert_eq!((first.line, &first.damage), (second.line, &second.damage), "both readings see the same damage");
            let _ = first.to_string();
        }
        (first, second) => panic!("one reading of two failed: {first:?}, {second:?}"),
    }
}
