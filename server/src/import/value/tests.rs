use crm::model::{Field, FieldKind, Model};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::read::{Cell, DateOrder, DecimalMark};
use super::{Locale, Part, country_of, parse, part_of};

fn locale() -> Locale {
    Locale { currency: "EUR".into(), country: country_of("ES"), decimal: None, order: None }
}

fn field(entity: &str, name: &str) -> Field {
    Model::core().entity(entity).and_then(|entity| entity.field(name)).expect("a field of the core model").clone()
}

fn of(entity: &str, name: &str, text: &str) -> Result<Value, &'static str> {
    parse(&field(entity, name), &Cell::text(text), &locale()).map_err(|trouble| trouble.code)
}

fn revenue(text: &str, decimal: Option<DecimalMark>) -> Result<Value, &'static str> {
    let locale = Locale { decimal, ..locale() };
    parse(&field("account", "revenue"), &Cell::text(text), &locale).map_err(|trouble| trouble.code)
}

#[test]
fn amounts_are_read_as_spaniards_and_others_write_them() {
    for (text, minor, currency) in [
        ("1100.04", 110_004, "EUR"),
        ("1.100,04", 110_004, "EUR"),
        ("1,100.04", 110_004, "EUR"),
        ("1 100,04 €", 110_004, "EUR"),
        ("1.100", 110_000, "EUR"),
        ("1,100", 110_000, "EUR"),
        ("12,5", 1_250, "EUR"),
        ("$550", 55_000, "USD"),
        ("USD 1,234,567.5", 123_456_750, "USD"),
        ("-3,00 GBP", -300, "GBP"),
        ("(12.00)", -1_200, "EUR"),
        ("1'234'567 CHF", 123_456_700, "CHF"),
        ("¥1,500", 1_500, "JPY"),
        ("0", 0, "EUR"),
    ] {
        assert_eq!(revenue(text, None), Ok(json!({"minor": minor, "currency": currency})), "{text}");
    }
    for text in ["abc", "1.2.3", "12,34,5", "1.100,04,1", "€", "1,2.3,4", "99999999999999999999"] {
        assert_eq!(revenue(text, None), Err("not-a-number"), "{text}");
    }
    assert_eq!(revenue("12.345678", None), Err("too-precise"));
}

#[test]
fn a_decimal_mark_that_is_known_settles_what_could_be_two_things() {
    assert_eq!(revenue("1.100", Some(DecimalMark::Point)), Ok(json!({"minor": 110, "currency": "EUR"})));
    assert_eq!(revenue("1,234", Some(DecimalMark::Point)), Ok(json!({"minor": 123_400, "currency": "EUR"})));
    assert_eq!(revenue("1.234", Some(DecimalMark::Comma)), Ok(json!({"minor": 123_400, "currency": "EUR"})));
    assert_eq!(revenue("1.234,50", Some(DecimalMark::Point)), Err("not-a-number"));
}

#[test]
fn an_amount_takes_its_currency_from_another_column() {
    let field = field("account", "revenue");
    assert_eq!(part_of(&field, "currency"), Some(Part::Currency));
    let amount = Part::amount(&field, &Cell::Number("12.5".into()), "usd", &locale()).expect("an amount");
    assert_eq!(amount, json!({"minor": 1250, "currency": "USD"}));
}

#[test]
fn dates_are_read_in_the_order_of_the_column() {
    for text in ["2026-12-31", "31/12/2026", "31-12-2026", "31.12.2026", "20261231", "2026-12-31 10:30"] {
        assert_eq!(of("opportunity", "close_date", text), Ok(json!("2026-12-31")), "{text}");
    }
    let month_first = Locale { order: Some(DateOrder::MonthFirst), ..locale() };
    let field = field("opportunity", "close_date");
    assert_eq!(parse(&field, &Cell::text("12/31/2026"), &month_first), Ok(json!("2026-12-31")));
    for text in ["31/12/26", "2026-02-30", "31/31/2026", "tomorrow", "12"] {
        assert_eq!(of("opportunity", "close_date", text), Err("not-a-date"), "{text}");
    }
}

