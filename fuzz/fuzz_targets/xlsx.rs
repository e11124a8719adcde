//! Any bytes as a workbook. What does not begin like an archive is packed into one, part by part: checksums would else
//! keep the fuzzer out of the parts.
#![no_main]

use std::io::{Cursor, Write};

use cartera_server::import::read::{Format, ReadOptions};
use libfuzzer_sys::fuzz_target;
use zip::CompressionMethod::Stored;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What stands between the parts.
const CUT: &[u8] = b"\n--\n";

/// In the order in which a seed names them; a part that a seed leaves out is the one here.
const PARTS: [(&str, &str); 5] = [
    ("xl/worksheets/sheet1.xml", "<worksheet><sheetData/></worksheet>"),
    ("xl/sharedStrings.xml", "<sst><si><t>name</t></si></sst>"),
    ("xl/styles.xml", "<styleSheet><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"),
    (
        "xl/workbook.xml",
        "<workbook xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">\
         <sheets><sheet name=\"One\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>",
    ),
    (
        "xl/_rels/workbook.xml.rels",
        "<Relationships><Relationship Id=\"rId1\" Target=\"worksheets/sheet1.xml\" \
         Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\"/></Relationships>",
    ),
];

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut rest = Some(bytes);
    for (name, usual) in PARTS {
        let (part, after) = match rest {
            Some(bytes) => match bytes.windows(CUT.len()).position(|window| window == CUT) {
                Some(at) => (&bytes[..at], Some(&bytes[at + CUT.len()..])),
                None => (bytes, None),
            },
            None => (usual.as_bytes(), None),
        };
        rest = after;
        let part = if part.is_empty() { usual.as_bytes() } else { part };
        let stored = SimpleFileOptions::default().compression_method(Stored);
        archive.start_file(name, stored).expect("an archive in memory takes a part");
        archive.write_all(part).expect("an archive in memory takes its bytes");
    }
    archive.finish().expect("an archive in memory ends").into_inner()
}

fuzz_target!(|bytes: &[u8]| {
    let options = ReadOptions { format: Some(Format::Xlsx), ..ReadOptions::default() };
    if bytes.starts_with(b"PK") {
        cartera_fuzz::check_table(bytes, &options);
    } else {
        cartera_fuzz::check_table(&packed(bytes), &options);
    }
});
