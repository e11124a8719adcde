use proptest::prelude::*;
use serde_json::{Value, json};

use super::normalise;
use crate::model::{Accept, EnumOption, Field, FieldKind, Label};

/// The first and the last millisecond that an instant may have: of the years 1 and 9999.
const FIRST_MS: i64 = -62_135_596_800_000;
const LAST_MS: i64 = 253_402_300_799_999;

fn field(kind: &FieldKind) -> Field {
    let mut json = serde_json::to_value(kind).expect("kinds serialize");
    json["name"] = "field".into();
    json["labels"] = json!({ "es": "Campo", "en": "Field" });
    serde_json::from_value(json).expect("a name, labels and a kind make a field")
}

fn file(digit: &str, name: &str) -> Value {
    json!({"hash": digit.repeat(64), "name": name, "size": 3, "type": "application/pdf"})
}

fn every_kind() -> Vec<FieldKind> {
    let option = |key: &str| EnumOption { key: key.to_owned(), labels: Label { es: key.into(), en: key.into() } };
    vec![
        FieldKind::Text { max: 40 },
        FieldKind::LongText,
        FieldKind::Integer { min: Some(-5), max: None },
        FieldKind::Decimal { scale: 2 },
        FieldKind::Percent,
        FieldKind::Boolean,
        FieldKind::Money,
        FieldKind::Date,
        FieldKind::Datetime,
        FieldKind::Enum { options: vec![option("a"), option("b")] },
        FieldKind::Enums { options: vec![option("a"), option("b")] },
        FieldKind::Link { to: vec!["account".into()] },
        FieldKind::Link { to: vec!["account".into(), "lead".into()] },
        FieldKind::Links { to: "contact".into() },
        FieldKind::Stage { pipeline: "sales".into(), history: None },
        FieldKind::Email,
        FieldKind::Emails,
        FieldKind::Phones,
        FieldKind::Addresses,
        FieldKind::Url,
        FieldKind::Tags,
        FieldKind::Number,
        FieldKind::Log,
        FieldKind::Blob { max: 1_000, accept: Accept::Images },
        FieldKind::Blobs { max: 1_000, accept: Accept::Any },
    ]
}

#[test]
fn each_kind_has_one_form() {
    let id = "0198A3B2-0000-7000-8000-00000000000A";
    let small_id = id.to_lowercase();
    let options = || every_kind()[10].clone();
    for (kind, written, stored) in [
        (FieldKind::Text { max: 9 }, json!("  Peña\n SL "), json!("Peña  SL")),
        (FieldKind::Text { max: 9 }, json!("n\u{303}"), json!("ñ")),
        (FieldKind::Text { max: 9 }, json!(" \t"), Value::Null),
        (FieldKind::LongText, json!("\r\nuno\r\ndos \u{7}\n\n"), json!("uno\ndos")),
        (FieldKind::Integer { min: None, max: None }, json!(0), json!(0)),
        (
            FieldKind::Money,
            json!({"currency": " eur ", "minor": -5, "note": 1}),
            json!({"minor": -5, "currency": "EUR"}),
        ),
        (FieldKind::Date, json!(" 2024-02-29 "), json!("2024-02-29")),
        (options(), json!(["b", "a", "b"]), json!(["a", "b"])),
        (options(), json!([]), Value::Null),
        (FieldKind::Link { to: vec!["account".into()] }, json!(id), json!(small_id)),
        (FieldKind::Link { to: vec!["account".into()] }, json!(id.replace('-', "")), json!(small_id)),
        (
            FieldKind::Link { to: vec!["account".into(), "lead".into()] },
            json!({"id": id, "entity": "lead"}),
            json!({"entity": "lead", "id": small_id}),
        ),
        (FieldKind::Links { to: "contact".into() }, json!([id, small_id]), json!([small_id])),
        (FieldKind::Email, json!(" Ana@Empresa.ES "), json!("ana@empresa.es")),
        (FieldKind::Email, json!(""), Value::Null),
        (FieldKind::Url, json!("www.Company.com/Path"), json!("https://www.company.com/Path")),
        (FieldKind::Url, json!("HTTP://User@Host:80?q=A"), json!("http://User@host:80?q=A")),
        (FieldKind::Tags, json!([" vip ", "vip", "", "ask"]), json!(["ask", "vip"])),
        (
            FieldKind::Emails,
            json!([{"address": "A@b.c", "label": " work "}, {"address": "a@b.c"}, {"address": " "}]),
            json!([{"address": "a@b.c", "label": "work"}]),
        ),
        (
            FieldKind::Phones,
            json!([{"raw": "(905) 555-1234"}, {"e164": "+34612345678", "label": "m"}, {"raw": "612 345 678", "e164": "+34612345678"}]),
            json!([{"raw": "(905) 555-1234"}, {"raw": "+34612345678", "e164": "+34612345678", "label": "m"}]),
        ),
        (
            FieldKind::Addresses,
            json!([{"street": "Street 4\nBuilding 6", "country": "us", "lat": 404_000_000}, {"lat": 1, "label": "x"}]),
            json!([{"street": "Street 4, Building 6", "country": "US", "lat": 404_000_000}]),
        ),
        (
            FieldKind::Blob { max: 9, accept: Accept::Images },
            json!({"type": " Image/PNG", "name": "C:\\fotos\\\u{202e}Ana.png", "size": 9, "hash": "0F".repeat(32), "x": 1}),
            json!({"hash": "0f".repeat(32), "name": "Ana.png", "size": 9, "type": "image/png"}),
        ),
        (
            FieldKind::Blobs { max: 9, accept: Accept::Any },
            json!([file("b", "/tmp/plan.pdf"), file("a", "x.pdf"), file("b", "plan.pdf")]),
            json!([file("a", "x.pdf"), file("b", "plan.pdf")]),
        ),
        (FieldKind::Log, json!([{"at": 5, "text": "uno "}, {"at": 6, "text": ""}]), json!([{"at": 5, "text": "uno"}])),
    ] {
        let found = normalise(&field(&kind), written.clone());
        assert_eq!(found.as_ref(), Ok(&stored), "{kind:?} from {written}");
    }
}

