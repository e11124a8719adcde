//! Mutations that waited on a device while the model changed.

use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{FieldOperation, Mutation, MutationKind, Outcome, Verdict};

use super::{World, mutation};
use crate::record::write::Author;

const BEFORE: &str = "
entity: product
fields:
  shelf: {type: text, labels: {es: Estante, en: Shelf}}
  origin: {type: enum, options: {north: {es: Norte, en: North}, south: {es: Sur, en: South}, sea: {es: Mar, en: Sea}}, labels: {es: Origen, en: Origin}}
  colour: {type: text, labels: {es: Color, en: Colour}}
  marks: {type: tags, labels: {es: Marcas, en: Marks}}
";

const AFTER: &str = "
entity: product
removed: [colour, marks]
fields:
  place: {type: text, max: 5, was: [shelf], labels: {es: Lugar, en: Place}}
  origin: {type: enum, options: {inland: {es: Interior, en: Inland}, sea: {es: Mar, en: Sea}}, was_options: {north: inland}, removed_options: [south], labels: {es: Origen, en: Origin}}
";

struct Shop {
    world: World,
    author: Author,
    crane: RecordId,
    /// Its sequence when it was made.
    base: u64,
}

impl Shop {
    async fn open() -> Self {
        let world = World::new().await.lay(BEFORE).await;
        let author = world.device(&world.user("Olga", "admin", None).await).await;
        let crane = world.create(&world.operator(), "product", json!({"name": "Grúa", "shelf": "A-1"})).await;
        let base = world.count("SELECT max(seq) FROM record").await.cast_unsigned();
        Self { world, author, crane, base }
    }

    async fn push(&self, mutations: Vec<Mutation>) -> Vec<Outcome> {
        self.world.app.writer().push(self.author.clone(), mutations, 0, None).await.expect("a commit")
    }

    fn update(&self, id: u64, set: Value) -> Mutation {
        mutation(id, MutationKind::Update, "product", self.crane, self.base, set)
    }

    async fn lost(&self) -> i64 {
        self.world.count("SELECT count(*) FROM history WHERE kind = 'lost'").await
    }
}

impl World {
    async fn lay(self, yaml: &str) -> Self {
        crate::model::apply::apply(&self.app, "shop", yaml, false).await.expect("a sound overlay");
        self
    }
}

#[tokio::test]
async fn renamed_fields_and_options_are_written_under_their_present_names() {
    let shop = Shop::open().await;
    let shop = Shop { world: shop.world.lay(AFTER).await, ..shop };
    let outcomes = shop.push(vec![shop.update(1, json!({"shelf": "B-2", "origin": "north"}))]).await;
    assert_eq!((outcomes[0].verdict, &outcomes[0].reason), (Verdict::Applied, &None));
    let fields = shop.world.fields(shop.crane).await;
    assert_eq!((&fields["place"], &fields["origin"]), (&json!("B-2"), &json!("inland")));
    assert!(!fields.contains_key("shelf"));
}

#[tokio::test]
async fn a_value_for_a_removed_field_is_told_and_kept_in_the_history_and_the_rest_is_done() {
    let shop = Shop::open().await;
    let shop = Shop { world: shop.world.lay(AFTER).await, ..shop };
    let new = shop.world.id();
    let add = FieldOperation::Add { field: "marks".into(), values: vec![json!("nuevo")] };
    let outcomes = shop
        .push(vec![
            shop.update(1, json!({"colour": "rojo", "shelf": "B-2"})),
            mutation(2, MutationKind::Create, "product", new, 0, json!({"name": "Cabestrante", "colour": "azul"})),
            shop.update(3, json!({"colour": "verde"})),
            Mutation { ops: vec![add], ..shop.update(4, json!({})) },
        ])
        .await;
    for outcome in &outcomes {
        let reason = outcome.reason.as_ref().unwrap_or_else(|| panic!("no reason: {outcome:?}"));
        assert_eq!((outcome.verdict, reason.code.as_str()), (Verdict::Merged, "field-removed"), "{outcome:?}");
        assert!(reason.message.contains("no longer has the field"), "{reason:?}");
        let field = if outcome.mutation == 4 { "marks" } else { "colour" };
        assert_eq!((reason.fields.len(), reason.fields[0].field.as_str()), (1, field));
        assert_eq!(outcome.server.get(field), Some(&Value::Null), "the device lets go of it: {outcome:?}");
    }
    assert_eq!(shop.world.fields(shop.crane).await["place"], "B-2");
    assert_eq!(shop.world.fields(new).await["name"], "Cabestrante");
    assert_eq!(shop.lost().await, 4);
    let kept = "SELECT count(*) FROM history WHERE field = 'colour' AND new IN ('\"rojo\"', '\"azul\"', '\"verde\"')";
    assert_eq!(shop.world.count(kept).await, 3);
}

#[tokio::test]
async fn what_the_present_model_does_not_take_is_rejected_under_its_present_name() {
    let shop = Shop::open().await;
    let shop = Shop { world: shop.world.lay(AFTER).await, ..shop };
    let outcomes =
        shop.push(vec![shop.update(1, json!({"origin": "south"})), shop.update(2, json!({"shelf": "B-2000"}))]).await;
    let told: Vec<(&str, &str)> = outcomes
        .iter()
        .map(|outcome| &outcome.reason.as_ref().expect("a reason").fields[0])
        .map(|problem| (problem.field.as_str(), problem.code.as_str()))
        .collect();
    assert_eq!(told, [("origin", "option"), ("place", "too-long")]);
    assert!(outcomes.iter().all(|outcome| outcome.verdict == Verdict::Rejected));
}

#[tokio::test]
async fn an_outcome_that_was_decided_before_the_model_changed_is_told_in_its_present_words() {
    let shop = Shop::open().await;
    let by_other = shop.world.device(&shop.world.user("Otra", "admin", None).await).await;
    let other = mutation(1, MutationKind::Update, "product", shop.crane, shop.base, json!({"shelf": "C-3"}));
    shop.world.app.writer().push(by_other, vec![other], 0, None).await.expect("a commit");
    let old = shop.update(1, json!({"shelf": "B-2"}));
    let before = shop.push(vec![old.clone()]).await;
    assert_eq!((before[0].verdict, &before[0].server["shelf"]), (Verdict::Merged, &json!("C-3")));

    let applied = shop.update(2, json!({"colour": "rojo"}));
    let before_removal = shop.push(vec![applied.clone()]).await;
    assert_eq!((before_removal[0].verdict, before_removal[0].server.get("colour")), (Verdict::Applied, None));

    let shop = Shop { world: shop.world.lay(AFTER).await, ..shop };
    let after = shop.push(vec![old, applied]).await;
    assert_eq!(after[1].server.get("colour"), Some(&Value::Null), "it stands nowhere any more: {after:?}");
    assert_eq!(after[0].server["place"], "C-3", "{after:?}");
    assert!(!after[0].server.contains_key("shelf"));
    assert_eq!(after[0].reason.as_ref().expect("a reason").fields[0].field, "place");
}
