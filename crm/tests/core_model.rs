//! The core definitions, as everything else relies on them.

use std::collections::BTreeMap;

use crm::model::{Entity, FieldKind, Label, Level, Model};

fn entity(name: &str) -> Entity {
    Model::core().entity(name).unwrap_or_else(|| panic!("the core has {name}")).clone()
}

#[test]
fn the_core_definitions_load() {
    let model = Model::build(&[]).expect("the core definitions are sound");
    let names = model.entities.keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(
        names,
        [
            "role",
            "territory",
            "team",
            "user",
            "price_list",
            "product",
            "price_item",
            "competitor",
            "account",
            "contact",
            "lead",
            "opportunity",
            "stage_history",
            "activity"
        ]
    );
    assert_eq!(model.hash, Model::core().hash);
    assert_eq!(model.roles().into_iter().collect::<Vec<_>>(), ["admin", "sales_manager", "sales_rep"]);
}

#[test]
fn every_text_is_there_in_both_languages() {
    fn complete(place: &str, label: &Label) {
        for text in [&label.es, &label.en] {
            assert!(!text.trim().is_empty() && !text.contains('…'), "{place}: {text:?}");
        }
    }
    for entity in Model::core().entities.values() {
        for text in entity.labels.es.iter().chain(&entity.labels.en) {
            assert!(!text.trim().is_empty(), "{}", entity.name);
        }
        for field in entity.fields.values() {
            let place = format!("{}.{}", entity.name, field.name);
            complete(&place, &field.labels);
            if let FieldKind::Enum { options } | FieldKind::Enums { options } = &field.kind {
                for option in options {
                    complete(&format!("{place}.{}", option.key), &option.labels);
                }
            }
        }
        for stage in entity.pipelines.values().flat_map(|pipeline| &pipeline.stages) {
            complete(&format!("{}.{}", entity.name, stage.key), &stage.labels);
        }
        for rule in &entity.rules {
            complete(&format!("{}.{}", entity.name, rule.id), &rule.message);
        }
    }
}

#[test]
fn the_columns_of_a_real_pipeline_export_need_no_mapping() {
    let files = [
        (
            "account",
            "account=name sector=industry year_established=founded_year revenue=revenue employees=employees \
             office_location=headquarters subsidiary_of=parent",
        ),
        ("product", "product=name series=series sales_price=sales_price"),
        (
            "opportunity",
            "opportunity_id=external_id sales_agent=owner product=products account=account deal_stage=stage \
             engage_date=start_date close_date=close_date close_value=amount",
        ),
        ("user", "sales_agent=name manager=manager"),
        ("team", "manager=manager regional_office=territory"),
        ("territory", "regional_office=name"),
    ];
    for (name, columns) in files {
        let entity = entity(name);
        for (heading, field) in columns.split_whitespace().filter_map(|pair| pair.split_once('=')) {
            let found = entity.field_of_column(heading).map(|field| field.name.as_str());
            assert_eq!(found, Some(field), "column {heading} of {name}");
        }
    }
}

#[test]
fn a_column_is_known_by_name_label_or_alias_however_it_is_written() {
    let contact = entity("contact");
    for (heading, field) in [
        ("FIRST_NAME", Some("first_name")),
        ("Apellidos", Some("last_name")),
        ("e-mail address", Some("emails")),
        ("Teléfono  móvil", Some("phones")),
        ("telefono-movil", Some("phones")),
        ("shoe size", None),
        ("", None),
    ] {
        assert_eq!(contact.field_of_column(heading).map(|field| field.name.as_str()), field, "{heading:?}");
    }
}

/// `create read update delete export levels`, as the product promises them.
#[test]
fn the_roles_may_do_what_the_product_promises() {
    let table = |name: &str, role: &str| {
        let permission = &entity(name).permissions[role];
        let level = |level: Level| format!("{level:?}").to_lowercase();
        format!(
            "{} {} {} {} {} {:?}",
            permission.create,
            level(permission.read),
            level(permission.update),
            level(permission.delete),
            permission.export,
            permission.levels
        )
    };
    for (name, role, may) in [
        ("opportunity", "admin", "true all all all true [0, 1, 2]"),
        ("opportunity", "sales_manager", "true territory team team true [0, 1]"),
        ("opportunity", "sales_rep", "true team own none false [0]"),
        ("account", "sales_rep", "true team own none false [0]"),
        ("contact", "sales_rep", "true team own none false [0]"),
        ("activity", "sales_rep", "true team own own false [0]"),
        ("stage_history", "admin", "false all none none true [0, 1, 2]"),
        ("stage_history", "sales_rep", "false team none none false [0]"),
    ] {
        assert_eq!(table(name, role), may, "{role} on {name}");
    }
    for name in ["product", "price_list", "price_item", "competitor"] {
        assert_eq!(table(name, "admin"), "true all all all true [0, 1, 2]", "{name}");
        assert_eq!(table(name, "sales_manager"), "false all none none true [0, 1]", "{name}");
        assert_eq!(table(name, "sales_rep"), "false all none none false [0]", "{name}");
    }
}

#[test]
fn nobody_deletes_people_and_what_they_stand_in() {
    for name in ["user", "team", "territory", "role"] {
        for (role, permission) in &entity(name).permissions {
            assert_eq!(permission.delete, Level::None, "{role} on {name}");
            assert_eq!(permission.read, Level::All, "{role} on {name}");
            assert_eq!(permission.create, role == "admin", "{role} on {name}");
            assert_eq!(permission.update, if role == "admin" { Level::All } else { Level::None }, "{role} on {name}");
        }
    }
}

#[test]
fn costs_are_for_managers() {
    let hidden = |role: &str| {
        let mut hidden = BTreeMap::new();
        for entity in Model::core().entities.values() {
            let projection = crm::rules::Projection::of(entity, &entity.permissions[role]);
            let names = projection.hidden().map(str::to_owned).collect::<Vec<_>>();
            if !names.is_empty() {
                hidden.insert(entity.name.clone(), names.join(" "));
            }
        }
        hidden
    };
    let for_a_rep = hidden("sales_rep");
    assert_eq!(for_a_rep["opportunity"], "cost margin");
    assert_eq!(for_a_rep["product"], "cost");
    assert_eq!(for_a_rep["price_item"], "cost");
    assert!(hidden("sales_manager").is_empty());
    assert!(hidden("admin").is_empty());
}
