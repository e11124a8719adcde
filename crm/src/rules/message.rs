//! Every sentence that validation says, in both languages: what is wrong, and what to do about it.

use serde_json::Value;

use super::Finding;
use crate::Fields;
use crate::expr::{EvalError, Expr};
use crate::model::{Entity, EnumOption, Field, FieldKind, Label, Language, Pipeline, Rule, Stage};

/// What a field of one type takes, in words that continue "write …".
pub(super) struct Shape {
    es: &'static str,
    en: &'static str,
}

pub(super) const TEXT: Shape = Shape { es: "un texto", en: "a text" };
pub(super) const INTEGER: Shape = Shape { es: "un número entero", en: "a whole number" };
pub(super) const BOOLEAN: Shape = Shape { es: "sí o no (true o false)", en: "yes or no (true or false)" };
pub(super) const DATE: Shape = Shape {
    es: "una fecha que exista, de los años 1 a 9999, como 2026-11-22",
    en: "a date of the calendar, of the years 1 to 9999, such as 2026-11-22",
};
pub(super) const DATETIME: Shape = Shape {
    es: "un instante de los años 1 a 9999, en milisegundos desde 1970",
    en: "an instant of the years 1 to 9999, in milliseconds since 1970",
};
pub(super) const OPTION: Shape = Shape { es: "la clave de una opción", en: "the key of an option" };
pub(super) const OPTIONS: Shape = Shape { es: "una lista de claves de opciones", en: "a list of keys of options" };
pub(super) const LINK: Shape = Shape { es: "el identificador de un registro", en: "the id of a record" };
pub(super) const LINKS: Shape =
    Shape { es: "una lista de identificadores de registros", en: "a list of ids of records" };
pub(super) const TAGS: Shape = Shape { es: "una lista de textos", en: "a list of texts" };
pub(super) const MONEY: Shape = Shape {
    es: "un importe como {\"minor\": 1250, \"currency\": \"EUR\"}",
    en: "an amount such as {\"minor\": 1250, \"currency\": \"EUR\"}",
};
pub(super) const EMAILS: Shape = Shape {
    es: "una lista como [{\"address\": \"ana@empresa.es\", \"label\": \"trabajo\"}]",
    en: "a list such as [{\"address\": \"ana@company.com\", \"label\": \"work\"}]",
};
pub(super) const PHONES: Shape = Shape {
    es: "una lista como [{\"raw\": \"612 345 678\", \"label\": \"móvil\"}]",
    en: "a list such as [{\"raw\": \"612 345 678\", \"label\": \"mobile\"}]",
};
pub(super) const ADDRESSES: Shape = Shape {
    es: "una lista como [{\"street\": \"Mayor 3\", \"city\": \"Madrid\", \"country\": \"ES\"}]",
    en: "a list such as [{\"street\": \"3 High Street\", \"city\": \"York\", \"country\": \"GB\"}]",
};
pub(super) const BLOB: Shape = Shape {
    es: "un fichero como {\"hash\": \"<SHA-256>\", \"name\": \"plano.pdf\", \"size\": 12345, \"type\": \"application/pdf\"}",
    en: "a file such as {\"hash\": \"<SHA-256>\", \"name\": \"plan.pdf\", \"size\": 12345, \"type\": \"application/pdf\"}",
};
pub(super) const LOG: Shape = Shape {
    es: "una lista como [{\"at\": 1795305600000, \"text\": \"…\"}]",
    en: "a list such as [{\"at\": 1795305600000, \"text\": \"…\"}]",
};

pub(super) fn wrong_type(field: &Field, shape: &Shape) -> Finding {
    finding(
        field,
        "type",
        |label| format!("El valor de «{label}» no es del tipo del campo: escribe {}.", shape.es),
        |label| format!("The value of “{label}” is not of the field's type: write {}.", shape.en),
    )
}

pub(super) fn wrong_link(field: &Field, to: &[String]) -> Finding {
    let to = to.join(", ");
    finding(
        field,
        "type",
        |label| {
            format!(
                "«{label}» no dice a qué apunta: escribe {{\"entity\": …, \"id\": …}} con una de estas entidades: {to}."
            )
        },
        |label| {
            format!(
                "“{label}” does not say what it points to: write {{\"entity\": …, \"id\": …}} with one of these entities: {to}."
            )
        },
    )
}

