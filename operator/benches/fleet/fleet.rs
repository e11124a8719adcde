//! The objects that people apply: a namespace, what is sold, and tenants.

use anyhow::{Context as _, Result};
use cartera_operator::crd::{Plan, PlatformConfig, Tenant};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::client::ClientBuilder;
use serde_json::{Value, json};

/// The namespace of all of them.
pub const HOME: &str = "fleet";
/// Requests at a time.
pub const WORKERS: usize = 16;

/// A client that sends nothing again.
pub async fn client() -> Result<Client> {
    let mut config = kube::Config::infer().await.context("KUBECONFIG names no cluster")?;
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?.build())
}

pub fn platform() -> Value {
    json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "PlatformConfig",
        "metadata": { "name": "default", "namespace": HOME },
        "spec": {
            "baseDomain": "crm.example", "gateway": { "mode": "None" },
            "channels": { "stable": format!("registry.example/cartera@sha256:{}", "1".repeat(64)) },
        },
    })
}

pub fn plan() -> Value {
    json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "Plan", "metadata": { "name": "team", "namespace": HOME },
        "spec": {
            "displayName": "Team", "entitlements": { "modules": ["sales"], "maxUsers": 10 },
            "resources": {
                "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "memory": "64Mi" }, "storage": "10Gi",
            },
        },
    })
}

pub fn tenant(number: usize) -> Value {
    json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "Tenant",
        "metadata": { "name": name(number), "namespace": HOME },
        "spec": {
            "displayName": format!("Tenant {number}"), "subscription": { "planRef": { "name": "team" } },
            "database": { "storage": { "size": "1Gi", "className": "kwok-volume" } },
            "isolation": { "tolerations": [{ "key": "kwok.x-k8s.io/node", "operator": "Exists" }] },
        },
    })
}

pub fn name(number: usize) -> String {
    format!("f{number:05}")
}

/// Makes the namespace, the plan and the platform.
pub async fn found(client: &Client) -> Result<()> {
    cartera_operator::cluster::definitions::apply(client.clone()).await?;
    let person = PatchParams::apply("person");
    let home = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": HOME } });
    Api::<Namespace>::all(client.clone()).patch(HOME, &person, &Patch::Apply(&home)).await?;
    // Definitions take a moment until objects of theirs are taken.
    let plans: Api<Plan> = Api::namespaced(client.clone(), HOME);
    while plans.patch("team", &person, &Patch::Apply(&plan())).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let platforms: Api<PlatformConfig> = Api::namespaced(client.clone(), HOME);
    platforms.patch("default", &person, &Patch::Apply(&platform())).await?;
    Ok(())
}

/// Applies tenants with these numbers.
pub async fn apply(client: &Client, numbers: std::ops::Range<usize>) -> Result<()> {
    let tenants: Api<Tenant> = Api::namespaced(client.clone(), HOME);
    let person = PatchParams::apply("person");
    stream::iter(numbers)
        .map(|number| {
            let (tenants, person) = (&tenants, &person);
            async move { tenants.patch(&name(number), person, &Patch::Apply(&tenant(number))).await }
        })
        .buffer_unordered(WORKERS)
        .try_for_each(async |_| Ok(()))
        .await
        .context("a tenant was refused")
}
