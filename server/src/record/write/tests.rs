//! Writing records through the real writer into a real database.

use std::sync::Arc;

use crm::Fields;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{Mutation, MutationKind, Verdict};
use tempfile::TempDir;

use super::{Author, Change, Decision, PushError};
use crate::app::App;
use crate::platform::clock::ManualClock;
use crate::platform::config::Config;
use crate::platform::entropy::SeededEntropy;
use crate::user::rights::Rights;

mod deletion;
mod numbers;
mod upcast;

struct World {
    app: App,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let config = Config::with_data_dir(folder.path());
        let clock = Arc::new(ManualClock::at(1_780_000_000_000));
        let app = App::open(config, clock, Arc::new(SeededEntropy::new(1))).await.expect("an empty folder opens");
        Self { app, _folder: folder }
    }

    fn operator(&self) -> Author {
        let rights = Arc::new(Rights::of_operator(&self.app.catalogue()));
        Author { user: None, device: 0, rights, language: crm::model::Language::En }
    }

    fn id(&self) -> RecordId {
        RecordId(self.app.entropy().uuid_v7(self.app.clock().now_ms()))
    }

    async fn create(&self, author: &Author, entity: &str, set: Value) -> RecordId {
        let record = self.id();
        let decision = self.one(author, change(MutationKind::Create, entity, record, set)).await;
        assert_eq!(decision.verdict, Verdict::Applied, "{decision:?}");
        record
    }

    async fn one(&self, author: &Author, change: Change) -> Decision {
        let mut decisions = self.app.writer().write(author.clone(), vec![change], false).await.expect("a commit");
        decisions.pop().expect("one decision for one change")
    }

    async fn user(&self, name: &str, role: &str, team: Option<RecordId>) -> Author {
        let role = self.app.directory().role_by_key(role).expect("a core role").to_string();
        let mut set = json!({"name": name, "role": role});
        if let Some(team) = team {
            set["team"] = json!(team.to_string());
        }
        let user = self.create(&self.operator(), "user", set).await;
        let rights = self.app.live().snapshot().rights_of(user.0).expect("an active user with a role");
        Author { user: Some(user), device: 0, rights, language: crm::model::Language::En }
    }

    async fn device(&self, author: &Author) -> Author {
        let mut tx = self.app.db().write().await.expect("a transaction");
        let (num,): (i64,) = sqlx::query_as(
            "INSERT INTO device (id, user, name, platform, enrolled_ms, seen_ms, last_mutation, acknowledged)
             VALUES ($1, $2, 'phone', 'test', 0, 0, 0, 0) RETURNING num",
        )
        .bind(self.id().0)
        .bind(author.user.expect("a user").0)
        .fetch_one(&mut *tx)
        .await
        .expect("a device");
        tx.commit().await.expect("committed");
        Author { device: num, ..author.clone() }
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let (count,): (i64,) = sqlx::query_as(sql).fetch_one(self.app.db().readers()).await.expect("a count");
        count
    }

    async fn fields(&self, record: RecordId) -> Fields {
        let (body,): (sqlx::types::Json<Fields>,) = sqlx::query_as("SELECT body FROM record WHERE id = $1")
            .bind(record.0)
            .fetch_one(self.app.db().readers())
            .await
            .expect("the record");
        body.0
    }
}

fn change(kind: MutationKind, entity: &str, record: RecordId, set: Value) -> Change {
    let set = serde_json::from_value(set).expect("an object");
    Change { kind, entity: entity.into(), record, base: None, set, ops: Vec::new() }
}

fn mutation(id: u64, kind: MutationKind, entity: &str, record: RecordId, base: u64, set: Value) -> Mutation {
    let set = serde_json::from_value(set).expect("an object");
    Mutation {
        id,
        kind,
        entity: entity.into(),
        record,
        base,
        set,
        ops: Vec::new(),
        group: None,
        depends_on: None,
        at_ms: 0,
        model: None,
    }
}

fn reason_code(decision: &Decision) -> &str {
    decision.reason.as_ref().map_or("", |reason| reason.code.as_str())
}

