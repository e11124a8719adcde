//! Any text as a cell of every kind of field: a value that the model keeps as it is, or a sentence that says what is wrong.
#![no_main]

use std::sync::LazyLock;

use cartera_server::import::read::{Cell, DateOrder, DecimalMark};
use cartera_server::import::value::{Locale, country_of, parse};
use crm::model::{Field, FieldKind, Model};
use crm::rules::normalise;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// One field of each kind that the core model has.
static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let model = Model::core();
    let mut fields: Vec<Field> = Vec::new();
    for field in model.entities.values().flat_map(|entity| entity.fields.values()) {
        let is_known = |known: &Field| std::mem::discriminant(&known.kind) == std::mem::discriminant(&field.kind);
        // What links and stages name is for whoever knows the records.
        let is_name = matches!(field.kind, FieldKind::Link { .. } | FieldKind::Links { .. } | FieldKind::Stage { .. });
        if !is_name && !fields.iter().any(is_known) {
            fields.push(field.clone());
        }
    }
    fields
});

fuzz_target!(|bytes: &[u8]| {
    let Some((settings, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let locale = Locale {
        currency: "EUR".to_owned(),
        country: country_of(["ES", "US", "DE", "AR"][usize::from(settings & 3)]),
        decimal: [None, Some(DecimalMark::Point), Some(DecimalMark::Comma), None][usize::from(settings >> 2 & 3)],
        order: [None, Some(DateOrder::MonthFirst), Some(DateOrder::YearFirst), Some(DateOrder::DayFirst)]
            [usize::from(settings >> 4 & 3)],
    };
    let cell = if settings & 64 == 0 { Cell::text(text) } else { Cell::Number(text.to_owned()) };
    for field in FIELDS.iter() {
        match parse(field, &cell, &locale) {
            Ok(Value::Null) => {}
            Ok(value) => {
                let again = normalise(field, value.clone());
                assert_eq!(again.as_ref().ok(), Some(&value), "{} is in its normal form", field.name);
            }
            Err(trouble) => assert!(!trouble.message.en.is_empty(), "{} says what is wrong", field.name),
        }
    }
});
