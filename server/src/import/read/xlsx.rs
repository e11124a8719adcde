use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use calamine::{DataRef, Reader, SheetVisible, Xlsx};
use jiff::civil::DateTime;

use super::csv::{column_names, shape};
use super::{Cell, Damage, FileFacts, Format, ReadError, ReadOptions, Row, Sink};

/// What one part of a workbook may unpack to: worksheets are streamed, the rest is held in memory.
const MAX_SHEET_BYTES: u64 = 512 * 1024 * 1024;
const MAX_HELD_BYTES: u64 = 32 * 1024 * 1024;
const MAX_PARTS: usize = 2_000;
/// A worksheet has 16,384 columns; a table of people's data has fewer.
const MAX_COLUMN: u32 = 1_000;

/// Reads one worksheet, whose first row with cells names the columns.
pub(super) fn read(file: &mut File, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    measure(file)?;
    file.seek(SeekFrom::Start(0))?;
    let mut book: Xlsx<_> = Xlsx::new(BufReader::new(file)).map_err(|error| damaged(&error))?;
    let names = visible_sheets(&book);
    let sheet = match &options.sheet {
        Some(asked) => names
            .iter()
            .find(|name| *name == asked)
            .cloned()
            .ok_or_else(|| ReadError::whole(Damage::NoSheet { asked: asked.clone(), present: names.clone() }))?,
        None => first_with_cells(&mut book, &names)?,
    };
    let mut others = Vec::new();
    for name in &names {
        if *name != sheet && has_cells(&mut book, name)? {
            others.push(name.clone());
        }
    }
    let facts =
        FileFacts { format: Format::Xlsx, sheet: Some(sheet.clone()), other_sheets: others, ..FileFacts::default() };
    rows(&mut book, &sheet, &facts, sink)
}

/// Unpacks every part once and counts: sizes that an archive declares can lie.
fn measure(file: &mut File) -> Result<(), ReadError> {
    file.seek(SeekFrom::Start(0))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(&error))?;
    if archive.len() > MAX_PARTS {
        return Err(ReadError::whole(Damage::Workbook(format!("{} parts", archive.len()))));
    }
    for at in 0..archive.len() {
        let part = archive.by_index(at).map_err(|error| damaged(&error))?;
        let name = part.name().map_err(|error| damaged(&error))?.into_owned();
        // Pictures and the like are never unpacked.
        let extension = std::path::Path::new(&name).extension();
        if !extension.is_some_and(|ext| ext.eq_ignore_ascii_case("xml") || ext.eq_ignore_ascii_case("rels")) {
            continue;
        }
        let is_sheet = name.to_ascii_lowercase().starts_with("xl/worksheets/");
        let limit = if is_sheet { MAX_SHEET_BYTES } else { MAX_HELD_BYTES };
        let unpacked = std::io::copy(&mut part.take(limit + 1), &mut std::io::sink())
            .map_err(|error| ReadError::whole(Damage::Workbook(format!("{name}: {error}"))))?;
        if unpacked > limit {
            return Err(ReadError::whole(Damage::WorkbookTooLarge(name)));
        }
    }
    Ok(())
}

fn damaged(error: &dyn std::fmt::Display) -> ReadError {
    ReadError::whole(Damage::Workbook(error.to_string()))
}

fn visible_sheets<R: Read + Seek>(book: &Xlsx<R>) -> Vec<String> {
    let visible = book.sheets_metadata().iter().filter(|sheet| sheet.visible == SheetVisible::Visible);
    visible.map(|sheet| sheet.name.clone()).collect()
}

fn first_with_cells<R: Read + Seek>(book: &mut Xlsx<R>, names: &[String]) -> Result<String, ReadError> {
    for name in names {
        if has_cells(book, name)? {
            return Ok(name.clone());
        }
    }
    Err(ReadError::whole(Damage::Empty))
}

