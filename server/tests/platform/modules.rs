//! Modules that are switched off: nobody reads or does anything of theirs, and nothing of them is lost.

use axum::http::Method;
use serde_json::{Value, json};

use crate::tenancy::{EVERYTHING, Tenancy};

/// A phone that tells the model it holds, as the protocol says.
struct Phone<'a> {
    tenancy: &'a Tenancy,
    token: String,
    cursor: Value,
    model: Value,
}

impl Phone<'_> {
    /// Exchanges until there is nothing more; all operations.
    async fn pull(&mut self) -> Vec<Value> {
        let mut told = Vec::new();
        loop {
            let body = json!({ "protocol": 1, "cursor": self.cursor, "model": self.model });
            let answer = self.tenancy.post(&self.token, "/sync/v1/exchange", body).await.expect(200);
            told.extend(answer["operations"].as_array().expect("a list").iter().cloned());
            let is_done = answer["more"] == false && answer["model"] == self.model;
            self.cursor = answer["cursor"].clone();
            self.model = answer["model"].clone();
            if is_done {
                return told;
            }
        }
    }

    async fn push(&self, mutation: Value) -> Value {
        let body = json!({ "protocol": 1, "cursor": self.cursor, "model": self.model, "mutations": [mutation] });
        self.tenancy.post(&self.token, "/sync/v1/exchange", body).await.expect(200)["outcomes"][0].clone()
    }

    async fn entities_in_chunks(&self) -> Vec<String> {
        let manifest = self.tenancy.post(&self.token, "/sync/v1/manifest", json!({ "protocol": 1 })).await.expect(200);
        let chunks = manifest["chunks"].as_array().expect("a list");
        chunks.iter().map(|chunk| chunk["entity"].as_str().expect("a name").to_owned()).collect()
    }
}

fn with(modules: &[&str]) -> Value {
    json!({ "modules": modules })
}

fn puts<'a>(operations: &'a [Value], entity: &str) -> Vec<&'a Value> {
    operations.iter().filter(|told| told["op"] == "put" && told["entity"] == entity).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_is_nowhere_and_is_there_again_when_it_is_switched_on() {
    let tenancy = Tenancy::start(&with(&EVERYTHING)).await;
    let eva = tenancy.person("eva@example.com", "admin").await;
    let account =
        tenancy.post(&eva, "/api/v1/account", json!({ "fields": { "name": "Astilleros" } })).await.expect(201);
    let deal = json!({ "name": "Grúas del puerto", "account": account["id"] });
    let deal = tenancy.post(&eva, "/api/v1/opportunity", json!({ "fields": deal })).await.expect(201);
    let path = format!("/api/v1/opportunity/{}", deal["id"].as_str().expect("an id"));
    let token = tenancy.enrol("eva@example.com").await;
    let mut phone = Phone { tenancy: &tenancy, token, cursor: Value::Null, model: Value::Null };
    let told = phone.pull().await;
    assert_eq!((puts(&told, "opportunity").len(), puts(&told, "stage_history").len()), (1, 1), "{told:?}");
    assert!(phone.entities_in_chunks().await.contains(&"opportunity".to_owned()));

    tenancy.entitle(&with(&["leads", "catalogue"])).await;
    for path in [
        "/api/v1/opportunity",
        "/api/v1/opportunity/summary",
        "/api/v1/opportunity/export",
        "/api/v1/stage_history",
        "/api/v1/competitor",
        path.as_str(),
        format!("{path}/history").as_str(),
    ] {
        assert_eq!(tenancy.get(&eva, path).await.code(), "unknown-entity", "{path}");
    }
    let refused = tenancy.ask(Some(&eva), Method::PATCH, &path, json!({ "set": { "next_step": "Llamar" } })).await;
    assert_eq!(refused.code(), "unknown-entity");
    let found = tenancy.get(&eva, "/api/v1/search?q=puerto").await.expect(200);
    assert_eq!(found["items"], json!([]));
    let model = tenancy.get(&eva, "/api/v1/model").await.expect(200);
    assert!(model["entities"].get("opportunity").is_none() && model["entities"].get("lead").is_some());
    tenancy.get(&eva, "/api/v1/account").await.expect(200);

    let told = phone.pull().await;
    assert!(told.iter().any(|told| told["op"] == "scope_drop") && puts(&told, "opportunity").is_empty(), "{told:?}");
    assert!(!phone.entities_in_chunks().await.contains(&"opportunity".to_owned()));
    let update = json!({ "id": 1, "kind": "update", "entity": "opportunity", "record": deal["id"], "base": deal["seq"], "set": { "next_step": "Llamar" }, "at_ms": 1 });
    let outcome = phone.push(update).await;
    assert_eq!((&outcome["verdict"], &outcome["reason"]["code"]), (&json!("rejected"), &json!("unknown-entity")));

    tenancy.entitle(&with(&EVERYTHING)).await;
    assert_eq!(tenancy.get(&eva, &path).await.expect(200)["fields"]["name"], "Grúas del puerto");
    let told = phone.pull().await;
    assert_eq!((puts(&told, "opportunity").len(), puts(&told, "stage_history").len()), (1, 1), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_that_is_laid_while_a_module_is_off_does_not_switch_it_on() {
    let tenancy = Tenancy::start(&with(&["sales"])).await;
    let eva = tenancy.person("eva@example.com", "admin").await;
    let yaml = "entity: lead\nfields:\n  berth: {type: text, labels: {es: Atraque, en: Berth}}\n";
    let layer = json!({ "name": "berths", "yaml": yaml });
    tenancy.post(&eva, "/api/v1/model/layers", layer).await.expect(200);
    assert_eq!(tenancy.get(&eva, "/api/v1/lead").await.code(), "unknown-entity");
    tenancy.entitle(&with(&["sales", "leads"])).await;
    let lead = json!({ "fields": { "name": "Ana Ruiz", "berth": "M-1" } });
    tenancy.post(&eva, "/api/v1/lead", lead).await.expect(201);
}
