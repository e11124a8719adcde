use crm::model::Label;

use super::super::read::Oddity;
use super::super::value::Trouble;
use super::problem::{RowProblem, Severity, shown};

/// What a reader found odd about a row, as a problem of the row.
pub(super) fn problem(oddity: &Oddity) -> RowProblem {
    let (severity, trouble, column, value) = match oddity {
        Oddity::ExtraCells(cells) => (
            Severity::Error,
            Trouble::new(
                "extra-cells",
                "La fila tiene más celdas que columnas: busca un separador o unas comillas de más.",
                "The row has more cells than there are columns: look for a delimiter or a quotation mark too many.",
            ),
            None,
            cells.join(" | "),
        ),
        Oddity::MissingCells(count) => (
            Severity::Warning,
            Trouble::new(
                "missing-cells",
                format!("A la fila le faltan {count} celdas al final: se toman como vacías."),
                format!("The row lacks {count} cells at its end: they are taken as empty."),
            ),
            None,
            String::new(),
        ),
        Oddity::Undecodable { text } => (
            Severity::Warning,
            Trouble::new(
                "undecodable",
                "Hay bytes que la codificación no conoce: se han sustituido por el signo \u{fffd}.",
                "There are bytes that the encoding does not know: they were replaced by the sign \u{fffd}.",
            ),
            None,
            text.clone(),
        ),
        Oddity::NotKept { property } if property == "PHOTO" => (
            Severity::Warning,
            Trouble::new(
                "photo-not-kept",
                "La tarjeta trae una foto que no se guarda: solo la primera que esté entera dentro de la tarjeta y sea JPEG, PNG, GIF o WebP.",
                "The card has a photo that is not kept: only the first one is that lies whole in the card and is a JPEG, PNG, GIF or WebP.",
            ),
            Some(property),
            String::new(),
        ),
        Oddity::NotKept { property } => (
            Severity::Warning,
            Trouble::new(
                "not-kept",
                format!("La tarjeta trae {property}, para lo que no hay ningún campo: no se importa."),
                format!("The card has {property}, for which there is no field: it is not imported."),
            ),
            Some(property),
            String::new(),
        ),
        Oddity::Nameless { text } => (
            Severity::Warning,
            Trouble::new(
                "nameless",
                format!("La tarjeta no tiene nombre: se usa «{text}»."),
                format!("The card has no name: “{text}” stands for it."),
            ),
            None,
            text.clone(),
        ),
    };
    let Trouble { code, message } = trouble;
    let message: Label = message;
    RowProblem { severity, code: code.to_owned(), column: column.cloned(), field: None, value: shown(&value), message }
}