pub(super) fn has_nul(field: &Field) -> Finding {
    finding(
        field,
        "format",
        |label| format!("«{label}» contiene el carácter nulo (U+0000), que no se puede guardar: quítalo."),
        |label| format!("“{label}” contains the null character (U+0000), which cannot be kept: take it out."),
    )
}

pub(super) fn too_long(field: &Field, max: usize) -> Finding {
    finding(
        field,
        "too-long",
        |label| format!("«{label}» es demasiado largo: déjalo en {max} caracteres como mucho."),
        |label| format!("“{label}” is too long: shorten it to at most {max} characters."),
    )
}

pub(super) fn too_many(field: &Field, max: usize) -> Finding {
    finding(
        field,
        "too-long",
        |label| format!("«{label}» tiene demasiados elementos: deja {max} como mucho."),
        |label| format!("“{label}” has too many entries: keep at most {max}."),
    )
}

pub(super) fn out_of_range(field: &Field, min: i64, max: i64) -> Finding {
    finding(
        field,
        "range",
        |label| format!("«{label}» está fuera de los límites: escribe un número de {min} a {max}."),
        |label| format!("“{label}” is out of range: write a number from {min} to {max}."),
    )
}

pub(super) fn not_an_option(field: &Field, key: &str, options: &[EnumOption]) -> Finding {
    let known = options.iter().map(|option| option.key.as_str()).collect::<Vec<_>>().join(", ");
    let key = short(key);
    finding(
        field,
        "option",
        |label| format!("«{key}» no es una opción de «{label}»: elige una de {known}."),
        |label| format!("“{key}” is not an option of “{label}”: choose one of {known}."),
    )
}

pub(super) fn unknown_stage(field: &Field, key: &str, pipeline: &Pipeline) -> Finding {
    let known = pipeline.stages.iter().map(|stage| stage.key.as_str()).collect::<Vec<_>>().join(", ");
    let key = short(key);
    finding(
        field,
        "stage",
        |label| format!("«{key}» no es una etapa de «{label}»: elige una de {known}."),
        |label| format!("“{key}” is not a stage of “{label}”: choose one of {known}."),
    )
}

pub(super) fn not_an_email(field: &Field, written: &str) -> Finding {
    let written = short(written);
    finding(
        field,
        "format",
        |label| format!("«{written}» no es una dirección de correo: en «{label}» escribe algo como ana@empresa.es."),
        |label| format!("“{written}” is not an e-mail address: in “{label}” write something like ana@company.com."),
    )
}

pub(super) fn not_a_url(field: &Field, written: &str) -> Finding {
    let written = short(written);
    finding(
        field,
        "format",
        |label| format!("«{written}» no es una dirección web: en «{label}» escribe algo como https://empresa.es."),
        |label| format!("“{written}” is not a web address: in “{label}” write something like https://company.com."),
    )
}

pub(super) fn not_e164(field: &Field, written: &str) -> Finding {
    let written = short(written);
    finding(
        field,
        "format",
        |label| {
            format!(
                "«{written}» no es un número internacional: en «{label}» escribe algo como +34612345678, o solo el texto."
            )
        },
        |label| {
            format!(
                "“{written}” is not an international number: in “{label}” write something like +34612345678, or the text alone."
            )
        },
    )
}

pub(super) fn not_a_file_name(field: &Field, written: &str) -> Finding {
    let written = short(written);
    finding(
        field,
        "format",
        |label| format!("«{written}» no es el nombre de un fichero: en «{label}» escribe algo como plano.pdf."),
        |label| format!("“{written}” is no name of a file: in “{label}” write something like plan.pdf."),
    )
}

pub(super) fn not_a_file_type(field: &Field, written: &str) -> Finding {
    let written = short(written);
    finding(
        field,
        "file-type",
        |label| {
            format!(
                "«{label}» no acepta ficheros de tipo «{written}»; docs/model.md dice cuáles. Adjunta otro, o como application/octet-stream donde se acepte."
            )
        },
        |label| {
            format!(
                "“{label}” takes no files of type “{written}”; docs/model.md lists those it takes. Attach another, or as application/octet-stream where that is taken."
            )
        },
    )
}

pub(super) fn file_too_large(field: &Field, max: u64) -> Finding {
    finding(
        field,
        "too-large",
        |label| format!("El fichero es demasiado grande para «{label}»: {max} bytes como mucho."),
        |label| format!("The file is too large for “{label}”: at most {max} bytes."),
    )
}

