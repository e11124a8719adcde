//! On the real cards, which lie outside of the repository.

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::super::super::cell::Oddity;
use super::super::super::{Cell, Format, ReadOptions};
use super::{Collected, cards, cell, collect, not_kept, texts};

const FILES: [(&str, usize); 4] = [
    ("john-doe-android.vcf", 6),
    ("john-doe-gmail.vcf", 1),
    ("john-doe-iphone.vcf", 1),
    ("john-doe-ms-outlook.vcf", 1),
];

fn bytes_of(name: &str) -> Vec<u8> {
    let path: PathBuf = crate::import::test_data("vcards").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_card_of_the_real_files_is_read() {
    for (name, count) in FILES {
        let read = cards(&bytes_of(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.rows.len(), count, "{name}");
    }
}

#[test]
fn a_gmail_card_is_read_whole() {
    let read = cards(&bytes_of("john-doe-gmail.vcf")).expect("reads");
    assert_eq!(cell(&read, 0, "name"), &Cell::Text("Mr. John Richter, James Doe Sr.".into()));
    assert_eq!(cell(&read, 0, "first_name"), &Cell::Text("John Richter, James".into()));
    assert_eq!(texts(&read, 0, "phones", "raw"), ["905-555-1234", "905-666-1234"]);
    assert_eq!(texts(&read, 0, "phones", "label"), ["mobile", "home"]);
    assert_eq!(
        texts(&read, 0, "addresses", "street"),
        ["Crescent moon drive, 555-asd, Nice Area, Albaney, New York 12345, United States of America"]
    );
    assert_eq!(cell(&read, 0, "websites"), &Cell::Built(json!(["http://www.ibm.com"])));
    let note = cell(&read, 0, "notes").shown();
    assert!(note.starts_with("THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS \"AS IS\" AND"));
    assert!(note.ends_with("SUCH DAMAGE.\nFavotire Color: Blue"));
    assert_eq!(not_kept(&read, 0), ["X-PHONETIC-FIRST-NAME", "X-PHONETIC-LAST-NAME", "X-ABDATE", "X-ABRELATEDNAMES"]);
}

#[test]
fn an_iphone_card_keeps_labels_of_its_groups_and_its_photo() {
    let read = cards(&bytes_of("john-doe-iphone.vcf")).expect("reads");
    assert_eq!(
        texts(&read, 0, "phones", "raw"),
        [
            "905-555-1234",
            "905-666-1234",
            "905-777-1234",
            "905-888-1234",
            "905-999-1234",
            "905-111-1234",
            "905-222-1234"
        ]
    );
    assert_eq!(
        texts(&read, 0, "phones", "label"),
        ["mobile", "home", "work", "home fax", "work fax", "pager", "assistant phone"]
    );
    let Cell::Built(addresses) = cell(&read, 0, "addresses") else { panic!("no addresses") };
    assert_eq!(
        addresses,
        &json!([
            {"street": "Silicon Alley 5", "city": "New York", "region": "New York", "postcode": "12345",
             "country": "United States of America", "label": "home"},
            {"street": "Street4, Building 6, Floor 8", "city": "New York", "postcode": "12345", "country": "USA",
             "label": "work"},
        ])
    );
    assert_eq!(cell(&read, 0, "department"), &Cell::Text("Accounting".into()));
    assert!(not_kept(&read, 0).is_empty());
    assert_eq!(photo(&read, 0), (32_531, "image/jpeg"));
}

/// Bytes and type of a card's photo.
fn photo(read: &Collected, row: usize) -> (usize, &'static str) {
    let Cell::Blob(file) = cell(read, row, "photo") else { panic!("no photo in row {row}") };
    (file.bytes.len(), file.media_type)
}

#[test]
fn an_outlook_card_is_read_whole() {
    let read = cards(&bytes_of("john-doe-ms-outlook.vcf")).expect("reads");
    assert_eq!(texts(&read, 0, "phones", "raw"), ["(905) 555-1234", "(905) 666-1234"]);
    assert_eq!(texts(&read, 0, "addresses", "street"), ["Cresent moon drive", "Silicon Alley 5,"]);
    assert_eq!(texts(&read, 0, "emails", "address"), ["john.doe@ibm.cm"]);
    assert!(!not_kept(&read, 0).contains(&"PHOTO"));
    assert_eq!(photo(&read, 0), (860, "image/jpeg"));
}

#[test]
fn android_cards_keep_every_number_note_and_odd_address() {
    let read = cards(&bytes_of("john-doe-android.vcf")).expect("reads");
    let lines: Vec<u64> = read.rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [1, 6, 11, 18, 36, 71]);
    assert_eq!(cell(&read, 0, "name"), &Cell::Text("john.doe@company.com".into()));
    assert_eq!(read.rows[0].oddities, [Oddity::Nameless { text: "john.doe@company.com".into() }]);
    assert_eq!(cell(&read, 2, "name"), &Cell::Text("Ñ Ñ Ñ Ñ Ñ".into()));
    assert_eq!(texts(&read, 3, "phones", "raw"), ["123456", "234567", "3456789", "45678901"]);
    assert_eq!(cell(&read, 3, "notes").shown().matches('Ñ').count(), 21, "two equal notes of 21");
    assert_eq!(texts(&read, 4, "phones", "label"), ["mobile, work, work fax"]);
    assert_eq!(texts(&read, 4, "emails", "address"), ["bob@company.com"]);
    assert_eq!(cell(&read, 4, "notes").shown(), format!("E-mail: {}", "Ñ".repeat(14)));
    assert_eq!(not_kept(&read, 4), ["PHOTO"], "two characters of its data are missing");
    assert!(read.rows[5].oddities.iter().any(|oddity| matches!(oddity, Oddity::Undecodable { .. })));
    assert_eq!(texts(&read, 5, "phones", "raw"), ["55556666"]);
}

/// The file with one line replaced, and that line's number.
fn with_line(name: &str, found: impl Fn(&str) -> bool, replacement: &str) -> (Vec<u8>, u64) {
    let text = String::from_utf8_lossy(&bytes_of(name)).into_owned();
    let at = text.split('\n').position(|line| found(line.trim_end())).expect("the line is in the file");
    let lines: Vec<&str> =
        text.split('\n').enumerate().map(|(n, line)| if n == at { replacement } else { line }).collect();
    (lines.join("\n").into_bytes(), at as u64 + 1)
}

#[test]
fn a_damaged_copy_of_each_real_file_is_refused_with_its_line() {
    for (name, _) in FILES {
        let whole = bytes_of(name);
        let cut = whole.len() * 2 / 3;
        assert!(cards(&whole[..cut]).is_err_and(|error| error.line.is_some()), "{name} cut");

        let (no_version, _) = with_line(name, |line| line.starts_with("VERSION"), "");
        assert_eq!(cards(&no_version).expect_err("no version").damage.code(), "damaged-card", "{name}");

        let (strange, line) = with_line(name, |line| line.starts_with("VERSION"), "VERSION:5.0");
        assert_eq!(cards(&strange).expect_err("an unknown version").line, Some(line), "{name}");

        let (no_colon, line) =
            with_line(name, |line| line.starts_with("EMAIL") || line.starts_with("item1.EMAIL"), "EMAIL");
        assert_eq!(cards(&no_colon).expect_err("no colon").line, Some(line), "{name}");

        let (no_end, _) = with_line(name, |line| line == "END:VCARD", "");
        assert!(cards(&no_end).is_err_and(|error| error.line.is_some()), "{name} without an end");

        let (no_begin, _) = with_line(name, |line| line == "BEGIN:VCARD", "");
        assert!(cards(&no_begin).is_err_and(|error| error.line.is_some()), "{name} without a beginning");
    }
}

#[test]
fn broken_data_and_broken_escapes_are_refused_with_their_line() {
    for name in ["john-doe-android.vcf", "john-doe-iphone.vcf", "john-doe-ms-outlook.vcf"] {
        let (wrong, line) = with_line(name, |line| line.starts_with(' ') && line.len() > 70, " /9j/4AAQ%%kZJRg");
        let error = cards(&wrong).expect_err("wrong base64");
        assert_eq!((error.line, error.damage.code()), (Some(line), "damaged-card"), "{name}");
        // The data's last line cut short, as a transfer that breaks off leaves it.
        let text = String::from_utf8_lossy(&bytes_of(name)).into_owned();
        let photo = text.find("PHOTO").expect("a photo");
        let end = photo + text[photo..].find("=\r").or_else(|| text[photo..].find("=\n")).expect("the end of the data");
        let start = text[..end].trim_end_matches('=').len() - 2;
        let short = format!("{}{}", &text[..start], &text[end + 1..]);
        assert!(cards(short.as_bytes()).is_err(), "{name} with cut base64");
    }
    for name in ["john-doe-android.vcf", "john-doe-ms-outlook.vcf"] {
        let text = String::from_utf8_lossy(&bytes_of(name)).into_owned();
        let found = if name.contains("android") { "=C3=91" } else { "=0D" };
        let line = text[..text.find(found).expect("an escape")].matches('\n').count() as u64 + 1;
        let broken = text.replacen(found, "=C", 1);
        let error = cards(broken.as_bytes()).expect_err("a broken escape");
        assert!(error.line.is_some_and(|at| (line..=line + 1).contains(&at)), "{name}: {error}");
    }
}

proptest! {
    #[test]
    fn a_cut_real_file_is_read_as_fewer_cards_or_refused(file in 0..FILES.len(), at in 0.0..1.0_f64) {
        let (name, count) = FILES[file];
        let whole = bytes_of(name);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a position in a small file")]
        let cut = (whole.len() as f64 * at) as usize;
        if let Ok(read) = collect(&whole[..cut], &ReadOptions { format: Some(Format::Vcard), ..ReadOptions::default() }) {
            prop_assert!(read.rows.len() <= count);
            let ends = String::from_utf8_lossy(&whole[..cut]).matches("END:VCARD").count();
            prop_assert_eq!(read.rows.len(), ends);
        }
    }
}
