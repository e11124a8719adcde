//! Any text as an expression: compiled, checked, evaluated and translated, or refused.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crm::Fields;
use crm::expr::{Dialect, Expr, Variables};
use crm::model::Model;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use uuid::Uuid;

static MODEL: LazyLock<Arc<Model>> = LazyLock::new(Model::core);

/// An empty deal, and one in which every kind of field holds something.
static RECORDS: LazyLock<[Fields; 2]> = LazyLock::new(|| {
    let id = Uuid::from_u128(7).to_string();
    let full = json!({
        "name": "Cocina a gas", "account": id, "stage": "proposal", "amount": {"minor": i64::MAX, "currency": "EUR"},
        "cost": {"minor": -1, "currency": "EUR"}, "own_probability": 40, "close_date": "2026-02-28", "products": [id],
        "contacts": [id], "tags": ["a", "ñ"], "owner": id, "start_date": "2024-02-29", "created_on": 1_700_000_000_000_i64,
    });
    [BTreeMap::new(), serde_json::from_value(full).expect("an object")]
});

fuzz_target!(|source: &str| {
    let Ok(expression) = Expr::compile(source) else { return };
    assert_eq!(expression.source(), source, "an expression keeps its source");
    let entity = MODEL.entity("opportunity").expect("the core model has opportunities");
    let variables = Variables { today: 20_780, now_ms: 1_795_392_000_000, me: Some(Uuid::from_u128(7)) };
    let kind = expression.result_type(entity);
    // An expression that does not fit is not evaluated by anybody, and must not hurt who does.
    for record in RECORDS.iter() {
        let _ = expression.eval(entity, record, &variables);
        let _ = expression.holds(entity, record, &variables);
    }
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let sql = expression.to_sql(entity, dialect, "r.body", &variables);
        assert_eq!(sql.is_ok(), kind.is_ok(), "what fits has SQL and nothing else has: {kind:?} {sql:?}");
        let _ = expression.to_sql_within("r.open", entity, dialect, "r.body", &variables);
    }
});
