//! How the server is, and how it follows what it is entitled to.

use axum::http::Method;
use serde_json::{Value, json};

use crate::tenancy::{EVERYTHING, TOKEN, Tenancy};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_operators_token_is_told_how_the_server_is() {
    let tenancy = Tenancy::start(&json!({ "modules": EVERYTHING })).await;
    let health = tenancy.health().await;
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(health["schema_version"].as_i64().is_some_and(|version| version >= 11), "{health}");
    assert!(health["database_bytes"].as_u64().is_some_and(|bytes| bytes > 4_096), "{health}");
    assert_eq!((&health["power"], &health["has_administrator"]), (&json!("running"), &json!(false)));
    assert_eq!(health["entitlements_sha256"].as_str().map(str::len), Some(64));
    tenancy.person("eva@example.com", "admin").await;
    let later = tenancy.health().await;
    assert_eq!((&later["has_administrator"], &later["errors"]), (&json!(true), &json!(0)));
    let requests = |health: &Value| health["requests"].as_u64().expect("a number");
    assert!(later["p95_ms"].is_u64(), "{later}");
    assert!(requests(&later) > requests(&health), "she was answered: {later}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_replaced_while_the_server_runs_and_nobody_else_is_told_anything() {
    let tenancy = Tenancy::start(&json!({ "modules": EVERYTHING })).await;
    for token in [None, Some(""), Some("another"), Some(&TOKEN[1..])] {
        let refused = tenancy.ask_health(token).await;
        assert_eq!((refused.code(), refused.status.as_u16()), ("unauthenticated", 401), "{token:?}");
    }
    tenancy.put("internal", &[("token", "the-next-one\n"), ("previous", TOKEN)]);
    for token in ["the-next-one", TOKEN] {
        tenancy.ask_health(Some(token)).await.expect(200);
    }
    tenancy.put("internal", &[("token", "the-next-one"), ("previous", "")]);
    tenancy.ask_health(Some(TOKEN)).await.expect(401);
    tenancy.ask(Some("the-next-one"), Method::GET, "/internal/health", Value::Null).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_of_tokens_there_is_no_such_route() {
    let entitlements = json!({ "modules": EVERYTHING });
    let tenancy = Tenancy::start_with(&entitlements, |config| config.operator.token_dir = None).await;
    assert_eq!(tenancy.ask_health(Some(TOKEN)).await.code(), "unknown-route");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_leaves_in_force_what_was_and_is_measured() {
    let read_only = json!({ "modules": EVERYTHING, "power": "read_only" });
    let tenancy = Tenancy::start(&read_only).await;
    let before = tenancy.health().await["entitlements_sha256"].clone();
    let unread = async |wanted: u8| {
        let line = format!("cartera_entitlements_unread {wanted}");
        let text = tenancy.server.app().metrics().encode(0, 0);
        text.lines().any(|own| own == line)
    };
    tenancy.put("entitlements", &[("entitlements.json", "{\"modules\": ")]);
    tenancy.until("the complaint", async || unread(1).await).await;
    let health = tenancy.health().await;
    assert_eq!((&health["entitlements_sha256"], &health["power"]), (&before, &json!("read_only")));
    tenancy.entitle(&json!({ "modules": ["sales", "a module of tomorrow"], "display_name": "Acme" })).await;
    tenancy.until("the end of the complaint", async || unread(0).await).await;
    assert_eq!(tenancy.health().await["power"], "running");
}
