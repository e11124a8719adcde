use axum::http::Method;
use crm::Fields;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{MutationKind, Verdict};

use cartera_server::platform::auth::Caller;
use cartera_server::record::write::Change;

use crate::support::{NOW_MS, PASSWORD, World};

impl World {
    pub async fn set_user(&self, id: &str, field: &str, value: Value) {
        let record = id.parse().expect("an id");
        self.write(MutationKind::Update, "user", record, [(field.to_owned(), value)].into()).await;
    }

    async fn make(&self, entity: &str, fields: Value) -> RecordId {
        let record = RecordId(self.app.entropy().uuid_v7(NOW_MS));
        let set = serde_json::from_value(fields).expect("fields");
        self.write(MutationKind::Create, entity, record, set).await;
        record
    }

    async fn write(&self, kind: MutationKind, entity: &str, record: RecordId, set: Fields) {
        let change = Change { kind, entity: entity.into(), record, base: None, set, ops: Vec::new() };
        let author = Caller::operator(&self.app).author();
        let decisions = self.app.writer().write(author, vec![change], true).await.expect("the writer lives");
        assert_eq!(decisions[0].verdict, Verdict::Applied, "{:?}", decisions[0]);
    }
}

#[tokio::test]
async fn an_imported_agent_without_an_address_becomes_the_user_who_signs_in() {
    let world = World::new().await;
    let agent = world.make("user", json!({ "name": "Ana María Ruiz" })).await;
    let team = world.make("team", json!({ "name": "Norte" })).await;
    let person = json!({ "email": "ana@example.com", "role": "sales_rep", "team": "norte", "name": "ana maria  ruiz", "password": PASSWORD });
    let added = world.as_operator(Method::POST, "/api/v1/users", person).await.expect(200);
    assert_eq!((&added["user"], &added["created"]), (&json!(agent), &json!(false)));
    let me = world.get(&world.sign_in("ana@example.com").await, "/api/v1/me").await.expect(200);
    assert_eq!((&me["name"], &me["teams"]), (&json!("Ana María Ruiz"), &json!([team])));
}

#[tokio::test]
async fn what_cannot_be_added_is_told_and_nothing_is_made() {
    let world = World::new().await;
    world.add_user("ana@example.com", "admin").await;
    world.make("user", json!({ "name": "Luis" })).await;
    world.make("user", json!({ "name": "Luis" })).await;
    let before = world.app.live().head();
    let refusals = [
        (json!({ "email": "ana@example.com", "role": "admin" }), "conflict", "is the address of ana already"),
        (json!({ "email": "bea@example.com", "role": "boss" }), "invalid", "there are admin, sales_manager, sales_rep"),
        (json!({ "email": "bea@example.com", "role": "admin", "team": "Sur" }), "invalid", "There is no team \"Sur\""),
        (json!({ "email": "luis@example.com", "role": "admin" }), "conflict", "2 users without an address"),
        (json!({ "email": "bea@example.com", "role": "admin", "password": "short" }), "invalid", "at least 10"),
        (json!({ "email": "no address", "role": "admin" }), "invalid", ""),
        (json!({ "email": "bea@example.com" }), "invalid-body", "missing field `role`"),
    ];
    for (person, code, said) in refusals {
        let refused = world.as_operator(Method::POST, "/api/v1/users", person.clone()).await;
        assert_eq!(refused.code(), code, "{person} -> {}", refused.body);
        let detail = refused.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(said), "{person} -> {detail}");
    }
    assert_eq!(world.app.live().head(), before);
}

#[tokio::test]
async fn only_administrators_add_and_list_users() {
    let world = World::new().await;
    world.add_user("ana@example.com", "sales_manager").await;
    let token = world.sign_in("ana@example.com").await;
    let person = json!({ "email": "bea@example.com", "role": "admin" });
    assert_eq!(world.send(Some(&token), Method::POST, "/api/v1/users", person).await.code(), "forbidden");
    assert_eq!(world.get(&token, "/api/v1/users").await.code(), "forbidden");
}

#[tokio::test]
async fn the_list_tells_who_can_sign_in() {
    let world = World::new().await;
    world.add_user("ana@example.com", "admin").await;
    world.make("user", json!({ "name": "Luis" })).await;
    let bea = json!({ "email": "bea@example.com", "role": "sales_rep" });
    world.as_operator(Method::POST, "/api/v1/users", bea).await.expect(201);
    let listed = world.as_operator(Method::GET, "/api/v1/users", Value::Null).await.expect(200);
    let of = |user: &Value| (user["name"].clone(), user["signs_in"].clone());
    let users: Vec<_> = listed["users"].as_array().expect("a list").iter().map(of).collect();
    assert_eq!(users, [(json!("Luis"), json!(false)), (json!("ana"), json!(true)), (json!("bea"), json!(false))]);
}
