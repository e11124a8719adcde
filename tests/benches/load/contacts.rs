use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

const FIRST: [&str; 12] =
    ["Lucía", "Martín", "Sofía", "Hugo", "María", "Pablo", "Carmen", "Álvaro", "Begoña", "Iñaki", "Núria", "Óscar"];
const LAST: [&str; 12] = [
    "García",
    "Fernández",
    "Muñoz",
    "Ibáñez",
    "Peña",
    "Castaño",
    "López",
    "Sánchez",
    "Núñez",
    "Ortuño",
    "Vila",
    "Zúñiga",
];
const CITIES: [(&str, &str); 6] =
    [("Madrid", "28"), ("Málaga", "29"), ("A Coruña", "15"), ("Castellón", "12"), ("León", "24"), ("Cádiz", "11")];
const TITLES: [&str; 5] = ["Compras", "Dirección general", "Jefatura de taller", "Administración", "Calidad"];

const LANGUAGES: [&str; 5] = ["es", "ca", "gl", "eu", "pt"];
const CHANNELS: [&str; 4] = ["phone", "email", "whatsapp", "visit"];

/// The fields of a contact that are filled from the columns of its row: three of these are its address, and its full name
/// and whether it may be called come by themselves.
pub const FIELDS: usize = 18;

/// Column names and values of the nth contact: deterministic, and different enough not to compress into nothing.
fn row(n: usize) -> [(&'static str, String); 18] {
    let mixed = n.wrapping_mul(2_654_435_761) >> 7;
    let (first, last, other) = (FIRST[mixed % 12], LAST[(mixed / 12) % 12], LAST[(mixed / 144) % 12]);
    let (city, province) = CITIES[(mixed / 7) % 6];
    let company = mixed % 2_000;
    [
        ("external_id", format!("C-{n:06}")),
        ("first_name", first.to_owned()),
        ("last_name", format!("{last} {other}")),
        ("job_title", TITLES[mixed % 5].to_owned()),
        ("department", format!("Departamento {}", mixed % 40)),
        ("email", format!("contacto{n}@empresa{company}.example")),
        ("phone", format!("+34 6{:08}", mixed % 100_000_000)),
        ("street", format!("Calle de {last}, {}", mixed % 200)),
        ("postcode", format!("{province}{:03}", mixed % 1_000)),
        ("city", city.to_owned()),
        ("nickname", format!("{first} {}", mixed % 1_000)),
        ("description", format!("Visitar en {} por la mañana; pedido {}", city, mixed % 90_000)),
        ("salutation", ["Sr.", "Sra."][mixed % 2].to_owned()),
        ("organisation", format!("{other} e Hijos {company}, S. L.")),
        ("websites", format!("https://empresa{company}.example")),
        ("birthday", format!("19{}-{:02}-{:02}", 50 + mixed % 50, 1 + mixed % 12, 1 + mixed % 28)),
        ("language", LANGUAGES[(mixed / 5) % 5].to_owned()),
        ("preferred_channel", CHANNELS[(mixed / 3) % 4].to_owned()),
    ]
}

/// Writes `count` contacts as a CSV file.
pub fn write_csv(path: &Path, count: usize) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let header: Vec<&str> = row(0).iter().map(|(name, _)| *name).collect();
    writeln!(file, "{}", header.join(","))?;
    for n in 0..count {
        let cells: Vec<String> = row(n).iter().map(|(_, value)| format!("\"{value}\"")).collect();
        writeln!(file, "{}", cells.join(","))?;
    }
    file.flush()?;
    Ok(())
}

/// The same contacts as JSON bodies of about the size that the server stores.
pub fn bodies(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            let fields: serde_json::Map<String, Value> =
                row(n).into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
            Value::Object(fields).to_string()
        })
        .collect()
}
