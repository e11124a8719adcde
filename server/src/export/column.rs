use std::collections::BTreeSet;

use crm::model::{Entity, Field, FieldKind, Language};

/// The heading of the column with the records' ids; an import matches by it before anything else.
pub(super) const ID_HEADING: &str = "cartera_id";

/// One column of an export.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) heading: String,
    pub(super) content: Content,
}

/// What a column shows.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The record's id.
    Id,
    /// A field.
    Field(Box<Field>),
    /// The currency of an amount, which stands in the column before.
    CurrencyOf(String),
}

/// The columns of an export: the fields asked for, else the id and all fields that the role sees.
pub(super) fn columns(entity: &Entity, asked: Option<&str>, language: Option<Language>) -> Vec<Column> {
    let asked: Option<Vec<&str>> = asked.map(|names| names.split(',').map(str::trim).collect());
    let names: Vec<&str> = match &asked {
        Some(names) => names.clone(),
        None => std::iter::once("id").chain(entity.fields.keys().map(String::as_str)).collect(),
    };
    let mut seen = BTreeSet::new();
    let mut columns = Vec::new();
    for name in names.into_iter().filter(|name| !name.is_empty() && seen.insert(*name)) {
        if name == "id" {
            columns.push(Column { heading: ID_HEADING.to_owned(), content: Content::Id });
        } else if let Some(field) = entity.field(name) {
            let heading = language.map_or(&field.name[..], |language| field.labels.text(language)).to_owned();
            let currency = currency_heading(field, language);
            columns.push(Column { heading, content: Content::Field(Box::new(field.clone())) });
            columns
                .extend(currency.map(|heading| Column { heading, content: Content::CurrencyOf(field.name.clone()) }));
        }
    }
    columns
}

fn currency_heading(field: &Field, language: Option<Language>) -> Option<String> {
    (field.kind == FieldKind::Money).then(|| match language {
        None => format!("{}.currency", field.name),
        Some(Language::Es) => format!("{} (moneda)", field.labels.es),
        Some(Language::En) => format!("{} (currency)", field.labels.en),
    })
}

/// The fields that a read must bring for these columns.
pub(super) fn field_names(columns: &[Column]) -> String {
    let names = columns.iter().filter_map(|column| match &column.content {
        Content::Field(field) => Some(field.name.as_str()),
        Content::Id | Content::CurrencyOf(_) => None,
    });
    names.collect::<Vec<_>>().join(",")
}
