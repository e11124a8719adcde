mod real_files;

use serde_json::Value;

use super::super::cell::Oddity;
use super::super::tests::{Collected, collect};
use super::super::{Cell, ReadError, ReadOptions};

fn cards(bytes: &[u8]) -> Result<Collected, ReadError> {
    collect(bytes, &ReadOptions::default())
}

fn cell<'a>(read: &'a Collected, row: usize, column: &str) -> &'a Cell {
    let at = read.columns.iter().position(|name| name == column).unwrap_or_else(|| panic!("no column {column}"));
    &read.rows[row].cells[at]
}

fn texts(read: &Collected, row: usize, column: &str, key: &str) -> Vec<String> {
    let Cell::Built(Value::Array(members)) = cell(read, row, column) else { return Vec::new() };
    members.iter().map(|member| member[key].as_str().unwrap_or_default().to_owned()).collect()
}

fn not_kept(read: &Collected, row: usize) -> Vec<&str> {
    let oddities = &read.rows[row].oddities;
    oddities
        .iter()
        .filter_map(|oddity| match oddity {
            Oddity::NotKept { property } => Some(property.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn version_four_is_read() {
    let text = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ana Peña\r\nN:Peña;Ana;;;\r\nUID:urn:uuid:4fbe8971\r\n\
        TEL;VALUE=uri;TYPE=\"voice,work\":tel:+34-600-111-222\r\nEMAIL;TYPE=work:ana@example.es\r\n\
        ADR;TYPE=home;LABEL=\"Calle Mayor 1\\n28013 Madrid\":;;;;;;\r\nPHOTO:data:image/png;base64,iVBORw0K\r\n\
        NOTE:una nota\\, larga\r\nEND:VCARD\r\n";
    let read = cards(text.as_bytes()).expect("reads");
    assert_eq!(texts(&read, 0, "phones", "raw"), ["+34-600-111-222"]);
    assert_eq!(texts(&read, 0, "phones", "label"), ["work"]);
    assert_eq!(texts(&read, 0, "addresses", "street"), ["Calle Mayor 1, 28013 Madrid"]);
    assert_eq!(cell(&read, 0, "notes"), &Cell::Text("una nota, larga".into()));
    let Cell::Blob(photo) = cell(&read, 0, "photo") else { panic!("no photo") };
    assert_eq!((photo.media_type, photo.bytes.len()), ("image/png", 6));
    assert!(not_kept(&read, 0).is_empty());
}

#[test]
fn a_photo_that_is_damaged_no_picture_or_the_second_one_is_told() {
    let card = |photos: &str| format!("BEGIN:VCARD\nVERSION:3.0\nFN:Ana\nN:;Ana;;;\n{photos}END:VCARD\n");
    let png = "PHOTO;ENCODING=b;TYPE=PNG:iVBORw0K\n";
    for (photos, is_kept, told) in [
        (png.to_owned(), true, 0),
        (png.repeat(2), true, 0),
        (format!("{png}PHOTO;ENCODING=b:/9j/4A==\n"), true, 1),
        ("PHOTO;ENCODING=b;TYPE=JPEG:PGh0bWw+\n".to_owned(), false, 1),
        ("PHOTO;ENCODING=b;TYPE=JPEG:/9j/4A=\n".to_owned(), false, 1),
        ("PHOTO;VALUE=uri:https://example.org/ana.jpg\n".to_owned(), false, 1),
    ] {
        let read = cards(card(&photos).as_bytes()).expect("reads");
        assert_eq!(read.columns.iter().any(|name| name == "photo"), is_kept, "{photos}");
        assert_eq!(not_kept(&read, 0).len(), told, "{photos}");
    }
}

#[test]
fn a_soft_break_never_swallows_the_next_property() {
    let text = "BEGIN:VCARD\nVERSION:2.1\nFN;ENCODING=QUOTED-PRINTABLE:Ana=\nTEL;CELL:600111222\nEND:VCARD\n";
    assert_eq!(cards(text.as_bytes()).expect_err("refused").line, Some(3));
}
