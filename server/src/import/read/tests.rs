//! What every reader keeps to, and the collector that the readers' own tests use.

use std::io::Write;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{FileFacts, Format, ReadError, ReadOptions, Row, Sink, read, survey};

/// Everything that a reader said.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) facts: FileFacts,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

impl Sink for Collected {
    fn start(&mut self, facts: &FileFacts, columns: &[String]) -> ControlFlow<()> {
        self.facts = facts.clone();
        self.columns = columns.to_vec();
        ControlFlow::Continue(())
    }

    fn row(&mut self, row: Row) -> ControlFlow<()> {
        self.rows.push(row);
        ControlFlow::Continue(())
    }
}

/// Reads bytes as a file.
pub(super) fn collect(bytes: &[u8], options: &ReadOptions) -> Result<Collected, ReadError> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("written");
    let mut collected = Collected::default();
    read(&mut file, options, &mut collected)?;
    Ok(collected)
}

fn formats() -> impl Strategy<Value = Option<Format>> {
    prop_oneof![Just(None), Just(Some(Format::Csv)), Just(Some(Format::Vcard)), Just(Some(Format::Xlsx))]
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_or_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..4096),
        format in formats(),
    ) {
        let options = ReadOptions { format, ..ReadOptions::default() };
        if let Ok(read) = collect(&bytes, &options) {
            prop_assert!(read.rows.iter().all(|row| row.cells.len() == read.columns.len()));
        }
    }

    #[test]
    fn text_that_looks_like_cards_is_read_or_refused_without_a_panic(
        lines in proptest::collection::vec(
            prop_oneof![
                Just("BEGIN:VCARD".to_owned()), Just("END:VCARD".to_owned()), Just("VERSION:2.1".to_owned()),
                Just("VERSION:3.0".to_owned()), Just("PHOTO;ENCODING=b:AAAA".to_owned()),
                Just("N;ENCODING=QUOTED-PRINTABLE:=C3=91=".to_owned()), Just(" folded".to_owned()),
                "[A-Z]{1,5}(;[A-Z=\",]{0,8}){0,3}:[ -~]{0,20}", "[ -~ñ\\n]{0,30}",
            ],
            0..20,
        ),
    ) {
        let _ = collect(lines.join("\r\n").as_bytes(), &ReadOptions { format: Some(Format::Vcard), ..ReadOptions::default() });
    }

    #[test]
    fn the_survey_counts_the_rows_that_are_read_afterwards(text in "([a-z0-9\",;. \\n]{0,6}\\n?){0,30}") {
        let options = ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() };
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        match (survey(&mut file, &options), collect(text.as_bytes(), &options)) {
            (Ok(survey), Ok(read)) => {
                prop_assert_eq!(survey.rows, read.rows.len() as u64);
                prop_assert!(read.rows.windows(2).all(|pair| pair[0].line < pair[1].line));
            }
            (Err(_), Err(_)) => {}
            (survey, read) => prop_assert!(false, "one reading of two failed: {survey:?} {read:?}"),
        }
    }
}
