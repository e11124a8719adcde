//! A server with an empty tenant, spoken to over its routes as the operator.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::{Extension, Router};
use crm::model::Language;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::app::{App, router};
use crate::platform::auth::LocalOperator;
use crate::platform::clock::SystemClock;
use crate::platform::config::Config;
use crate::platform::entropy::SeededEntropy;

pub(crate) struct World {
    pub(crate) app: App,
    router: Router,
    folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::open(tempfile::tempdir().expect("a temporary folder")).await
    }

    /// With the stage that the crm-sales data has beside the core ones.
    pub(crate) async fn with_overlay() -> Self {
        let world = Self::new().await;
        let yaml = include_str!("../../../../tests/crm-sales/overlay.yaml");
        let mut tx = world.app.db().write().await.expect("the writing transaction");
        sqlx::query("INSERT INTO model_layer (position, name, yaml, applied_ms) VALUES (1, 'crm-sales', $1, 0)")
            .bind(yaml)
            .execute(&mut *tx)
            .await
            .expect("the overlay is stored");
        tx.commit().await.expect("committed");
        world.app.close().await;
        Self::open(world.folder).await
    }

    async fn open(folder: TempDir) -> Self {
        let mut config = Config::with_data_dir(folder.path());
        config.language = Language::En;
        let app = App::open(config, Arc::new(SystemClock), Arc::new(SeededEntropy::new(7))).await.expect("opens");
        let router = router(&app).layer(Extension(LocalOperator::new()));
        Self { app, router, folder }
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Body, kind: &str) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", kind).body(body);
        let response = self.router.clone().oneshot(request.expect("a request")).await.expect("an answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, Body::from(body.to_string()), "application/json").await
    }

    /// The bytes of an answer to the operator, or to who has this token.
    pub(crate) async fn fetch(&self, path: &str, token: Option<&str>) -> (StatusCode, Vec<u8>) {
        let mut request = Request::builder().uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        (status, response.into_body().collect().await.expect("a body").to_bytes().to_vec())
    }

    /// Adds a person and returns the token of her session.
    pub(crate) async fn sign_in(&self, email: &str, role: &str) -> String {
        let password = "a long enough password";
        let (status, said) =
            self.post("/api/v1/users", &json!({"email": email, "role": role, "password": password})).await;
        assert!(status.is_success(), "{said}");
        let (status, said) = self.post("/api/v1/sessions", &json!({"email": email, "password": password})).await;
        assert!(status.is_success(), "{said}");
        said["token"].as_str().expect("a token").to_owned()
    }

    /// Posts as who has this token.
    pub(crate) async fn call_as(&self, token: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        let response = self.router.clone().oneshot(request.expect("a request")).await.expect("an answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Imports bytes and returns the import as it ended.
    pub(crate) async fn import(&self, entity: &str, name: &str, bytes: Vec<u8>, mapping: &str, dry_run: bool) -> Value {
        let mapping: Value = serde_saphyr::from_str(mapping).expect("YAML");
        let request = json!({"entity": entity, "file_name": name, "dry_run": dry_run, "mapping": mapping});
        let (status, job) = self.post("/api/v1/imports", &request).await;
        assert_eq!(status, StatusCode::CREATED, "{job}");
        let path = format!("/api/v1/imports/{}", job["id"].as_str().expect("an id"));
        let (status, job) =
            self.call(Method::PUT, &format!("{path}/file"), Body::from(bytes), "application/octet-stream").await;
        assert_eq!(status, StatusCode::ACCEPTED, "{job}");
        loop {
            let (_, job) = self.call(Method::GET, &path, Body::empty(), "").await;
            if job["state"] != "running" {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Imports one of the shared crm-sales files.
    pub(crate) async fn import_sales(&self, entity: &str, name: &str, mapping: &str, dry_run: bool) -> Value {
        let path = super::super::test_data("crm-sales").join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.import(entity, name, bytes, mapping, dry_run).await
    }

    /// One number from the database.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.app.db().readers()).await.expect("a number")
    }

    /// The fields of every record of an entity.
    pub(crate) async fn records(&self, entity: &str) -> Vec<Value> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM record WHERE entity = (SELECT code FROM entity WHERE name = $1) ORDER BY seq",
        )
        .bind(entity)
        .fetch_all(self.app.db().readers())
        .await
        .expect("records");
        bodies.iter().map(|body| serde_json::from_str(body).expect("JSON")).collect()
    }

    pub(crate) async fn count(&self, entity: &str) -> usize {
        self.records(entity).await.len()
    }
}

/// How many rows of an import have a problem of this kind in this field.
pub(crate) fn rows_with(job: &Value, severity: &str, code: &str, field: &str) -> u64 {
    let groups = job["problems"].as_array().into_iter().flatten();
    groups
        .filter(|group| group["severity"] == severity && group["code"] == code && group["field"] == field)
        .filter_map(|group| group["rows"].as_u64())
        .sum()
}