#[tokio::test]
async fn a_record_stands_where_its_owner_stands_and_moves_with_her() {
    let world = World::new().await;
    let operator = world.operator();
    let north = world.create(&operator, "territory", json!({"name": "North"})).await;
    let team = world.create(&operator, "team", json!({"name": "A", "territory": north.to_string()})).await;
    let rep = world.user("Ana", "sales_rep", Some(team)).await;

    let account = world.create(&rep, "account", json!({"name": "Acme"})).await;
    let fields = world.fields(account).await;
    assert_eq!(fields["owner"], json!(rep.user.expect("a user").to_string()));
    assert_eq!(fields["team"], json!(team.to_string()));
    assert_eq!(fields["territory"], json!(north.to_string()));

    let other_team = world.create(&operator, "team", json!({"name": "B"})).await;
    let colleague = world.user("Luis", "sales_rep", Some(other_team)).await;
    let to = json!({"owner": colleague.user.expect("a user").to_string()});
    let decision = world.one(&operator, change(MutationKind::Update, "account", account, to)).await;
    assert_eq!(decision.verdict, Verdict::Applied, "{decision:?}");
    let fields = world.fields(account).await;
    assert_eq!(fields["team"], json!(other_team.to_string()));
    assert_eq!(fields.get("territory"), None, "the other team works in no territory");
    assert_eq!(world.count("SELECT count(*) FROM scope_entry WHERE state = 1").await, 3, "it left three scopes");
}

#[tokio::test]
async fn a_push_is_decided_once_however_often_it_comes() {
    let world = World::new().await;
    let rep = world.user("Ana", "sales_rep", None).await;
    let phone = world.device(&rep).await;
    let account = world.id();
    let push = vec![
        mutation(1, MutationKind::Create, "account", account, 0, json!({"name": "Acme"})),
        mutation(2, MutationKind::Update, "account", account, 0, json!({"name": "Acme, S.A."})),
    ];
    let first = world.app.writer().push(phone.clone(), push.clone(), 0, None).await.expect("a push");
    let head = world.app.live().head();
    let again = world.app.writer().push(phone.clone(), push.clone(), 0, None).await.expect("the same push");
    assert_eq!(first, again);
    assert_eq!(world.app.live().head(), head, "nothing happened twice");
    assert_eq!(world.count("SELECT count(*) FROM history WHERE kind = 'changed'").await, 1);

    let gap = vec![mutation(4, MutationKind::Delete, "account", account, 0, json!({}))];
    let error = world.app.writer().push(phone.clone(), gap, 0, None).await.expect_err("3 is missing");
    assert!(matches!(error, PushError::Gap { expected: 3, got: 4 }), "{error:?}");

    let third = vec![mutation(3, MutationKind::Update, "account", account, head, json!({"name": "Acme"}))];
    world.app.writer().push(phone.clone(), third, 2, None).await.expect("the next push acknowledges");
    assert_eq!(world.count("SELECT count(*) FROM outcome").await, 1, "acknowledged outcomes are forgotten");
    let error = world.app.writer().push(phone, push, 0, None).await.expect_err("they were acknowledged");
    assert!(matches!(error, PushError::Forgotten(1)), "{error:?}");
}

#[tokio::test]
async fn a_commit_does_not_look_at_the_outcomes_that_nobody_acknowledges() {
    let world = World::new().await;
    let sql = concat!("EXPLAIN QUERY PLAN ", include_str!("sql/delete_acknowledged_outcomes.sql"));
    let plan: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(sql).bind("[]").fetch_all(world.app.db().readers()).await.expect("a plan");
    let looks: Vec<&str> =
        plan.iter().map(|(.., look)| look.as_str()).filter(|look| !look.contains("progress")).collect();
    assert!(looks.iter().any(|look| look.starts_with("SEARCH acknowledged USING PRIMARY KEY (device=")), "{looks:?}");
    assert!(!looks.iter().any(|look| look.starts_with("SCAN")), "{looks:?}");
}

#[tokio::test]
async fn a_push_that_comes_twice_into_one_commit_is_decided_once() {
    let world = World::new().await;
    let rep = world.user("Ana", "sales_rep", None).await;
    let phone = world.device(&rep).await;
    let push = || {
        let create = mutation(
            1,
            MutationKind::Create,
            "account",
            RecordId(uuid::Uuid::from_u128(5)),
            0,
            json!({"name": "Acme"}),
        );
        world.app.writer().push(phone.clone(), vec![create], 0, None)
    };
    let (first, again) = tokio::join!(push(), push());
    assert_eq!(first.expect("a push"), again.expect("the same push"));
    assert_eq!(world.app.writer().commits().borrow().requests, 2, "both were in one commit");
    assert_eq!(world.count("SELECT count(*) FROM history WHERE kind = 'made' AND device > 0").await, 1);
}