#[test]
fn what_is_no_value_is_refused_with_its_place() {
    let two = || FieldKind::Link { to: vec!["account".into(), "lead".into()] };
    for (kind, written, place, code) in [
        (FieldKind::Text { max: 3 }, json!("four"), "field", "too-long"),
        (FieldKind::Text { max: 3 }, json!(4), "field", "type"),
        (FieldKind::Integer { min: Some(1), max: Some(5) }, json!(6), "field", "range"),
        (FieldKind::Integer { min: None, max: None }, json!(1.5), "field", "type"),
        (FieldKind::Integer { min: None, max: None }, json!(9_007_199_254_740_992_i64), "field", "range"),
        (FieldKind::Integer { min: None, max: None }, json!(u64::MAX), "field", "type"),
        (FieldKind::Percent, json!(101), "field", "range"),
        (FieldKind::Boolean, json!("true"), "field", "type"),
        (FieldKind::Money, json!({"minor": 1.5, "currency": "EUR"}), "field", "type"),
        (FieldKind::Money, json!({"minor": 1, "currency": "euros"}), "field", "format"),
        (FieldKind::Date, json!("2023-02-29"), "field", "type"),
        (FieldKind::Date, json!("22/11/2026"), "field", "type"),
        (FieldKind::Date, json!("+026-11-22"), "field", "type"),
        (FieldKind::Date, json!("0000-12-31"), "field", "type"),
        (FieldKind::Date, json!("10000-01-01"), "field", "type"),
        (FieldKind::Datetime, json!(i64::MAX), "field", "type"),
        (FieldKind::Datetime, json!(FIRST_MS - 1), "field", "type"),
        (FieldKind::Datetime, json!(LAST_MS + 1), "field", "type"),
        (every_kind()[9].clone(), json!("c"), "field", "option"),
        (every_kind()[10].clone(), json!(["a", "c"]), "field[1]", "option"),
        (two(), json!("0198a3b2-0000-7000-8000-00000000000a"), "field", "type"),
        (two(), json!({"entity": "user", "id": "0198a3b2-0000-7000-8000-00000000000a"}), "field", "type"),
        (FieldKind::Links { to: "contact".into() }, json!(["x"]), "field[0]", "type"),
        (FieldKind::Email, json!("ana"), "field", "format"),
        (FieldKind::Email, json!("Ana <ana@empresa.es>"), "field", "format"),
        (FieldKind::Url, json!("ftp://company.com"), "field", "format"),
        (FieldKind::Url, json!("javascript:alert(1)"), "field", "format"),
        (FieldKind::Url, json!("https://"), "field", "format"),
        (FieldKind::Emails, json!([{"address": "a@b.c"}, {"address": "x"}]), "field[1].address", "format"),
        (FieldKind::Phones, json!([{"raw": "1", "e164": "612"}]), "field[0].e164", "format"),
        (FieldKind::Addresses, json!([{"city": "x", "lat": 900_000_001}]), "field[0].lat", "range"),
        (FieldKind::Tags, json!("vip"), "field", "type"),
        (FieldKind::Blob { max: 9, accept: Accept::Any }, json!({"hash": "0f"}), "field", "type"),
        (FieldKind::Blob { max: 2, accept: Accept::Any }, file("a", "x.pdf"), "field.size", "too-large"),
        (FieldKind::Blob { max: 9, accept: Accept::Images }, file("a", "x.pdf"), "field.type", "file-type"),
        (FieldKind::Blob { max: 9, accept: Accept::Any }, file("a", "x/.."), "field.name", "format"),
        (
            FieldKind::Blobs { max: 9, accept: Accept::Any },
            json!([file("a", "x.pdf"), file("b", "")]),
            "field[1].name",
            "format",
        ),
        (FieldKind::Tags, json!(["vip", 3]), "field[1]", "type"),
        (FieldKind::Log, json!([{"text": "no time"}]), "field[0].at", "type"),
        (FieldKind::Log, json!([{"at": LAST_MS + 1, "text": "too late"}]), "field[0].at", "type"),
    ] {
        let finding = normalise(&field(&kind), written.clone()).expect_err("it is refused");
        assert_eq!((finding.field.as_str(), finding.code), (place, code), "{kind:?} from {written}");
        assert!(finding.message.es.contains("«Campo»") && finding.message.en.contains("“Field”"), "{finding:?}");
    }
}