fn has_cells<R: Read + Seek>(book: &mut Xlsx<R>, name: &str) -> Result<bool, ReadError> {
    // A chart sheet has no cells to read.
    let Ok(mut reader) = book.worksheet_cells_reader(name) else { return Ok(false) };
    while let Some(cell) = reader.next_cell().map_err(|error| damaged(&error))? {
        if !value(cell.get_value()).is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn rows<R: Read + Seek>(
    book: &mut Xlsx<R>,
    sheet: &str,
    facts: &FileFacts,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    let mut reader = book.worksheet_cells_reader(sheet).map_err(|error| damaged(&error))?;
    let mut table = Table { facts, sink, columns: None };
    let mut row: Option<Row> = None;
    while let Some(cell) = reader.next_cell().map_err(|error| damaged(&error))? {
        let (at, column) = cell.get_position();
        let line = u64::from(at) + 1;
        let content = value(cell.get_value());
        if content.is_empty() {
            continue;
        }
        if column >= MAX_COLUMN {
            return Err(ReadError::at(line, Damage::TooManyColumns(column as usize + 1)));
        }
        if row.as_ref().is_some_and(|row| row.line != line)
            && let Some(done) = row.take()
            && table.row(done)?.is_break()
        {
            return Ok(());
        }
        let cells = &mut row.get_or_insert_with(|| Row { line, cells: Vec::new(), oddities: Vec::new() }).cells;
        if cells.len() <= column as usize {
            cells.resize(column as usize + 1, Cell::Empty);
        }
        cells[column as usize] = content;
    }
    if let Some(done) = row {
        let _ = table.row(done)?;
    }
    if table.columns.is_none() { Err(ReadError::whole(Damage::Empty)) } else { Ok(()) }
}

struct Table<'a> {
    facts: &'a FileFacts,
    sink: &'a mut dyn Sink,
    columns: Option<usize>,
}

impl Table<'_> {
    fn row(&mut self, row: Row) -> Result<ControlFlow<()>, ReadError> {
        let Some(width) = self.columns else {
            let names = column_names(&row.cells, row.line)?;
            self.columns = Some(names.len());
            return Ok(self.sink.start(self.facts, &names));
        };
        let mut row = shape(row.cells, width, row.line);
        // A worksheet stores no empty cells: a row that ends early misses nothing.
        row.oddities.retain(|oddity| !matches!(oddity, super::cell::Oddity::MissingCells(_)));
        Ok(self.sink.row(row))
    }
}

fn value(data: &DataRef<'_>) -> Cell {
    match data {
        DataRef::Empty => Cell::Empty,
        DataRef::Int(number) => Cell::Number(number.to_string()),
        DataRef::Float(number) => decimal(*number),
        DataRef::SharedString(text) => Cell::text(text),
        DataRef::Bool(value) => Cell::Boolean(*value),
        DataRef::DateTime(at) if at.is_duration() => decimal(at.as_f64()),
        DataRef::DateTime(at) => {
            let (year, month, day, hour, minute, second, milli) = at.to_ymd_hms_milli();
            civil(year, month, day, hour, minute, second, milli).unwrap_or_else(|| decimal(at.as_f64()))
        }
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Cell::text(text),
        DataRef::Error(error) => Cell::Failed(error.to_string()),
    }
}

fn civil(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8, milli: u16) -> Option<Cell> {
    let small = |number: u8| i8::try_from(number).ok();
    let at = DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        i32::from(milli) * 1_000_000,
    )
    .ok()?;
    let midnight = at.time() == jiff::civil::Time::midnight();
    Some(if midnight { Cell::Date(at.date()) } else { Cell::Datetime(at) })
}

/// The number with the 15 significant digits that a spreadsheet shows: the rest is noise of binary fractions.
fn decimal(number: f64) -> Cell {
    if !number.is_finite() {
        return Cell::Failed(number.to_string());
    }
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    Cell::Number(format!("{rounded}"))
}

