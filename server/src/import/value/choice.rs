use crm::model::{EnumOption, Pipeline};
use crm::rules::fold;
use serde_json::{Value, json};

use super::super::read::Cell;
use super::{Trouble, pieces};

const YES: [&str; 11] = ["true", "yes", "y", "si", "s", "1", "x", "on", "verdadero", "cierto", "v"];
const NO: [&str; 8] = ["false", "no", "n", "0", "off", "falso", "f", "-"];

pub(super) fn boolean(cell: &Cell) -> Result<Value, Trouble> {
    if let Cell::Boolean(value) = cell {
        return Ok(json!(value));
    }
    let text = cell.shown();
    let word = fold(&text);
    match (YES.contains(&word.as_str()), NO.contains(&word.as_str())) {
        (true, _) => Ok(json!(true)),
        (_, true) => Ok(json!(false)),
        _ => Err(Trouble::new(
            "not-a-boolean",
            format!("«{text}» no es sí ni no."),
            format!("“{text}” is neither yes nor no."),
        )),
    }
}

/// The key of the option that the text names by key or label.
pub(super) fn option(text: &str, options: &[EnumOption]) -> Result<Value, Trouble> {
    let wanted = fold(text);
    let named = |option: &&EnumOption| {
        [&option.key, &option.labels.es, &option.labels.en].iter().any(|name| fold(name) == wanted)
    };
    let found = options.iter().find(|option| option.key == text.trim()).or_else(|| options.iter().find(named));
    found.map(|option| json!(option.key)).ok_or_else(|| unknown(text, options.iter().map(|option| option.key.as_str())))
}

pub(super) fn options(text: &str, all: &[EnumOption]) -> Result<Value, Trouble> {
    let keys: Result<Vec<Value>, Trouble> =
        pieces(text, &[';', ',', '|', '\n']).iter().map(|piece| option(piece, all)).collect();
    Ok(Value::Array(keys?))
}

/// The key of the stage that the text names by key or label.
///
/// # Errors
/// When it names none.
pub fn stage(text: &str, pipeline: &Pipeline) -> Result<Value, Trouble> {
    let wanted = fold(text);
    let found = pipeline
        .stages
        .iter()
        .find(|stage| [&stage.key, &stage.labels.es, &stage.labels.en].iter().any(|name| fold(name) == wanted));
    found
        .map(|stage| json!(stage.key))
        .ok_or_else(|| unknown(text, pipeline.stages.iter().map(|stage| stage.key.as_str())))
}

fn unknown<'a>(text: &str, keys: impl Iterator<Item = &'a str>) -> Trouble {
    let keys = keys.collect::<Vec<_>>().join(", ");
    Trouble::new(
        "unknown-option",
        format!("«{text}» no es ninguna de las opciones ({keys}): asígnale una con `values`."),
        format!("“{text}” is none of the options ({keys}): map it to one with `values`."),
    )
}
