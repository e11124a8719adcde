use serde_json::json;

use crate::record::fixture::World;
use crate::record::read::ReadError;
use crate::record::read::summary::{Summary, SummaryQuery};

async fn summary(world: &World, user: &str, query: SummaryQuery) -> Result<Summary, ReadError> {
    let mut connection = world.connection().await;
    world.reader(user).summary(&mut connection, "opportunity", &query).await
}

fn asked(filter: &str, sum: &str, by: &str) -> SummaryQuery {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    SummaryQuery { filter: given(filter), sum: given(sum), by: given(by) }
}

async fn money_of(deals: &[(&str, i64, &str)]) -> World {
    let mut world = World::new().await;
    for (owner, minor, currency) in deals {
        let fields = json!({ "amount": { "minor": minor, "currency": currency } });
        world.deal("deal", Some(owner), fields).await;
    }
    world
}

#[tokio::test]
async fn money_adds_up_by_currency_and_by_group() {
    let mut world = money_of(&[("ana", 100, "EUR"), ("ana", 50, "EUR"), ("ana", 7, "USD"), ("bea", 1, "EUR")]).await;
    world.deal("none", None, json!({})).await;
    let all = summary(&world, "root", asked("", "amount,probability", "")).await.expect("a summary");
    assert_eq!(
        serde_json::to_value(&all).expect("JSON"),
        json!({
            "count": 5,
            "sum": {
                "amount": [{ "minor": 151, "currency": "EUR" }, { "minor": 7, "currency": "USD" }],
                "probability": 50,
            },
        })
    );
    let by = summary(&world, "root", asked("amount != null", "amount", "owner")).await.expect("a summary");
    let groups = by.groups.expect("groups");
    let of = |name: &str| groups.iter().find(|group| group.key == json!(world.id(name))).expect("a group").clone();
    assert_eq!((of("ana").count, of("bea").count, groups.len()), (3, 1, 2));
    assert_eq!(
        serde_json::to_value(&of("ana").sum).expect("JSON"),
        json!({ "amount": [{ "minor": 150, "currency": "EUR" }, { "minor": 7, "currency": "USD" }] })
    );
}

#[tokio::test]
async fn records_without_the_value_are_a_group_of_their_own_at_the_end() {
    let mut world = money_of(&[("ana", 1, "EUR")]).await;
    world.deal("open", None, json!({})).await;
    let by = summary(&world, "root", asked("", "", "owner")).await.expect("a summary");
    let keys: Vec<_> = by.groups.expect("groups").into_iter().map(|group| group.key).collect();
    assert_eq!(keys, [json!(world.id("ana")), json!(null)]);
}

#[tokio::test]
async fn a_sum_beyond_every_number_is_told_and_not_rounded() {
    let world = money_of(&[("ana", 1, "EUR"), ("ana", 1, "EUR"), ("bea", 5, "EUR")]).await;
    // The model keeps single amounts far below; this many records would take a test too long.
    let mut transaction = world.app.db().write().await.expect("nobody else writes");
    sqlx::query("UPDATE record SET body = json_set(body, '$.amount.minor', $1) WHERE owner = $2 AND body ->> 'amount' IS NOT NULL")
        .bind(i64::MAX)
        .bind(world.id("ana").0)
        .execute(&mut *transaction)
        .await
        .expect("an update");
    transaction.commit().await.expect("a commit");
    let refused = summary(&world, "root", asked("", "amount", "")).await.expect_err("too large");
    assert!(matches!(&refused, ReadError::Overflow { field } if field == "amount"), "{refused:?}");
    let exact = summary(&world, "bea", asked("", "amount", "")).await.expect("hers alone");
    assert_eq!(
        serde_json::to_value(exact.sum).expect("JSON"),
        json!({ "amount": [{ "minor": 5, "currency": "EUR" }] })
    );
}

#[tokio::test]
async fn only_numbers_add_up_and_only_single_values_group() {
    let world = World::new().await;
    let refused = summary(&world, "root", asked("", "name", "")).await.expect_err("a text");
    assert!(matches!(refused, ReadError::UnfitField { parameter: "sum", .. }), "{refused:?}");
    let refused = summary(&world, "root", asked("", "", "tags")).await.expect_err("a list");
    assert!(matches!(refused, ReadError::UnfitField { parameter: "by", .. }), "{refused:?}");
}
