//! The pure parts that stand in the way of every change: what one of each costs.

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use crm::Fields;
use crm::expr::{Expr, Variables};
use crm::model::Model;
use crm::rules::{Gaps, check, derive, normalise};
use serde_json::json;
use sync_protocol::cursor::{Cursor, CursorKey};
use sync_protocol::id::TenantId;
use sync_protocol::merge::{Class, merge_set};
use uuid::Uuid;

fn rules(criterion: &mut Criterion) {
    let model = Model::core();
    let opportunity = model.entity("opportunity").expect("the core model has opportunities");
    let account = Uuid::from_u128(7).to_string();
    let fields: Fields = serde_json::from_value(json!({
        "name": "Renovación de taller", "account": account, "stage": "proposal",
        "amount": {"minor": 1_250_000, "currency": "EUR"}, "close_date": "2026-12-31", "probability": 50,
    }))
    .expect("an object");
    let variables = Variables { today: 20_780, now_ms: 1_795_400_000_000, me: None };
    let amount = opportunity.field("amount").expect("it has an amount");
    let changed: BTreeSet<String> = ["stage".to_owned(), "amount".to_owned()].into();
    let open =
        Expr::compile("stage.kind == 'open' && close_date < today + 30 && amount > 100000").expect("it compiles");

    criterion.bench_function("normalise an amount", |bench| {
        bench.iter(|| normalise(amount, black_box(json!({"minor": 1_250_000, "currency": "EUR"}))));
    });
    criterion.bench_function("check a changed opportunity", |bench| {
        bench.iter(|| check(opportunity, Some(&fields), black_box(&fields), &changed, &variables, Gaps::Refuse));
    });
    criterion.bench_function("derive an opportunity's fields", |bench| {
        bench.iter_batched(
            || fields.clone(),
            |mut fields| derive(opportunity, &mut fields, &variables),
            criterion::BatchSize::SmallInput,
        );
    });
    criterion.bench_function("evaluate a filter", |bench| {
        bench.iter(|| open.holds(opportunity, black_box(&fields), &variables));
    });
}

fn protocol(criterion: &mut Criterion) {
    let (key, tenant) = (CursorKey::new([7; 32]), TenantId(Uuid::from_u128(42)));
    let cursor = Cursor {
        epoch: 1,
        seq: 812_000,
        from: 812_000,
        scopes: (1..30).collect(),
        backfill: Vec::new(),
        first_sync: false,
        view: 7,
        gaining: None,
    };
    let sealed = cursor.seal(&key, tenant);
    criterion
        .bench_function("seal a cursor of 30 scopes", |bench| bench.iter(|| black_box(&cursor).seal(&key, tenant)));
    criterion.bench_function("open it", |bench| bench.iter(|| Cursor::open(black_box(&sealed), &key, tenant)));
    let (current, incoming) = (json!("Acme"), json!("Acme, S.A."));
    criterion.bench_function("merge a field", |bench| {
        bench.iter(|| merge_set(Class::Lww, Some(black_box(&current)), &incoming, true));
    });
}

criterion_group!(benches, rules, protocol);
criterion_main!(benches);
