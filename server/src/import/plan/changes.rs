use crm::Fields;
use crm::model::{Entity, Field, FieldKind};
use crm::rules::{fold, normalise};
use serde_json::Value;

/// What a row's field is beside the stored one.
#[derive(Clone, Debug, PartialEq)]
pub enum Compared {
    /// The stored record says the same, or more of the same list.
    Same,
    /// The stored record has nothing there.
    Fills(Value),
    /// The stored record lacks members of the list: the list with them.
    Adds(Value),
    /// The stored record says something else.
    Differs(Value),
}

/// Compares one field of a row with the stored record. An import adds to lists and never takes from them, so that
/// importing one address book after another loses nobody's number.
#[must_use]
pub fn compare(entity: &Entity, name: &str, wanted: &Value, stored: &Fields) -> Compared {
    let Some(field) = entity.field(name) else { return Compared::Same };
    let Some(standing) = stored.get(name) else { return Compared::Fills(wanted.clone()) };
    if standing == wanted {
        return Compared::Same;
    }
    // What the record was found by is not rewritten for the file's capitals and accents.
    if let (Value::String(one), Value::String(other)) = (standing, wanted)
        && entity.import.keys.iter().flatten().any(|key| key == name)
        && fold(one) == fold(other)
    {
        return Compared::Same;
    }
    let (Value::Array(standing), Value::Array(members)) = (standing, wanted) else {
        return Compared::Differs(wanted.clone());
    };
    let mut all = standing.clone();
    for member in members {
        if !standing.iter().any(|other| is_same_member(field, other, member)) {
            all.push(member.clone());
        }
    }
    if all.len() == standing.len() {
        return Compared::Same;
    }
    match normalise(field, Value::Array(all)) {
        Ok(all) => Compared::Adds(all),
        // Too long, for instance: the writer says so in its own words.
        Err(_) => Compared::Differs(wanted.clone()),
    }
}

/// Whether two members of a list are one: labels and notation do not tell them apart.
fn is_same_member(field: &Field, one: &Value, other: &Value) -> bool {
    let same = |key: &str| one.get(key).is_some() && one.get(key) == other.get(key);
    match field.kind {
        FieldKind::Emails => same("address"),
        FieldKind::Phones => same("e164") || same("raw"),
        FieldKind::Addresses => {
            let keys = ["street", "postcode", "city", "region", "country"];
            keys.iter().all(|key| folded(one, key) == folded(other, key))
        }
        _ => one == other,
    }
}

fn folded(member: &Value, key: &str) -> String {
    fold(member.get(key).and_then(Value::as_str).unwrap_or_default())
}
