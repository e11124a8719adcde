//! What a person types for each kind of field is what the record holds, and what she reads she can type again.

use cartera_client::value::{LinkTargets, Surroundings, Titles, read, show};
use crm::model::{Entity, Field, Language, Model};
use crm::rules::{fold, normalise};
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use uuid::Uuid;

/// 2026-11-22.
const TODAY: i64 = 20_779;

/// Two people of one name, an account with a comma in its name, and a lead.
struct World;

const PEOPLE: [(&str, &str, u128); 4] =
    [("account", "Ácme, S.L.", 1), ("contact", "Ana Gil", 2), ("contact", "Ana Gil", 3), ("lead", "Luz", 4)];

impl LinkTargets for World {
    fn named(&self, entity: &str, wanted: &str) -> Vec<RecordId> {
        let named = PEOPLE.iter().filter(|(kind, name, _)| *kind == entity && fold(name) == fold(wanted));
        named.map(|(_, _, number)| id(*number)).collect()
    }

    fn entity_of(&self, wanted: RecordId) -> Option<String> {
        let known = PEOPLE.iter().find(|(_, _, number)| id(*number) == wanted);
        known.map(|(entity, _, _)| (*entity).to_owned())
    }
}

impl Titles for World {
    fn title(&self, wanted: &str) -> Option<String> {
        let known = PEOPLE.iter().find(|(_, _, number)| id(*number).to_string() == wanted);
        known.map(|(_, name, _)| (*name).to_owned())
    }
}

fn id(number: u128) -> RecordId {
    RecordId(Uuid::from_u128(number))
}

/// An entity with a field of every kind.
fn every_kind() -> Entity {
    let kinds = json!({
        "text": {"type": "text", "max": 20},
        "long_text": {"type": "long_text"},
        "integer": {"type": "integer"},
        "decimal": {"type": "decimal", "scale": 3},
        "percent": {"type": "percent"},
        "boolean": {"type": "boolean"},
        "money": {"type": "money"},
        "date": {"type": "date"},
        "datetime": {"type": "datetime"},
        "enum": {"type": "enum", "options": options()},
        "enums": {"type": "enums", "options": options()},
        "link": {"type": "link", "to": ["account"]},
        "any_link": {"type": "link", "to": ["account", "contact", "lead"]},
        "links": {"type": "links", "to": "account"},
        "stage": {"type": "stage", "pipeline": "sales"},
        "email": {"type": "email"},
        "emails": {"type": "emails"},
        "phones": {"type": "phones"},
        "addresses": {"type": "addresses"},
        "url": {"type": "url"},
        "tags": {"type": "tags"},
        "number": {"type": "number"},
        "log": {"type": "log"},
    });
    let mut entity = Model::core().entity("opportunity").expect("is in the core model").clone();
    entity.fields.clear();
    for (name, kind) in kinds.as_object().expect("an object") {
        let mut field = kind.clone();
        field["name"] = json!(name);
        field["labels"] = json!({"es": name, "en": name});
        let field: Field = serde_json::from_value(field).expect("is a field");
        entity.fields.insert(name.clone(), field);
    }
    entity
}

fn options() -> Value {
    json!([
        {"key": "phone", "labels": {"es": "Teléfono", "en": "Phone"}},
        {"key": "email", "labels": {"es": "Correo", "en": "E-mail"}},
    ])
}

fn typed(entity: &Entity, name: &str, text: &str) -> Option<Value> {
    let field = entity.field(name).expect("is a field of the test");
    let around = Surroundings {
        today: TODAY,
        now_ms: 7,
        current: None,
        pipeline: entity.pipelines.get("sales"),
        targets: &World,
    };
    read(field, text, &around).ok().and_then(|value| normalise(field, value).ok())
}