pub(super) fn not_a_currency(field: &Field, written: &str) -> Finding {
    let written = short(written);
    finding(
        field,
        "format",
        |label| format!("«{written}» no es una moneda: en «{label}» escribe su código ISO de tres letras, como EUR."),
        |label| {
            format!("“{written}” is not a currency: in “{label}” write its ISO code of three letters, such as EUR.")
        },
    )
}

pub(super) fn required(field: &Field) -> Finding {
    finding(
        field,
        "required",
        |label| format!("Indica «{label}»: no puede quedar vacío."),
        |label| format!("Fill in “{label}”: it cannot be empty."),
    )
}

/// Names the values that make the field necessary, because "required here" would leave the person guessing.
pub(super) fn required_if(entity: &Entity, field: &Field, condition: &Expr, after: &Fields) -> Finding {
    let because = |language: Language| {
        condition
            .fields()
            .iter()
            .filter_map(|name| entity.field(name))
            .map(|source| described(entity, source, after.get(&source.name), language))
            .collect::<Vec<_>>()
    };
    finding(
        field,
        "required",
        |label| format!("Indica «{label}»: hace falta porque {}.", because(Language::Es).join(" y ")),
        |label| format!("Fill in “{label}”: it is needed because {}.", because(Language::En).join(" and ")),
    )
}

pub(super) fn needed(field: &Field, stage_field: &Field, stage: &Stage) -> Finding {
    finding(
        field,
        "required",
        |label| format!("Indica «{label}»: hace falta porque «{}» es «{}».", stage_field.labels.es, stage.labels.es),
        |label| {
            format!("Fill in “{label}”: it is needed because “{}” is “{}”.", stage_field.labels.en, stage.labels.en)
        },
    )
}

pub(super) fn broken(rule: &Rule, field: &str) -> Finding {
    Finding { field: field.to_owned(), code: "rule", message: rule.message.clone() }
}

pub(super) fn expression(field: &Field, error: &EvalError) -> Finding {
    let Label { es, en } = error.reason();
    finding(
        field,
        "expression",
        |label| format!("No se puede comprobar «{label}» ({es}): corrige los valores de los que depende."),
        |label| format!("“{label}” cannot be checked ({en}): correct the values that it depends on."),
    )
}

/// "«Etapa» es «Perdida»".
fn described(entity: &Entity, field: &Field, value: Option<&Value>, language: Language) -> String {
    let label = field.labels.text(language);
    let shown = value.map(|value| shown(entity, field, value, language));
    match (language, shown) {
        (Language::Es, Some(Some(value))) => format!("«{label}» es «{value}»"),
        (Language::En, Some(Some(value))) => format!("“{label}” is “{value}”"),
        (Language::Es, Some(None)) => format!("«{label}» tiene ese valor"),
        (Language::En, Some(None)) => format!("“{label}” has that value"),
        (Language::Es, None) => format!("«{label}» está vacío"),
        (Language::En, None) => format!("“{label}” is empty"),
    }
}

/// The value as a person knows it; none where it would take more than the model to say it.
fn shown(entity: &Entity, field: &Field, value: &Value, language: Language) -> Option<String> {
    match (&field.kind, value) {
        (FieldKind::Enum { options }, Value::String(key)) => {
            let option = options.iter().find(|option| option.key == *key)?;
            Some(option.labels.text(language).to_owned())
        }
        (FieldKind::Stage { pipeline, .. }, Value::String(key)) => {
            Some(entity.pipelines.get(pipeline)?.stage(key)?.labels.text(language).to_owned())
        }
        (FieldKind::Boolean, Value::Bool(value)) => Some(
            match (language, value) {
                (Language::Es, true) => "sí",
                (Language::En, true) => "yes",
                (_, false) => "no",
            }
            .to_owned(),
        ),
        (FieldKind::Text { .. } | FieldKind::Date, Value::String(text)) => Some(short(text)),
        (FieldKind::Integer { .. } | FieldKind::Percent, Value::Number(number)) => Some(number.to_string()),
        _ => None,
    }
}

fn finding(
    field: &Field,
    code: &'static str,
    es: impl FnOnce(&str) -> String,
    en: impl FnOnce(&str) -> String,
) -> Finding {
    let message = Label { es: es(&field.labels.es), en: en(&field.labels.en) };
    Finding { field: field.name.clone(), code, message }
}

/// A value quoted in a message: enough to recognise it.
fn short(text: &str) -> String {
    let mut characters = text.trim().chars();
    let kept = characters.by_ref().take(40).collect::<String>();
    if characters.next().is_some() { kept + "…" } else { kept }
}