#[test]
fn the_first_and_the_last_year_have_all_their_days() {
    for (kind, value) in [
        (FieldKind::Date, json!("0001-01-01")),
        (FieldKind::Date, json!("9999-12-31")),
        (FieldKind::Datetime, json!(FIRST_MS)),
        (FieldKind::Datetime, json!(LAST_MS)),
        (FieldKind::Log, json!([{"at": FIRST_MS, "text": "first"}, {"at": LAST_MS, "text": "last"}])),
    ] {
        assert_eq!(normalise(&field(&kind), value.clone()).as_ref(), Ok(&value));
    }
}

#[test]
fn the_null_character_is_refused_wherever_a_value_holds_a_text() {
    for (kind, written) in [
        (FieldKind::Text { max: 9 }, json!("a\0b")),
        (FieldKind::LongText, json!("\0")),
        (FieldKind::Stage { pipeline: "sales".into(), history: None }, json!("won\0")),
        (FieldKind::Email, json!("ana@empresa.es\0")),
        (FieldKind::Url, json!("https://empresa.es/\0")),
        (FieldKind::Tags, json!(["vip", "a\0"])),
        (FieldKind::Emails, json!([{"address": "a@b.c", "label": "\0"}])),
        (FieldKind::Phones, json!([{"raw": "612\0"}])),
        (FieldKind::Addresses, json!([{"city": "\0León"}])),
        (FieldKind::Log, json!([{"at": 5, "text": "uno\0"}])),
    ] {
        let finding = normalise(&field(&kind), written.clone()).expect_err("it is refused");
        assert_eq!((finding.field.as_str(), finding.code), ("field", "format"), "{kind:?} from {written}");
        let Label { es, en } = &finding.message;
        assert!(es.contains("«Campo»") && es.contains("carácter nulo") && en.contains("null character"), "{finding:?}");
    }
}

#[test]
fn null_is_empty_for_every_kind() {
    for kind in every_kind() {
        assert_eq!(normalise(&field(&kind), Value::Null), Ok(Value::Null));
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,12}",
        "[a-z]{1,3}@[A-Z]{1,3}\\.[a-z]{2}",
        "(https?://|www\\.)[A-Za-z.]{1,9}/?\\PC{0,3}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "[ab]",
        Just("0198A3B2-0000-7000-8000-00000000000A".to_owned()),
        "\\+[1-9][0-9]{5,9}",
        Just("0F".repeat(32)),
        Just("image/png".to_owned()),
        "[a-z/\\\\.]{1,9}",
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-200_i64..200).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "minor", "currency", "address", "raw", "e164", "label", "street", "city", "country", "lat", "lon", "entity",
        "id", "at", "text", "hash", "name", "size", "type",
    ]);
    let object = move |leaf: BoxedStrategy<Value>| {
        prop::collection::btree_map(key.clone().prop_map(str::to_owned), leaf, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    };
    let leaf = leaf.boxed();
    let member = prop_oneof![leaf.clone(), object(leaf.clone())].boxed();
    prop_oneof![leaf.clone(), object(leaf), prop::collection::vec(member, 0..4).prop_map(Value::Array)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn normalising_twice_is_normalising_once(value in any_value(), at in 0_usize..25) {
        let field = field(&every_kind()[at]);
        if let Ok(once) = normalise(&field, value) {
            prop_assert_eq!(normalise(&field, once.clone()), Ok(once));
        }
    }
}
