//! The same objects by a plain client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use cartera_operator::cluster::capabilities::Capabilities;
use cartera_operator::cluster::labels;
use cartera_operator::tenant::build::build;
use cartera_operator::tenant::dereference::Dereferenced;
use cartera_operator::tenant::validate::validate;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use crate::fleet;

/// Seconds until the pods of so many tenants are ready.
pub async fn measure(count: usize) -> Result<f64> {
    let client = fleet::client().await?;
    let objects: Vec<Vec<(ApiResource, Value)>> = (0..count).map(objects).collect::<Result<_>>()?;
    println!("{} objects for each tenant", objects.first().map_or(0, Vec::len));
    let began = Instant::now();
    stream::iter(objects)
        .map(|objects| apply(client.clone(), objects))
        .buffer_unordered(fleet::WORKERS)
        .try_for_each(async |()| Ok(()))
        .await?;
    println!("applied after {:.1} s", began.elapsed().as_secs_f64());
    let pods: Api<Pod> = Api::all(client);
    let ours = ListParams::default().labels(&labels::ours());
    while ready(&pods.list(&ours).await?.items) < count {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(began.elapsed().as_secs_f64())
}

fn ready(pods: &[Pod]) -> usize {
    let is_ready = |pod: &&Pod| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    pods.iter().filter(is_ready).count()
}

/// What the operator makes for a tenant, its keys among it.
fn objects(number: usize) -> Result<Vec<(ApiResource, Value)>> {
    let mut tenant = fleet::tenant(number);
    tenant["metadata"]["uid"] = json!(format!("{number:06x}00-0000-4000-8000-000000000000"));
    let found = Dereferenced {
        tenant: Arc::new(serde_json::from_value(tenant)?),
        plan: Some(Arc::new(serde_json::from_value(fleet::plan())?)),
        platform: Some(Arc::new(serde_json::from_value(fleet::platform())?)),
        capabilities: Capabilities::default(),
        children: BTreeMap::new(),
        held_hosts: BTreeMap::new(),
    };
    let validated = validate(&found).map_err(|refusal| anyhow!(refusal.message))?;
    let children = build(&validated, None);
    let mut objects: Vec<(ApiResource, Value)> =
        children.iter().map(|child| (child.kind.resource(), child.sealed())).collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "cartera-internal", "namespace": validated.namespace },
        "data": { "token": "dG9rZW4=", "previous": "" },
    });
    objects.insert(1, (ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&()), secret));
    Ok(objects)
}

async fn apply(client: Client, objects: Vec<(ApiResource, Value)>) -> Result<()> {
    let person = PatchParams::apply("person").force();
    for (resource, object) in objects {
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        api.patch(object["metadata"]["name"].as_str().unwrap_or_default(), &person, &Patch::Apply(&object)).await?;
    }
    Ok(())
}
