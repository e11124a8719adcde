//! Values that no two records share, and the numbers that the server gives out among them.

use crm::rules::Gaps;

use super::*;

/// Deals as an import brings them: with the numbers that they had elsewhere, or without one.
async fn import(world: &World, numbers: &[Option<&str>]) -> Vec<Decision> {
    let account = world.create(&world.operator(), "account", json!({"name": "Acme"})).await.to_string();
    let deal = |number: Option<&str>| {
        let mut set = json!({"name": "Deal", "account": account});
        if let Some(number) = number {
            set["number"] = json!(number);
        }
        change(MutationKind::Create, "opportunity", world.id(), set)
    };
    let changes = numbers.iter().copied().map(deal).collect();
    let mut bulk = world.app.writer().bulk(world.operator(), Gaps::Keep).await.expect("a transaction");
    let decisions = bulk.write(changes).await.expect("decisions");
    bulk.commit().await.expect("a commit");
    decisions
}

/// The numbers of all deals that are there, in the order of their making.
async fn numbers(world: &World) -> Vec<String> {
    let sql = "SELECT body ->> 'number' FROM record
               WHERE entity = (SELECT code FROM entity WHERE name = 'opportunity') ORDER BY created_seq";
    sqlx::query_scalar(sql).fetch_all(world.app.db().readers()).await.expect("numbers")
}

#[tokio::test]
async fn unique_values_are_held_by_one_record() {
    let world = World::new().await;
    let operator = world.operator();
    world.create(&operator, "team", json!({"name": "Málaga"})).await;
    let twin = change(MutationKind::Create, "team", world.id(), json!({"name": " malaga"}));
    assert_eq!(reason_code(&world.one(&operator, twin).await), "invalid");
}

#[tokio::test]
async fn a_unique_value_is_compared_as_it_is_stored_whatever_its_type() {
    let world = World::new().await;
    let yaml = "
entity: product
fields:
  sheet: {type: url, unique: true, labels: {es: Ficha, en: Sheet}}
  ean: {type: integer, unique: true, labels: {es: Código de barras, en: Barcode}}
";
    crate::model::apply::apply(&world.app, "test", yaml, false).await.expect("a sound overlay");
    let operator = world.operator();
    let first = json!({"name": "Uno", "sheet": "https://www.acme.example/uno", "ean": 8_400_001});
    world.create(&operator, "product", first).await;
    for (name, twin) in [("sheet", json!({"sheet": "WWW.acme.example/uno"})), ("ean", json!({"ean": 8_400_001}))] {
        let mut set = json!({"name": "Dos"});
        set[name] = twin[name].clone();
        let refused = world.one(&operator, change(MutationKind::Create, "product", world.id(), set)).await;
        let fields = refused.reason.expect("the value is taken").fields;
        assert_eq!((fields[0].field.as_str(), fields[0].code.as_str()), (name, "not-unique"));
    }
}

#[tokio::test]
async fn a_series_counts_on() {
    let world = World::new().await;
    import(&world, &[None]).await;
    import(&world, &[None, None]).await;
    assert_eq!(numbers(&world).await, ["OP-2026-00001", "OP-2026-00002", "OP-2026-00003"]);
}

#[tokio::test]
async fn a_series_never_gives_out_a_number_that_stands_already() {
    let world = World::new().await;
    let old = ["OP-2026-00001", "op-2026-00002", "OP-2026-00004", "OP-2025-00003", "A7"].map(Some);
    import(&world, &old).await;
    // In one commit with numbers that others bring, before and after.
    import(&world, &[None, Some("OP-2026-00005"), None, None, Some("OP-2026-00009"), None, None]).await;
    let all = numbers(&world).await;
    assert_eq!(
        all[5..],
        ["00003", "00005", "00006", "00007", "00009", "00008", "00010"].map(|number| format!("OP-2026-{number}"))
    );

    let refused = import(&world, &[Some("OP-2026-00010"), Some("op-2026-00003")]).await;
    for decision in refused {
        assert_eq!(decision.reason.expect("given out already").fields[0].code, "not-unique");
    }
}

#[tokio::test]
async fn a_long_row_of_taken_numbers_is_stepped_over() {
    let world = World::new().await;
    let old: Vec<String> = (1..=700).map(|number| format!("OP-2026-{number:05}")).collect();
    import(&world, &old.iter().map(|number| Some(number.as_str())).collect::<Vec<_>>()).await;
    import(&world, &[None, None]).await;
    assert_eq!(numbers(&world).await[700..], ["OP-2026-00701", "OP-2026-00702"]);
}

#[tokio::test]
async fn a_number_that_a_refused_change_drew_is_drawn_by_the_next() {
    let world = World::new().await;
    let operator = world.operator();
    import(&world, &[Some("OP-2026-00001")]).await;
    let account = world.create(&operator, "account", json!({"name": "Beta"})).await.to_string();
    let lost = json!({"name": "Deal", "account": account, "stage": "lost"});
    let refused = world.one(&operator, change(MutationKind::Create, "opportunity", world.id(), lost)).await;
    assert_eq!(reason_code(&refused), "invalid");
    world.create(&operator, "opportunity", json!({"name": "Deal", "account": account})).await;
    assert_eq!(numbers(&world).await, ["OP-2026-00001", "OP-2026-00002"]);
}
