//! What a change must satisfy, and what follows from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crm::Fields;
use crm::expr::Variables;
use crm::model::{Entity, Level, Model, Overlay};
use crm::rules::{Findings, Gaps, Place, Viewer, check, derive, fill_defaults, reaches, sees, title};
use serde_json::{Value, json};
use uuid::Uuid;

const TODAY: Variables = Variables { today: 20_779, now_ms: 1_795_305_600_000, me: None };
const ACCOUNT: &str = "0198a3b2-0000-7000-8000-00000000000a";

fn core() -> Arc<Model> {
    Model::core()
}

fn opportunity() -> Entity {
    core().entities["opportunity"].clone()
}

fn fields(json: Value) -> Fields {
    serde_json::from_value(json).expect("an object")
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// `field code` of the errors, then of the warnings.
fn summary(findings: &Findings) -> (Vec<String>, Vec<String>) {
    let list = |findings: &[crm::rules::Finding]| {
        findings.iter().map(|finding| format!("{} {}", finding.field, finding.code)).collect()
    };
    (list(&findings.errors), list(&findings.warnings))
}

fn update(after: Value, changed: &[&str]) -> (Vec<String>, Vec<String>) {
    let after = fields(after);
    summary(&check(&opportunity(), Some(&after), &after, &names(changed), &TODAY, Gaps::Refuse))
}

#[test]
fn a_new_record_needs_what_is_required() {
    let after = fields(json!({"stage": "lost", "start_date": "2026-02-01", "close_date": "2026-01-01"}));
    let findings = check(&opportunity(), None, &after, &BTreeSet::new(), &TODAY, Gaps::Refuse);
    let (errors, warnings) = summary(&findings);
    assert_eq!(errors, ["name required", "account required", "close_reason required", "close_date rule"]);
    assert!(warnings.is_empty());
    assert!(!findings.is_ok());
    let reason = &findings.errors[2].message;
    assert_eq!(reason.es, "Indica «Motivo de cierre»: hace falta porque «Etapa» es «Perdida».");
    assert_eq!(reason.en, "Fill in “Close reason”: it is needed because “Stage” is “Lost”.");
}

#[test]
fn an_import_keeps_the_gaps_and_reports_them() {
    let after = fields(json!({"stage": "lost", "name": "1C1I7A6R"}));
    let findings = check(&opportunity(), None, &after, &BTreeSet::new(), &TODAY, Gaps::Keep);
    let (errors, warnings) = summary(&findings);
    assert!(errors.is_empty() && findings.is_ok());
    assert_eq!(warnings, ["account required", "close_reason required"]);
}

#[test]
fn a_stage_that_does_not_exist_is_never_kept() {
    let after = fields(json!({"stage": "engaging", "name": "x", "account": ACCOUNT}));
    let findings = check(&opportunity(), None, &after, &BTreeSet::new(), &TODAY, Gaps::Keep);
    assert_eq!(summary(&findings).0, ["stage stage"]);
    assert!(findings.errors[0].message.es.contains("prospecting, qualification"), "{findings:?}");
}

#[test]
fn requirements_bind_the_changes_that_name_them() {
    let won = json!({"name": "x", "stage": "won"});
    // An old gap does not stand in the way of other work.
    assert_eq!(update(won.clone(), &["next_step"]), (vec![], vec![]));
    // Clearing what is required is refused.
    assert_eq!(update(won.clone(), &["account"]).0, ["account required"]);
    // A stage asks for what it needs when the record comes to it, and when one of them is cleared.
    assert_eq!(update(won.clone(), &["stage"]).0, ["amount required", "close_date required"]);
    assert_eq!(update(won, &["amount"]).0, ["amount required"]);
    // A condition binds when the field changes, or what the condition names.
    let lost = json!({"name": "x", "stage": "lost"});
    assert_eq!(update(lost.clone(), &["stage"]).0, ["close_reason required"]);
    assert_eq!(update(lost.clone(), &["close_reason"]).0, ["close_reason required"]);
    assert_eq!(update(lost, &["amount"]).0, Vec::<String>::new());
}

#[test]
fn rules_bind_the_changes_that_name_them() {
    let dates = json!({"name": "x", "stage": "won", "start_date": "2026-02-01", "close_date": "2026-01-01"});
    assert_eq!(update(dates.clone(), &["next_step"]).0, Vec::<String>::new());
    assert_eq!(update(dates.clone(), &["start_date"]).0, ["start_date rule"]);
    assert_eq!(update(dates, &["close_date"]).0, ["close_date rule"]);
    // What is empty leaves a rule unbroken.
    assert_eq!(update(json!({"stage": "won", "close_date": "2026-01-01"}), &["close_date"]), (vec![], vec![]));
}

#[test]
fn an_open_deal_without_a_close_date_is_a_warning() {
    let open = json!({"name": "x", "stage": "prospecting"});
    assert_eq!(update(open, &["stage"]), (vec![], vec!["close_date rule".to_owned()]));
    let dated = json!({"name": "x", "stage": "prospecting", "close_date": "2026-12-01"});
    assert_eq!(update(dated, &["stage"]), (vec![], vec![]));
}

fn filled(entity: &str, json: Value) -> Fields {
    let model = core();
    let entity = &model.entities[entity];
    let mut record = fields(json);
    fill_defaults(entity, &mut record, &TODAY);
    derive(entity, &mut record, &TODAY);
    record
}

#[test]
fn a_new_record_starts_with_its_defaults() {
    let deal = filled("opportunity", json!({"external_id": "1C1I7A6R"}));
    assert_eq!(deal["name"], "1C1I7A6R");
    assert_eq!(deal["stage"], "prospecting");
    assert_eq!(deal["probability"], 10);
    assert!(!deal.contains_key("weighted"), "without an amount there is nothing to weigh");
    let kept = filled("opportunity", json!({"external_id": "1C1I7A6R", "name": "Robots", "stage": "proposal"}));
    assert_eq!((&kept["name"], &kept["stage"]), (&json!("Robots"), &json!("proposal")));
    assert_eq!(filled("activity", json!({}))["status"], "planned");
    assert_eq!(filled("activity", json!({"type": "note"}))["status"], "done");
    assert_eq!(filled("user", json!({}))["active"], true);
}

#[test]
fn a_person_is_called_by_the_names_that_are_known() {
    for (known, name) in [
        (json!({"first_name": "Ana", "last_name": "Peña"}), Some("Ana Peña")),
        (json!({"last_name": "Peña"}), Some("Peña")),
        (json!({"first_name": "Ana", "name": "Ana P."}), Some("Ana P.")),
        (json!({}), None),
    ] {
        let contact = filled("contact", known.clone());
        assert_eq!(contact.get("name").and_then(Value::as_str), name, "{known}");
    }
}

#[test]
fn what_is_derived_follows_its_sources() {
    let entity = opportunity();
    let mut deal = fields(json!({
        "stage": "proposal", "amount": {"minor": 10_001, "currency": "EUR"}, "cost": {"minor": 4_000, "currency": "EUR"}
    }));
    assert_eq!(derive(&entity, &mut deal, &TODAY), ["margin", "probability", "weighted"]);
    assert_eq!(deal["probability"], 50);
    assert_eq!(deal["weighted"], json!({"minor": 5_001, "currency": "EUR"}));
    assert_eq!(deal["margin"], json!({"minor": 6_001, "currency": "EUR"}));
    assert!(derive(&entity, &mut deal, &TODAY).is_empty(), "nothing changed since");

    deal.insert("own_probability".into(), 0.into());
    assert_eq!(derive(&entity, &mut deal, &TODAY), ["probability", "weighted"]);
    assert_eq!(deal["weighted"]["minor"], 0, "a probability of zero is a probability");

    deal.insert("stage".into(), "won".into());
    derive(&entity, &mut deal, &TODAY);
    assert_eq!(deal["weighted"]["minor"], 10_001, "what is won is certain, whatever was thought before");

    deal.remove("amount");
    assert_eq!(derive(&entity, &mut deal, &TODAY), ["margin", "weighted"]);
    assert!(!deal.contains_key("weighted"));
}

#[test]
fn a_sum_that_grows_too_large_is_empty_and_harms_nothing() {
    let mut deal = fields(json!({
        "stage": "won", "amount": {"minor": 9_007_199_254_740_991_i64, "currency": "EUR"},
        "cost": {"minor": -9_007_199_254_740_991_i64, "currency": "EUR"}
    }));
    derive(&opportunity(), &mut deal, &TODAY);
    assert!(!deal.contains_key("margin"));
}

#[test]
fn a_rule_that_cannot_be_computed_says_why_in_each_language() {
    let yaml = "
entity: opportunity
fields:
  parts: {type: integer, labels: {es: Partes, en: Parts}}
rules:
  - {id: shares, valid_if: \"100 / parts > 1\", message: {es: Demasiadas partes., en: Too many parts.}}
";
    let overlay = Overlay { name: "tenant.yaml".to_owned(), yaml: yaml.to_owned() };
    let model = Model::build(&[overlay]).unwrap_or_else(|problems| panic!("{problems}"));
    let after = fields(json!({"name": "Faro", "account": ACCOUNT, "stage": "prospecting", "parts": 0}));
    let findings =
        check(&model.entities["opportunity"], Some(&after), &after, &names(&["parts"]), &TODAY, Gaps::Refuse);
    let [finding] = findings.errors.as_slice() else { panic!("one rule fails: {findings:?}") };
    assert_eq!(finding.code, "expression");
    assert!(finding.message.es.contains("(hay una división por cero)"), "{finding:?}");
    assert!(finding.message.en.contains("(there is a division by zero)"), "{finding:?}");
}

#[test]
fn a_right_reaches_as_far_as_its_level() {
    let id = Uuid::from_u128;
    let viewer = Viewer { user: id(1), role: "sales_rep".into(), teams: vec![id(10)], territories: vec![id(20)] };
    let place = |owner, team, territory| Place {
        owner: Some(id(owner)).filter(|_| owner > 0),
        team: Some(id(team)).filter(|_| team > 0),
        territory: Some(id(territory)).filter(|_| territory > 0),
        shared: vec![],
    };
    let levels = [Level::None, Level::Shared, Level::Own, Level::Team, Level::Territory, Level::All];
    for (place, reached) in [
        (place(0, 0, 0), [false, false, true, true, true, true]),
        (place(1, 11, 21), [false, false, true, true, true, true]),
        (place(2, 10, 20), [false, false, false, true, true, true]),
        (place(2, 11, 20), [false, false, false, false, true, true]),
        (place(2, 11, 21), [false, false, false, false, false, true]),
        (place(0, 0, 21), [false, false, false, false, false, true]),
    ] {
        assert_eq!(levels.map(|level| reaches(level, &viewer, &place)), reached, "{place:?}");
    }
    let record = fields(json!({"owner": id(1).to_string(), "team": "not an id"}));
    assert_eq!(Place::of(&record), place(1, 0, 0));
    assert!(Place::of(&fields(json!({"name": "x"}))).is_open());
}

#[test]
fn a_share_shows_a_record_at_every_level_but_none_and_lets_nobody_change_it() {
    let id = |n| Uuid::from_u128(n).to_string();
    let viewer = Viewer {
        user: Uuid::from_u128(1),
        role: "sales_rep".into(),
        teams: vec![Uuid::from_u128(10)],
        territories: vec![],
    };
    let levels = [Level::None, Level::Shared, Level::Own, Level::Team, Level::Territory, Level::All];
    for (shares, is_shown) in [
        (json!({"shared_with": [id(2), id(1)]}), true),
        (json!({"shared_with_teams": [id(10)]}), true),
        (json!({"shared_with": [id(2)], "shared_with_teams": [id(11)]}), false),
    ] {
        let mut record = fields(json!({"owner": id(3), "team": id(12)}));
        record.extend(fields(shares));
        let place = Place::of(&record);
        let all = levels.map(|level| sees(level, &viewer, &place));
        assert_eq!(all, [false, is_shown, is_shown, is_shown, is_shown, true], "{place:?}");
        let all = levels.map(|level| reaches(level, &viewer, &place));
        assert_eq!(all, [false, false, false, false, false, true], "{place:?}");
    }
    let open = Place::of(&fields(json!({"name": "x"})));
    assert!(!sees(Level::Shared, &viewer, &open), "what is nobody's is not shared with anybody");
}

#[test]
fn a_record_is_called_by_its_title_else_by_its_number() {
    let entity = opportunity();
    assert_eq!(title(&entity, &fields(json!({"name": "Robots", "number": "OP-1"}))), "Robots");
    assert_eq!(title(&entity, &fields(json!({"number": "OP-1", "external_id": "X"}))), "OP-1");
    assert_eq!(title(&entity, &fields(json!({"external_id": "X"}))), "X");
    assert_eq!(title(&entity, &Fields::new()), "");
}
