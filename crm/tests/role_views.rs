//! What one role may know of the model.

use crm::model::{Level, Model, Overlay};

fn model() -> Model {
    let yaml = "
entity: opportunity
fields:
  discount_reason: {type: text, level: 0, required_if: 'cost > 0', labels: {es: Motivo del descuento, en: Discount reason}}
  floor: {type: money, level: 1, default: cost, labels: {es: Suelo, en: Floor}}
pipelines:
  sales: [{key: won, needs: [cost, close_date]}]
rules:
  - {id: above_cost, valid_if: 'amount >= cost', message: {es: Por debajo del coste., en: Below cost.}}
layouts: {list: [cost]}
import: {match: [[cost, name]], aliases: {cost: [coste interno]}}
permissions:
  customer: {read: all, fields: [name, stage, close_date]}
";
    Model::build(&[Overlay { name: "tenant.yaml".to_owned(), yaml: yaml.to_owned() }]).expect("the overlay holds")
}

#[test]
fn a_rep_is_not_told_that_there_are_costs() {
    let view = model().for_role("sales_rep");
    let opportunity = &view.entities["opportunity"];
    for hidden in ["cost", "margin", "floor"] {
        assert!(!opportunity.fields.contains_key(hidden), "{hidden}");
    }
    assert!(opportunity.fields["discount_reason"].required_if.is_none());
    assert_eq!(opportunity.pipelines["sales"].stage("won").expect("it is there").needs, ["amount", "close_date"]);
    assert!(opportunity.rules.iter().all(|rule| rule.id != "above_cost"));
    let json = serde_json::to_string(opportunity).expect("it serializes");
    assert!(!json.contains("cost\"") && !json.contains("Coste estimado") && !json.contains("coste interno"), "{json}");
}

#[test]
fn a_role_knows_only_its_own_rights() {
    let view = model().for_role("sales_rep");
    for entity in view.entities.values() {
        assert_eq!(entity.permissions.keys().map(String::as_str).collect::<Vec<_>>(), ["sales_rep"], "{}", entity.name);
    }
}

#[test]
fn a_role_knows_only_entities_that_it_may_read() {
    let view = model().for_role("customer");
    assert_eq!(view.entities.keys().map(String::as_str).collect::<Vec<_>>(), ["opportunity"]);
    let opportunity = &view.entities["opportunity"];
    assert_eq!(opportunity.fields.keys().map(String::as_str).collect::<Vec<_>>(), ["name", "stage", "close_date"]);
    assert!(opportunity.rules.iter().all(|rule| rule.id == "open_has_close_date"));
    assert!(opportunity.fields["name"].default.is_none(), "its default names a field that is hidden");
    assert!(opportunity.number.is_none() && opportunity.import.keys.is_empty());
    assert!(model().for_role("nobody").entities.is_empty());
}

#[test]
fn of_a_module_that_is_off_no_role_knows_anything() {
    let model = Model::core();
    assert_eq!(model.modules().into_iter().collect::<Vec<_>>(), ["catalogue", "leads", "sales"]);
    let view = model.with_modules(|module| module == "sales").for_role("admin");
    assert!(view.entity("opportunity").is_some() && view.entity("account").is_some());
    assert!(view.entity("lead").is_none() && view.entity("product").is_none());
    let everything = model.with_modules(|_| true).for_role("admin");
    assert_eq!(everything.hash, model.for_role("admin").hash, "a role is not told what belongs to which module");
    assert!(everything.entities.values().all(|entity| entity.module.is_none()));
}

#[test]
fn an_administrator_sees_every_definition() {
    let model = model();
    let view = model.for_role("admin");
    assert_eq!(view.entities.len(), model.entities.len());
    for (name, entity) in &model.entities {
        assert_eq!(view.entities[name].fields.len(), entity.fields.len(), "{name}");
        assert_eq!(view.entities[name].permissions["admin"].read, Level::All);
    }
}

#[test]
fn views_have_hashes_of_their_own_that_follow_what_they_show() {
    let (model, core) = (model(), Model::core());
    let hash = |model: &Model, role: &str| model.for_role(role).hash;
    assert_ne!(hash(&model, "sales_rep"), hash(&model, "admin"));
    assert_ne!(hash(&model, "sales_rep"), hash(&core, "sales_rep"));
    assert_eq!(hash(&model, "sales_rep"), hash(&model, "sales_rep"));
}

#[test]
fn a_model_travels_as_json() {
    for role in ["admin", "sales_manager", "sales_rep", "customer"] {
        let view = model().for_role(role);
        let read = Model::from_json(&view.to_json()).expect("it reads what it wrote");
        assert_eq!(read.to_json(), view.to_json(), "{role}");
        assert_eq!(read.hash, view.hash);
        assert_eq!(read.for_role(role).hash, view.hash, "the view of a view is the view");
    }
}

#[test]
fn a_newer_servers_model_is_read_and_keeps_its_hash() {
    let mut json: serde_json::Value = serde_json::from_str(&Model::core().to_json()).expect("it is JSON");
    json["later"] = 1.into();
    json["entities"]["opportunity"]["later"] = 1.into();
    json["entities"]["opportunity"]["permissions"]["admin"]["later"] = 1.into();
    json["entities"]["opportunity"]["fields"]["amount"]["later"] = 1.into();
    json["entities"]["opportunity"]["pipelines"]["sales"][0]["later"] = 1.into();
    let read = Model::from_json(&json.to_string()).expect("what it does not know is skipped");
    assert_eq!(read.hash, Model::core().hash);
}

#[test]
fn broken_model_json_says_where() {
    let problems = Model::from_json("{\"hash\": \"x\",\n \"entities\": 3}").expect_err("it is refused");
    assert!(problems.to_string().contains("line 2"), "{problems}");
}