#[tokio::test]
async fn two_people_on_one_record() {
    let world = World::new().await;
    let rep = world.user("Ana", "sales_rep", None).await;
    let account = world.create(&rep, "account", json!({"name": "Acme"})).await;
    let base = world.app.live().head();
    let (phone, tablet) = (world.device(&rep).await, world.device(&rep).await);
    let edit = |id, set| vec![mutation(id, MutationKind::Update, "account", account, base, set)];
    let push = |author: &Author, edit| world.app.writer().push(author.clone(), edit, 0, None);

    let first = push(&phone, edit(1, json!({"name": "Acme Uno", "industry": "tools"}))).await.expect("a push");
    assert_eq!(first[0].verdict, Verdict::Applied);
    let second =
        push(&tablet, edit(1, json!({"name": "Acme Dos", "website": "https://acme.example"}))).await.expect("a push");
    assert_eq!(second[0].verdict, Verdict::Merged, "the website is in, the name lost");
    assert_eq!(second[0].server["name"], json!("Acme Uno"));
    assert_eq!(second[0].reason.as_ref().expect("a reason").fields[0].field, "name");
    let own = push(&phone, edit(2, json!({"name": "Acme Tres"}))).await.expect("a push");
    assert_eq!(own[0].verdict, Verdict::Applied, "what a device wrote itself is no conflict to it");

    let fields = world.fields(account).await;
    assert_eq!(fields["name"], json!("Acme Tres"));
    assert_eq!(fields["website"], json!("https://acme.example"));
    assert_eq!(world.count("SELECT count(*) FROM history WHERE kind = 'lost' AND new = '\"Acme Dos\"'").await, 1);
}

#[tokio::test]
async fn a_group_is_made_whole_or_not_at_all() {
    let world = World::new().await;
    let rep = world.user("Ana", "sales_rep", None).await;
    let phone = world.device(&rep).await;
    let in_group = |mut mutation: Mutation| {
        mutation.group = Some(7);
        mutation
    };
    let (account, other) = (world.id(), world.id());
    let head = world.app.live().head();
    let outcomes = world
        .app
        .writer()
        .push(
            phone,
            vec![
                in_group(mutation(1, MutationKind::Create, "account", account, 0, json!({"name": "Acme"}))),
                in_group(mutation(2, MutationKind::Create, "account", other, 0, json!({}))),
                mutation(3, MutationKind::Create, "account", world.id(), 0, json!({"name": "Alone"})),
            ],
            0,
            None,
        )
        .await
        .expect("a push");
    let codes: Vec<&str> =
        outcomes.iter().map(|outcome| outcome.reason.as_ref().map_or("", |reason| reason.code.as_str())).collect();
    assert_eq!(codes, ["group-rejected", "invalid", ""]);
    assert_eq!(
        world
            .count("SELECT count(*) FROM record AS r JOIN entity AS e ON e.code = r.entity WHERE e.name = 'account'")
            .await,
        1
    );
    assert_eq!(world.app.live().head(), head + 1);
}

#[tokio::test]
async fn what_is_linked_to_is_not_deleted_from_under_it() {
    let world = World::new().await;
    let operator = world.operator();
    let account = world.create(&operator, "account", json!({"name": "Acme"})).await;
    let opportunity =
        world.create(&operator, "opportunity", json!({"name": "Deal", "account": account.to_string()})).await;
    let delete = |entity, record| change(MutationKind::Delete, entity, record, json!({}));
    let refused = world.one(&operator, delete("account", account)).await;
    assert_eq!(reason_code(&refused), "restricted");

    let passages =
        "SELECT count(*) FROM record AS r JOIN entity AS e ON e.code = r.entity WHERE e.name = 'stage_history'";
    assert_eq!(world.count(passages).await, 1);
    let done = world.one(&operator, delete("opportunity", opportunity)).await;
    assert_eq!(done.verdict, Verdict::Applied, "{done:?}");
    assert_eq!(world.count(passages).await, 0, "its passages went with it");
    let done = world.one(&operator, delete("account", account)).await;
    assert_eq!(done.verdict, Verdict::Applied, "{done:?}");
    let again = world.one(&operator, change(MutationKind::Create, "account", account, json!({"name": "Acme"}))).await;
    assert_eq!(reason_code(&again), "already-exists", "a deleted id does not come back");
}

