//! A world to test in: a real API server, an operator whose time, randomness and network belong to the test.

#![allow(dead_code, reason = "each test uses its part of the world")]

pub mod fault;
pub mod operator;
pub mod running;
pub mod volume;
pub mod watch_fault;

use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tower::util::BoxService;

use self::running::until;
use cartera_operator::cluster::{definitions, merge_patch};
use cartera_operator::crd::{FleetRollout, Plan, PlatformConfig, Tenant};

/// An image by its digest; the digit tells it from others.
pub fn image(digit: &str) -> String {
    format!("registry.example/cartera@sha256:{}", digit.repeat(64))
}

/// What is made while a definition is applied may be refused: no test does it under the hands of another.
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// The cluster that `KUBECONFIG` names, with our custom resources.
pub async fn cluster() -> Client {
    assert!(std::env::var_os("KUBECONFIG").is_some(), "KUBECONFIG names no cluster: make cluster-test starts one");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = builder(&config().await).build();
    INSTALLED.get_or_init(|| install_definitions(&client)).await;
    client
}

async fn config() -> kube::Config {
    kube::Config::infer().await.expect("KUBECONFIG names a cluster")
}

/// What requests go through.
pub type Service =
    BoxService<http::Request<kube::client::Body>, http::Response<Box<kube::client::DynBody>>, tower::BoxError>;

/// A client for a cluster, before layers.
fn builder(config: &kube::Config) -> ClientBuilder<Service> {
    let mut config = config.clone();
    config.default_retry = false;
    ClientBuilder::try_from(config).expect("a client")
}

/// Brings our custom resources to a cluster.
pub async fn install_definitions(client: &Client) {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for name in definitions::apply(client.clone()).await.expect("definitions are accepted") {
        let established = kube::runtime::conditions::is_crd_established();
        kube::runtime::wait::await_condition(api.clone(), &name, established)
            .await
            .expect("a definition is established");
    }
    // Established, and still a moment from being answered for: 429, "storage is (re)initializing".
    is_answered_for::<Tenant>(client).await;
    is_answered_for::<Plan>(client).await;
    is_answered_for::<PlatformConfig>(client).await;
    is_answered_for::<FleetRollout>(client).await;
}

async fn is_answered_for<K>(client: &Client)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    until("list of a kind of ours", async || api.list_metadata(&ListParams::default().limit(1)).await.ok().map(|_| ()))
        .await;
}

/// A control namespace of a test's own, with a plan and a platform.
pub struct Home {
    /// Its name.
    pub namespace: String,
    /// A client without faults.
    pub client: Client,
    config: kube::Config,
}

impl Home {
    /// Makes one on the cluster that `KUBECONFIG` names.
    pub async fn new(client: &Client) -> Self {
        Self::on(client, config().await).await
    }

    /// Makes one on the cluster that a kubeconfig leads to, which gets our custom resources.
    pub async fn reach(kubeconfig: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a configuration");
        let client = builder(&config).build();
        install_definitions(&client).await;
        Self::on(&client, config).await
    }

    async fn on(client: &Client, config: kube::Config) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("home-{}-{number}", std::process::id());
        let home = Self { namespace, client: client.clone(), config };
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": home.namespace } });
        home.apply_at(&ApiResource::erase::<k8s_openapi::api::core::v1::Namespace>(&()), None, &namespace).await;
        home.apply(&plan("team")).await;
        home.apply(&platform(&json!({}))).await;
        home
    }

    /// A client for its cluster, before layers.
    pub fn builder(&self) -> ClientBuilder<Service> {
        builder(&self.config)
    }

    /// Applies an object of ours as a person would.
    pub async fn apply(&self, object: &Value) -> Value {
        self.apply_at(&resource(object), Some(&self.namespace), object).await
    }

    /// Tries to; a refusal is its message.
    pub async fn try_apply(&self, object: &Value) -> Result<Value, String> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource(object));
        let name = object["metadata"]["name"].as_str().expect("a name");
        let applied = api.patch(name, &PatchParams::apply("person").force(), &Patch::Apply(object)).await;
        applied.map(|object| json!(object)).map_err(|error| error.to_string())
    }

    async fn apply_at(&self, resource: &ApiResource, namespace: Option<&str>, object: &Value) -> Value {
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        let name = object["metadata"]["name"].as_str().expect("a name");
        let applied = api.patch(name, &PatchParams::apply("person").force(), &Patch::Apply(object)).await;
        json!(applied.unwrap_or_else(|error| panic!("{object} was refused: {error}")))
    }

    /// The tenants of this namespace.
    pub fn tenants(&self) -> Api<Tenant> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn resource(object: &Value) -> ApiResource {
    match object["kind"].as_str().expect("a kind") {
        "Tenant" => ApiResource::erase::<Tenant>(&()),
        "Plan" => ApiResource::erase::<Plan>(&()),
        "PlatformConfig" => ApiResource::erase::<PlatformConfig>(&()),
        "FleetRollout" => ApiResource::erase::<FleetRollout>(&()),
        kind => panic!("{kind} is none of ours"),
    }
}

/// A plan.
pub fn plan(name: &str) -> Value {
    json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "Plan", "metadata": { "name": name },
        "spec": {
            "displayName": name, "entitlements": { "modules": ["sales", "visits"], "maxUsers": 10 },
            "resources": {
                "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "memory": "64Mi" }, "storage": "50Gi",
            },
        },
    })
}

/// The platform, with `patch` merged into it. Without, tenants are reached within the cluster alone.
pub fn platform(patch: &Value) -> Value {
    let mut platform = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "PlatformConfig", "metadata": { "name": "default" },
        "spec": { "baseDomain": "crm.example", "channels": { "stable": image("1") }, "gateway": { "mode": "None" } },
    });
    merge_patch(&mut platform, patch);
    platform
}

/// A roll-out to an image, of one wave.
pub fn rollout(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "FleetRollout", "metadata": { "name": name },
        "spec": { "to": { "image": image }, "waves": [{ "name": "all", "soak": "2s" }] },
    })
}

/// A tenant, with `patch` merged into it. It may run on simulated nodes.
pub fn tenant(name: &str, patch: &Value) -> Value {
    let mut tenant = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "Tenant", "metadata": { "name": name },
        "spec": {
            "displayName": name, "subscription": { "planRef": { "name": "team" } },
            "database": { "storage": { "size": "1Gi", "className": "kwok-volume" } },
            "deletion": { "protected": false },
            "isolation": { "tolerations": [{ "key": "kwok.x-k8s.io/node", "operator": "Exists" }] },
        },
    });
    merge_patch(&mut tenant, patch);
    tenant
}
