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

pub(super) struct World {
    pub(super) app: App,
    router: Router,
    folder: TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::open(tempfile::tempdir().expect("a temporary folder")).await
    }

    /// With the stage that the crm-sales data has beside the core ones.
    pub(super) async fn with_overlay() -> Self {
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

    pub(super) async fn call(&self, method: Method, path: &str, body: Body, kind: &str) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", kind).body(body);
        let response = self.router.clone().oneshot(request.expect("a request")).await.expect("an answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, Body::from(body.to_string()), "application/json").await
    }

    /// Imports bytes and returns the import as it ended.
    pub(super) async fn import(&self, entity: &str, name: &str, bytes: Vec<u8>, mapping: &str, dry_run: bool) -> Value {
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
    pub(super) async fn import_sales(&self, entity: &str, name: &str, mapping: &str, dry_run: bool) -> Value {
        let path = super::super::test_data("crm-sales").join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.import(entity, name, bytes, mapping, dry_run).await
    }

    /// One number from the database.
    pub(super) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.app.db().readers()).await.expect("a number")
    }

    /// The fields of every record of an entity.
    pub(super) async fn records(&self, entity: &str) -> Vec<Value> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM record WHERE entity = (SELECT code FROM entity WHERE name = $1) ORDER BY seq",
        )
        .bind(entity)
        .fetch_all(self.app.db().readers())
        .await
        .expect("records");
        bodies.iter().map(|body| serde_json::from_str(body).expect("JSON")).collect()
    }

    pub(super) async fn count(&self, entity: &str) -> usize {
        self.records(entity).await.len()
    }
}

/// How many rows of an import have a problem of this kind in this field.
pub(super) fn rows_with(job: &Value, severity: &str, code: &str, field: &str) -> u64 {
    let groups = job["problems"].as_array().into_iter().flatten();
    groups
        .filter(|group| group["severity"] == severity && group["code"] == code && group["field"] == field)
        .filter_map(|group| group["rows"].as_u64())
        .sum()
}
