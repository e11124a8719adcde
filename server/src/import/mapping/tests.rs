use crm::model::{Language, Model};

use super::super::read::{Cell, ColumnHints};
use super::{Layout, Mapping, Policy};

fn layout(entity: &str, columns: &[&str], yaml: &str) -> Result<Layout, Vec<String>> {
    let model = Model::core();
    let mapping = Mapping::from_yaml(yaml).unwrap_or_else(|error| panic!("{error}"));
    let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    let entity = model.entity(entity).expect("an entity");
    let hints = vec![ColumnHints::default(); columns.len()];
    Layout::of(&mapping, entity, &model, &columns, &hints)
        .map_err(|error| error.problems.iter().map(|problem| problem.message(Language::En)).collect())
}

fn targets(layout: &Layout) -> Vec<Vec<String>> {
    layout.columns.iter().map(|plan| plan.targets.iter().map(super::Target::shown).collect()).collect()
}

#[test]
fn headings_find_their_fields_by_name_label_and_alias() {
    let columns =
        ["opportunity_id", "Sales Agent", "Producto", "EMPRESA", "deal_stage", "Close Value", "fecha de cierre"];
    let layout = layout("opportunity", &columns, "{}").expect("fits");
    let expected = ["external_id", "owner", "products", "account", "stage", "amount", "close_date"];
    assert_eq!(targets(&layout), expected.map(|name| vec![name.to_owned()]));
    assert_eq!(layout.unmapped().count(), 0);
}

#[test]
fn a_column_may_feed_several_places_and_fields_of_linked_records() {
    let yaml = "
        columns: {sales_agent: name, manager: [team, team.manager], regional_office: team.territory}
        constants: {role: sales_rep, team.manager.role: sales_manager}
        on_missing: create
    ";
    let layout = layout("user", &["sales_agent", "manager", "regional_office"], yaml).expect("fits");
    assert_eq!(
        targets(&layout),
        [vec!["name".to_owned()], vec!["team".into(), "team.manager".into()], vec!["team.territory".into()]]
    );
    let constants: Vec<(String, Cell)> =
        layout.constants.iter().map(|(target, cell)| (target.shown(), cell.clone())).collect();
    assert_eq!(
        constants,
        [
            ("role".into(), Cell::Text("sales_rep".into())),
            ("team.manager.role".into(), Cell::Text("sales_manager".into()))
        ]
    );
}

#[test]
fn one_column_fills_a_field_and_several_a_list() {
    let layout =
        layout("contact", &["Full name", "name", "Mobile", "Phone", "-", "remarks"], "{columns: {remarks: '-'}}")
            .expect("fits");
    assert_eq!(
        targets(&layout),
        [vec![], vec!["name".to_owned()], vec!["phones.Mobile".into()], vec!["phones.Phone".into()], vec![], vec![],]
    );
    assert_eq!(layout.unmapped().collect::<Vec<_>>(), ["Full name", "-"], "a column that was dismissed is not missed");
}

#[test]
fn what_does_not_fit_is_told_all_at_once() {
    let yaml = "
        columns: {nome: name, name: [nonsense, account.nonsense, updated_on]}
        values: {nada: {a: b}}
        constants: {weighted: 3}
    ";
    let problems = layout("opportunity", &["name"], yaml).expect_err("does not fit");
    let about = [
        "no column “nome”",
        "no field “nonsense”",
        "entity account",
        "“updated_on” is written",
        "“nada”",
        "“weighted”",
    ];
    assert_eq!(problems.len(), about.len(), "{problems:#?}");
    for (problem, about) in problems.iter().zip(about) {
        assert!(problem.contains(about), "{problem}");
    }
    let problems = layout("opportunity", &["foo", "bar"], "{}").expect_err("does not fit");
    assert!(problems[0].starts_with("No column (foo, bar) goes to a field (name, account,"), "{problems:?}");
}

#[test]
fn values_and_policies_are_read_from_yaml_and_from_arguments() {
    let mut mapping = Mapping::from_yaml(
        "
        values: {product: {GTXPro: GTX Pro}}
        on_missing: {account: keep}
        decimal: ','
        date_format: dd/mm/yyyy
        file: {sheet: Deals}
    ",
    )
    .expect("YAML");
    assert_eq!(mapping.on_missing.of("account"), Policy::Keep);
    assert_eq!(mapping.on_missing.of("products"), Policy::Reject);
    mapping.map_missing("create").expect("a policy");
    mapping.map_missing("owner=reject").expect("a policy");
    assert_eq!(mapping.on_missing.of("products"), Policy::Create);
    assert_eq!(mapping.on_missing.of("owner"), Policy::Reject);
    assert_eq!(mapping.on_missing.of("account"), Policy::Keep);
    mapping.map_column("a=b=name").expect("the last sign separates");
    assert!(mapping.columns.contains_key("a=b"));
    assert!(mapping.map_column("name").is_err());
    assert!(mapping.map_missing("perhaps").is_err());
    assert!(Mapping::from_yaml("colums: {}").expect_err("unknown key").contains("colums"));
    let json = serde_json::to_value(&mapping).expect("JSON");
    assert_eq!(serde_json::from_value::<Mapping>(json).expect("reads back"), mapping);
}