#[test]
fn every_kind_can_be_typed() {
    let entity = every_kind();
    let cases = [
        ("text", " Acme SL ", json!("Acme SL")),
        ("long_text", "a\nb", json!("a\nb")),
        ("integer", "-42", json!(-42)),
        ("decimal", "1.5", json!(1500)),
        ("percent", "75 %", json!(75)),
        ("boolean", "sí", json!(true)),
        ("boolean", "no", json!(false)),
        ("money", "1234.56 EUR", json!({"currency": "EUR", "minor": 123_456})),
        ("date", "today", json!("2026-11-22")),
        ("datetime", "2026-11-22T10:30+01:00", json!(1_795_339_800_000_i64)),
        ("datetime", "now", json!(7)),
        ("enum", "teléfono", json!("phone")),
        ("enums", "E-mail, phone", json!(["email", "phone"])),
        ("link", "acme, s.l.", json!(id(1))),
        ("link", "00000000-0000-0000-0000-000000000009", json!(id(9))),
        ("any_link", "luz", json!({"entity": "lead", "id": id(4)})),
        ("any_link", "00000000-0000-0000-0000-000000000002", json!({"entity": "contact", "id": id(2)})),
        ("any_link", "lead:00000000-0000-0000-0000-000000000009", json!({"entity": "lead", "id": id(9)})),
        ("links", "Ácme, S.L.", json!([id(1)])),
        ("stage", "Propuesta", json!("proposal")),
        ("email", "Ana@Example.COM", json!("ana@example.com")),
        ("emails", "a@b.es, c@d.es (home)", json!([{"address": "a@b.es"}, {"address": "c@d.es", "label": "home"}])),
        ("phones", "600 12 (mobile)", json!([{"raw": "600 12", "label": "mobile"}])),
        ("addresses", "Mayor 3;;Madrid;;es", json!([{"street": "Mayor 3", "city": "Madrid", "country": "ES"}])),
        ("url", "https://acme.es", json!("https://acme.es")),
        ("tags", "vip, fair", json!(["fair", "vip"])),
        ("number", "OP-1", json!("OP-1")),
        ("log", "called", json!([{"at": 7, "text": "called"}])),
    ];
    for (name, text, value) in &cases {
        assert_eq!(typed(&entity, name, text).as_ref(), Some(value), "{name}={text}");
    }
    for name in entity.fields.keys() {
        assert!(cases.iter().any(|(tried, _, _)| tried == name), "{name} is not tried");
    }
}

#[test]
fn what_is_no_value_is_refused() {
    let entity = every_kind();
    let cases = [
        ("text", "a text that is much longer than twenty characters"),
        ("integer", "4.2"),
        ("decimal", "1.2345"),
        ("percent", "101"),
        ("boolean", "maybe"),
        ("money", "1,5 EUR"),
        ("date", "2026-02-30"),
        ("datetime", "soon"),
        ("enum", "fax"),
        ("enums", "phone, fax"),
        ("link", "Nobody"),
        ("any_link", "Ana Gil"),
        ("any_link", "00000000-0000-0000-0000-000000000009"),
        ("links", "Nobody"),
        ("stage", "nowhere"),
        ("email", "nobody"),
        ("emails", "[{\"address\": 1}]"),
        ("phones", "[1]"),
        ("addresses", "[broken"),
        ("url", "acme"),
    ];
    for (name, text) in cases {
        assert_eq!(typed(&entity, name, text), None, "{name}={text}");
    }
}

#[test]
fn what_is_shown_can_be_typed_again() {
    let entity = every_kind();
    let cases = [
        ("decimal", "1.500"),
        ("percent", "75 %"),
        ("boolean", "sí"),
        ("money", "-0.05 EUR"),
        ("date", "2026-11-22"),
        ("datetime", "2026-11-22T09:30:00Z"),
        ("enum", "Teléfono"),
        ("enums", "Correo, Teléfono"),
        ("link", "Ácme, S.L."),
        ("any_link", "Luz"),
        ("stage", "Propuesta"),
        ("emails", "a@b.es, c@d.es (home)"),
        ("phones", "600 12 (mobile)"),
        ("tags", "fair, vip"),
        ("addresses", "Mayor 3; Madrid"),
    ];
    for (name, text) in cases {
        let value = typed(&entity, name, text).expect(name);
        let field = entity.field(name).expect("is a field of the test");
        assert_eq!(show(&entity, field, &value, &World, Language::Es), text, "{name}");
    }
}

#[test]
fn a_value_of_an_unknown_shape_is_shown_raw() {
    let entity = every_kind();
    let field = entity.field("money").expect("is a field of the test");
    assert_eq!(show(&entity, field, &json!({"cents": 1}), &World, Language::En), "{\"cents\":1}");
}