#[tokio::test]
async fn a_bulk_write_is_stored_whole_or_not_at_all() {
    let world = World::new().await;
    let operator = world.operator();
    let head = world.app.live().head();
    let make = |name: String| change(MutationKind::Create, "account", world.id(), json!({"name": name}));
    let mut bulk = world.app.writer().bulk(operator.clone(), crm::rules::Gaps::Keep).await.expect("begun");
    bulk.write((0..50).map(|n| make(format!("Account {n}"))).collect()).await.expect("written");
    let seen: i64 = bulk
        .run(|connection| {
            Box::pin(async move {
                sqlx::query_as("SELECT count(*) FROM record WHERE body ->> 'name' LIKE 'Account %'")
                    .fetch_one(connection)
                    .await
                    .map(|(count,): (i64,)| count)
            })
        })
        .await
        .expect("a query inside");
    assert_eq!(seen, 50);
    bulk.rollback();
    // The next writer waits for the roll-back, so what it sees is what is left.
    let account = world.create(&operator, "account", json!({"name": "After"})).await;
    assert_eq!(world.count("SELECT count(*) FROM record WHERE body ->> 'name' LIKE 'Account %'").await, 0);
    assert_eq!(world.app.live().head(), head + 1);

    let mut bulk = world.app.writer().bulk(operator, crm::rules::Gaps::Keep).await.expect("begun");
    bulk.write(vec![change(MutationKind::Update, "account", account, json!({"name": "Renamed"}))])
        .await
        .expect("written");
    bulk.write(vec![change(MutationKind::Update, "account", account, json!({"name": "Twice"}))])
        .await
        .expect("written");
    assert_eq!(bulk.commit().await.expect("committed"), head + 2, "one sequence for each changed record");
    assert_eq!(world.fields(account).await["name"], json!("Twice"));
}

#[tokio::test]
async fn nobody_links_to_or_changes_what_she_may_not_see() {
    let world = World::new().await;
    let operator = world.operator();
    let (ours, theirs) = (
        world.create(&operator, "team", json!({"name": "Ours"})).await,
        world.create(&operator, "team", json!({"name": "Theirs"})).await,
    );
    let (ana, luis, eva) = (
        world.user("Ana", "sales_rep", Some(ours)).await,
        world.user("Luis", "sales_rep", Some(theirs)).await,
        world.user("Eva", "sales_rep", Some(ours)).await,
    );
    let account = world.create(&luis, "account", json!({"name": "Hidden"})).await;
    let rename = || change(MutationKind::Update, "account", account, json!({"name": "Mine"}));
    assert_eq!(reason_code(&world.one(&ana, rename()).await), "not-found");
    let deal = json!({"name": "Deal", "account": account.to_string()});
    let refused = world.one(&ana, change(MutationKind::Create, "opportunity", world.id(), deal)).await;
    assert_eq!(refused.reason.expect("a reason").fields[0].field, "account");

    let shared = world.create(&eva, "account", json!({"name": "Ours"})).await;
    let refused = world.one(&ana, change(MutationKind::Update, "account", shared, json!({"name": "Mine"}))).await;
    assert_eq!(reason_code(&refused), "forbidden", "she reads her team's and changes her own");
}

#[tokio::test]
async fn a_refused_change_keeps_the_unique_value_that_it_would_have_freed() {
    let world = World::new().await;
    let operator = world.operator();
    let first = world.create(&operator, "product", json!({"name": "One", "sku": "A"})).await;
    world.create(&operator, "product", json!({"name": "Two", "sku": "B"})).await;
    let taken = world.one(&operator, change(MutationKind::Update, "product", first, json!({"sku": "B"}))).await;
    assert_eq!(taken.reason.expect("a reason").fields[0].code, "not-unique");
    let again = change(MutationKind::Create, "product", world.id(), json!({"name": "Three", "sku": "a"}));
    let decision = world.one(&operator, again).await;
    assert_eq!(decision.reason.expect("the first still has it").fields[0].code, "not-unique");
}

#[tokio::test]
async fn a_value_spelt_otherwise_comes_back_as_it_stands() {
    let world = World::new().await;
    let rep = world.user("Ana", "sales_rep", None).await;
    let account = world.create(&rep, "account", json!({"name": "Acme"})).await;
    let same = world.one(&rep, change(MutationKind::Update, "account", account, json!({"name": "  Acme "}))).await;
    assert_eq!(same.server["name"], json!("Acme"), "the device would keep its spaces");
}

#[tokio::test]
async fn what_a_commit_linked_is_not_deleted_from_under_it_by_the_same_commit() {
    let world = World::new().await;
    let operator = world.operator();
    let (account, deal) = (world.id(), world.id());
    let delete = |entity, record| change(MutationKind::Delete, entity, record, json!({}));
    let changes = vec![
        change(MutationKind::Create, "account", account, json!({"name": "Acme"})),
        change(MutationKind::Create, "opportunity", deal, json!({"name": "Deal", "account": account.to_string()})),
        delete("account", account),
        delete("opportunity", deal),
        delete("account", account),
    ];
    let decisions = world.app.writer().write(operator, changes, false).await.expect("a commit");
    let codes: Vec<&str> = decisions.iter().map(reason_code).collect();
    assert_eq!(codes, ["", "", "restricted", "", ""]);
    assert_eq!(world.count("SELECT count(*) FROM record AS r JOIN entity AS e ON e.code = r.entity WHERE e.name IN ('account', 'opportunity', 'stage_history')").await, 0);
}
