use super::*;

/// Deletes an account that the device says it knows at `base`; the code of what is against it.
async fn delete_at(world: &World, phone: &Author, id: u64, record: RecordId, base: u64) -> String {
    let push = vec![mutation(id, MutationKind::Delete, "account", record, base, json!({}))];
    let outcomes = world.app.writer().push(phone.clone(), push, 0, None).await.expect("a push");
    outcomes[0].reason.as_ref().map(|reason| reason.code.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_base_that_the_record_never_had_deletes_nothing_of_others() {
    let world = World::new().await;
    let admin = world.user("Alba", "admin", None).await;
    let phone = world.device(&admin).await;
    let account = world.create(&world.operator(), "account", json!({"name": "Acme"})).await;
    let seq = world.app.live().head();
    for (id, beyond) in [(1, seq + 1), (2, seq + 1_000), (3, u64::MAX >> 1)] {
        assert_eq!(delete_at(&world, &phone, id, account, beyond).await, "conflict", "base {beyond}, record at {seq}");
    }
    assert_eq!(world.fields(account).await["name"], json!("Acme"), "it stands");
    assert_eq!(delete_at(&world, &phone, 4, account, seq).await, "", "who knows it as it is deletes it");
}

#[tokio::test]
async fn what_a_device_alone_wrote_it_deletes_whatever_base_it_names() {
    let world = World::new().await;
    let admin = world.user("Alba", "admin", None).await;
    let phone = world.device(&admin).await;
    let account = world.id();
    let made = vec![mutation(1, MutationKind::Create, "account", account, 0, json!({"name": "Propia"}))];
    world.app.writer().push(phone.clone(), made, 0, None).await.expect("a push");
    assert_eq!(delete_at(&world, &phone, 2, account, u64::MAX >> 1).await, "");
}
