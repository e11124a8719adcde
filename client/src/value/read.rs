use crm::model::{EnumOption, Field, FieldKind, Pipeline};
use serde_json::{Value, json};
use sync_protocol::id::RecordId;

use super::{LinkTargets, Reading, Unreadable, calendar, list, money, number};
use crate::message::say;

/// What the meaning of a text depends on.
pub struct Surroundings<'a> {
    /// Day number of today.
    pub today: i64,
    /// Now, milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// What the field holds.
    pub current: Option<&'a Value>,
    /// The entity's pipeline that a stage field names.
    pub pipeline: Option<&'a Pipeline>,
    /// Whom links may mean.
    pub targets: &'a dyn LinkTargets,
}

/// The value of `field` that `text` means. It has the right shape; whether it is allowed is for the rules.
///
/// # Errors
/// When it means none; the message says what to write instead.
pub fn read(field: &Field, text: &str, around: &Surroundings) -> Reading {
    let text = text.trim();
    match &field.kind {
        FieldKind::Text { .. } | FieldKind::LongText | FieldKind::Email | FieldKind::Url | FieldKind::Number => {
            Ok(Value::from(text))
        }
        FieldKind::Integer { .. } => number::integer(text),
        FieldKind::Percent => number::integer(text.trim_end_matches('%').trim_end()),
        FieldKind::Decimal { scale } => number::scaled(text, *scale).map(Value::from),
        FieldKind::Boolean => number::boolean(text),
        FieldKind::Money => money::money(text, around.current),
        FieldKind::Date => calendar::date(text, around.today),
        FieldKind::Datetime if text == "now" || text == "ahora" => Ok(Value::from(around.now_ms)),
        FieldKind::Datetime => calendar::datetime(text),
        FieldKind::Enum { options } => option(options, text),
        FieldKind::Enums { options } => list::items(text).map(|item| option(options, item)).collect(),
        FieldKind::Stage { .. } => stage(around.pipeline, text),
        FieldKind::Link { to } => link(to, text, around.targets),
        FieldKind::Links { to } => links(to, text, around.targets),
        FieldKind::Tags => Ok(list::items(text).collect()),
        FieldKind::Emails => list::json_array(text).unwrap_or_else(|| Ok(list::emails(text))),
        FieldKind::Phones => list::json_array(text).unwrap_or_else(|| Ok(list::phones(text))),
        FieldKind::Addresses => list::json_array(text).unwrap_or_else(|| Ok(list::addresses(text))),
        FieldKind::Blob { .. } | FieldKind::Blobs { .. } => file(text),
        FieldKind::Log => Ok(json!([{"at": around.now_ms, "text": text}])),
    }
}

/// Files are attached by `attach`; their values are read as the JSON that records hold.
fn file(text: &str) -> Reading {
    serde_json::from_str(text).map_err(|_| {
        Unreadable(say(
            "Un fichero se adjunta con: cartera-device attach ENTIDAD ID CAMPO FICHERO.",
            "A file is attached with: cartera-device attach ENTITY ID FIELD FILE.",
        ))
    })
}

/// An option by its key, or by its label in either language.
fn option(options: &[EnumOption], text: &str) -> Reading {
    let choices = options.iter().map(|option| (option.key.as_str(), &option.labels));
    choose(choices, text)
}

fn stage(pipeline: Option<&Pipeline>, text: &str) -> Reading {
    let stages = pipeline.map_or(&[][..], |pipeline| &pipeline.stages);
    choose(stages.iter().map(|stage| (stage.key.as_str(), &stage.labels)), text)
}

fn choose<'a>(choices: impl Iterator<Item = (&'a str, &'a crm::model::Label)> + Clone, text: &str) -> Reading {
    let wanted = crm::rules::fold(text);
    let means = |(key, label): &(&str, &crm::model::Label)| {
        *key == text || crm::rules::fold(&label.es) == wanted || crm::rules::fold(&label.en) == wanted
    };
    // A key is exact; a label of another option may read the same.
    let exact = choices.clone().find(|(key, _)| *key == text);
    if let Some((key, _)) = exact.or_else(|| choices.clone().find(means)) {
        return Ok(Value::from(key));
    }
    let keys: Vec<&str> = choices.map(|(key, _)| key).collect();
    let keys = keys.join(", ");
    Err(Unreadable(say(
        format!("«{text}» no es ninguna de las opciones: {keys}."),
        format!("“{text}” is none of the options: {keys}."),
    )))
}

/// An id; a name; or either behind `entity:`, where the link may go to several entities.
fn link(to: &[String], text: &str, targets: &dyn LinkTargets) -> Reading {
    let named = text.split_once(':').and_then(|(name, rest)| Some((to.iter().find(|entity| *entity == name)?, rest)));
    let (candidates, wanted) = match named {
        Some((entity, rest)) => (std::slice::from_ref(entity), rest.trim()),
        None => (to, text),
    };
    let (entity, id) = match wanted.parse::<RecordId>() {
        Ok(id) => (entity_of_id(candidates, id, targets)?, id),
        Err(_) => by_name(candidates, wanted, targets)?,
    };
    if to.len() == 1 { Ok(json!(id)) } else { Ok(json!({"entity": entity, "id": id})) }
}

fn entity_of_id(candidates: &[String], id: RecordId, targets: &dyn LinkTargets) -> Result<String, Unreadable> {
    if let [only] = candidates {
        // The record may well exist where this device cannot see it: the server decides.
        return Ok(only.clone());
    }
    targets.entity_of(id).filter(|entity| candidates.contains(entity)).ok_or_else(|| {
        let example = format!("{}:{id}", candidates.first().map_or("entity", String::as_str));
        Unreadable(say(
            format!("No se sabe de qué es el identificador {id}; escríbelo con su entidad, por ejemplo {example}."),
            format!("It is not known what the id {id} is of; write it with its entity, for example {example}."),
        ))
    })
}

fn by_name(candidates: &[String], name: &str, targets: &dyn LinkTargets) -> Result<(String, RecordId), Unreadable> {
    let mut found: Vec<(String, RecordId)> = Vec::new();
    for entity in candidates {
        found.extend(targets.named(entity, name).into_iter().map(|id| (entity.clone(), id)));
    }
    match found.len() {
        0 => Err(Unreadable(say(
            format!("Ningún registro de este dispositivo se llama «{name}» ({}).", candidates.join(", ")),
            format!("No record on this device is called “{name}” ({}).", candidates.join(", ")),
        ))),
        1 => Ok(found.remove(0)),
        several => {
            let ids: Vec<String> = found.iter().take(5).map(|(entity, id)| format!("{entity}:{id}")).collect();
            let ids = ids.join(", ");
            Err(Unreadable(say(
                format!("Hay {several} registros que se llaman «{name}»; escribe el identificador: {ids}."),
                format!("{several} records are called “{name}”; write the id: {ids}."),
            )))
        }
    }
}

/// Ids or names between commas; a name that has a comma itself is found when it stands alone.
fn links(to: &str, text: &str, targets: &dyn LinkTargets) -> Reading {
    let to = [to.to_owned()];
    if text.contains(',')
        && let Ok(whole) = link(&to, text, targets)
    {
        return Ok(json!([whole]));
    }
    list::items(text).map(|item| link(&to, item, targets)).collect()
}