#[cfg(test)]
mod tests {
    use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Formula, Workbook};

    use super::super::tests::collect;
    use super::*;

    fn workbook(fill: impl FnOnce(&mut Workbook)) -> Vec<u8> {
        let mut book = Workbook::new();
        fill(&mut book);
        book.save_to_buffer().expect("a workbook is written")
    }

    fn options(sheet: Option<&str>) -> ReadOptions {
        ReadOptions { sheet: sheet.map(str::to_owned), ..ReadOptions::default() }
    }

    #[test]
    fn cells_keep_the_type_that_the_workbook_gives_them() {
        let bytes = workbook(|book| {
            book.add_worksheet().set_name("Empty").expect("named");
            let sheet = book.add_worksheet();
            sheet.set_name("Deals").expect("named");
            for (column, name) in ["name", "amount", "on", "sum", "won"].iter().enumerate() {
                sheet.write(2, u16::try_from(column).expect("small"), *name).expect("written");
            }
            let date = ExcelDateTime::from_ymd(2026, 11, 22).expect("a date");
            sheet.write(4, 0, "Peña").expect("written");
            sheet.write(4, 1, 1100.04).expect("written");
            sheet
                .write_datetime_with_format(4, 2, &date, &CellFormat::new().set_num_format("dd/mm/yyyy"))
                .expect("written");
            sheet.write_formula(4, 3, Formula::new("=0.1+0.2").set_result("0.30000000000000004")).expect("written");
            sheet.write(4, 4, true).expect("written");
            sheet.write(5, 4, "end").expect("written");
        });
        let read = collect(&bytes, &options(None)).expect("reads");
        assert_eq!(read.facts.sheet.as_deref(), Some("Deals"));
        assert_eq!(read.columns, ["name", "amount", "on", "sum", "won"]);
        assert_eq!(read.rows[0].line, 5);
        assert_eq!(
            read.rows[0].cells,
            [
                Cell::Text("Peña".into()),
                Cell::Number("1100.04".into()),
                Cell::Date(jiff::civil::date(2026, 11, 22)),
                Cell::Number("0.3".into()),
                Cell::Boolean(true),
            ]
        );
        assert_eq!(read.rows[1].line, 6);
        assert!(read.rows[1].oddities.is_empty());
    }

    #[test]
    fn a_sheet_is_chosen_by_name_and_the_others_are_named() {
        let bytes = workbook(|book| {
            for name in ["One", "Two"] {
                book.add_worksheet().set_name(name).expect("named").write(0, 0, name).expect("written");
            }
        });
        let read = collect(&bytes, &options(Some("Two"))).expect("reads");
        assert_eq!((read.columns, read.facts.other_sheets), (vec!["Two".to_owned()], vec!["One".to_owned()]));
        let error = collect(&bytes, &options(Some("Three"))).expect_err("refused");
        assert_eq!(error.damage.code(), "no-such-sheet");
    }

    #[test]
    fn a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_held() {
        use std::io::Write;
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let plain = zip::write::SimpleFileOptions::default();
        archive.start_file("xl/sharedStrings.xml", plain).expect("started");
        let block = vec![b' '; 1024 * 1024];
        for _ in 0..40 {
            archive.write_all(&block).expect("written");
        }
        let bytes = archive.finish().expect("finished").into_inner();
        assert!(bytes.len() < 1024 * 1024, "the bomb is small");
        let error = collect(&bytes, &options(None)).expect_err("refused");
        assert_eq!(error.damage, Damage::WorkbookTooLarge("xl/sharedStrings.xml".into()));
    }

    #[test]
    fn a_cut_workbook_is_refused() {
        let bytes = workbook(|book| {
            book.add_worksheet().write(0, 0, "name").expect("written");
        });
        let error = collect(&bytes[..bytes.len() / 2], &options(None)).expect_err("refused");
        assert_eq!(error.damage.code(), "damaged-workbook");
    }
}