#[test]
fn instants_without_a_zone_are_utc() {
    for text in ["1970-01-02", "02/01/1970", "1970-01-02T00:00:00Z", "1970-01-02 00:00", "1970-01-02T02:00:00+02:00"] {
        assert_eq!(of("account", "created_on", text), Ok(json!(86_400_000)), "{text}");
    }
}

#[test]
fn options_and_truth_are_read_by_key_or_label() {
    assert_eq!(of("account", "kind", "CLIENTE"), Ok(json!("customer")));
    assert_eq!(of("account", "kind", "customer"), Ok(json!("customer")));
    assert_eq!(of("account", "kind", "alien"), Err("unknown-option"));
    for (text, value) in [("Sí", true), ("yes", true), ("NO", false), ("0", false)] {
        assert_eq!(of("product", "active", text), Ok(json!(value)), "{text}");
    }
    assert_eq!(of("product", "active", "perhaps"), Err("not-a-boolean"));
}

#[test]
fn phones_get_their_international_form_where_they_have_one() {
    assert_eq!(
        of("contact", "phones", "600 11 12 22 (work); 123; +44 20 7946 0958"),
        Ok(json!([
            {"e164": "+34600111222", "label": "work", "raw": "600 11 12 22"},
            {"raw": "123"},
            {"e164": "+442079460958", "raw": "+44 20 7946 0958"},
        ]))
    );
    assert_eq!(
        of("contact", "phones", "(905) 555-1234"),
        Ok(json!([{"raw": "(905) 555-1234"}])),
        "no number of Spain keeps its raw text"
    );
}

#[test]
fn several_columns_feed_one_list_and_one_address() {
    let (phones, addresses) = (field("contact", "phones"), field("contact", "addresses"));
    let work = part_of(&phones, "work").expect("a part");
    let first = work.lay(&phones, &Cell::text("600111222"), None, &locale()).expect("a value");
    let both = Part::Whole.lay(&phones, &Cell::text("123"), Some(&first), &locale()).expect("a value");
    assert_eq!(both, json!([{"e164": "+34600111222", "label": "work", "raw": "600111222"}, {"raw": "123"}]));
    let mut address = None;
    for (part, text) in [("street", "Mayor 1"), ("city", "Madrid"), ("country", "es")] {
        let part = part_of(&addresses, part).expect("a part");
        address = Some(part.lay(&addresses, &Cell::text(text), address.as_ref(), &locale()).expect("a value"));
    }
    assert_eq!(address, Some(json!([{"street": "Mayor 1", "city": "Madrid", "country": "ES"}])));
}

#[test]
fn a_number_in_a_text_field_stays_as_it_is_shown() {
    let name = field("account", "name");
    assert_eq!(parse(&name, &Cell::Number("3".into()), &locale()), Ok(json!("3")));
    let failed = parse(&name, &Cell::Failed("#DIV/0!".into()), &locale());
    assert_eq!(failed.map_err(|trouble| trouble.code), Err("failed-formula"));
}

proptest! {
    #[test]
    fn no_text_makes_any_field_panic(text in "\\PC{0,40}", digits in "[-+(]?[0-9.,' ]{0,24}[)%€$A-Z]{0,4}") {
        for entity in Model::core().entities.values() {
            for field in entity.fields.values() {
                for text in [&text, &digits] {
                    if let Ok(value) = parse(field, &Cell::text(text), &locale()) {
                        // What was read is in stored form: normalising it again changes nothing.
                        if !matches!(field.kind, FieldKind::Link { .. } | FieldKind::Links { .. }) {
                            prop_assert_eq!(crm::rules::normalise(field, value.clone()).ok(), Some(value));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_amount_is_read_back_in_both_notations(minor in -9_999_999_999_i64..9_999_999_999) {
        let (sign, whole, cents) = (if minor < 0 { "-" } else { "" }, minor.abs() / 100, minor.abs() % 100);
        let grouped = |mark: &str| {
            let digits = whole.to_string();
            let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev()
                .map(|group| std::str::from_utf8(group).expect("digits")).collect();
            groups.join(mark)
        };
        for text in [format!("{sign}{whole}.{cents:02}"), format!("{sign}{},{cents:02}", grouped(".")), format!("{sign}{}.{cents:02}", grouped(","))] {
            prop_assert_eq!(revenue(&text, None), Ok(json!({"minor": minor, "currency": "EUR"})), "{}", text);
        }
    }
}
