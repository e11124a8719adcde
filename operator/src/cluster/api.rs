//! The API server, asked with patience: each request has its limit and is sent again where that makes sense.

use std::future::Future;
use std::sync::Arc;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::ApiResource;
use kube::{Client, Resource, ResourceExt as _};
use serde_json::Value;

use super::clock::Clock;
use super::retry::{REQUEST_LIMIT, pause_before_retry};
use crate::telemetry::Metrics;

/// A request that failed for good: what was attempted, on what.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {what}")]
pub struct RequestError {
    /// What was attempted.
    pub action: &'static str,
    /// On what.
    pub what: String,
    /// What the API server or the network said.
    #[source]
    pub source: Box<kube::Error>,
}

impl RequestError {
    /// What the API server said, for people.
    #[must_use]
    pub fn said(&self) -> String {
        match &*self.source {
            kube::Error::Api(status) => status.message.clone(),
            error => error.to_string(),
        }
    }

    /// The HTTP status, where somebody answered.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match &*self.source {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }
}

/// Where an object is.
#[derive(Clone, Debug)]
pub struct Place {
    resource: ApiResource,
    namespace: Option<String>,
    name: String,
}

impl Place {
    /// An object of a namespace, or of the cluster.
    #[must_use]
    pub fn new(resource: ApiResource, namespace: Option<&str>, name: &str) -> Self {
        Self { resource, namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }

    /// An object that is at hand.
    #[must_use]
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        Self::new(ApiResource::erase::<K>(&()), object.namespace().as_deref(), &object.name_any())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ", self.resource.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(formatter, "{namespace}/")?;
        }
        formatter.write_str(&self.name)
    }
}

/// Whether something was made, or there already.
#[derive(Debug)]
pub enum Created {
    /// Made now.
    New(Value),
    /// Somebody made it before; maybe this very request, whose answer was lost.
    Already(Value),
}

/// The API server.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Cluster {
    /// Asks through `client`, which must not send anything again by itself.
    #[must_use]
    pub fn new(client: Client, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self { client, clock, metrics }
    }

    /// What is measured of requests, and of everything else.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The client itself, for watching.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    fn api(&self, place: &Place) -> Api<DynamicObject> {
        match &place.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &place.resource),
            None => Api::all_with(self.client.clone(), &place.resource),
        }
    }

    async fn ask<T, F>(&self, action: &'static str, place: &Place, request: impl Fn() -> F) -> Result<T, RequestError>
    where
        F: Future<Output = kube::Result<T>>,
    {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = tokio::select! {
                // First: the time counts from before the request is made.
                biased;
                () = self.clock.limit(REQUEST_LIMIT) => Err(timed_out()),
                answer = request() => answer,
            };
            self.metrics.asked(verb(action), &place.resource.kind, code(&answer));
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = pause_before_retry(&error, tries) else {
                return Err(RequestError { action, what: place.to_string(), source: Box::new(error) });
            };
            tracing::debug!(object = %place, request.tries = tries, error = %error, "a request is sent again");
            self.clock.pause(pause).await;
        }
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When it could not be found out whether there is one.
    pub async fn get(&self, place: &Place) -> Result<Option<Value>, RequestError> {
        let api = self.api(place);
        Ok(self.ask("read", place, || api.get_opt(&place.name)).await?.map(as_json))
    }

    /// Makes an object what `object` says, in all that it says, whoever said something else.
    ///
    /// # Errors
    /// When it was refused or nobody answered.
    pub async fn apply(&self, place: &Place, object: &Value, manager: &str) -> Result<Value, RequestError> {
        let api = self.api(place);
        let parameters = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..PatchParams::apply(manager).force()
        };
        let patch = Patch::Apply(object);
        Ok(as_json(self.ask("apply", place, || api.patch(&place.name, &parameters, &patch)).await?))
    }

    /// The same for the status of an object.
    ///
    /// # Errors
    /// When it was refused or nobody answered.
    pub async fn apply_status(&self, place: &Place, object: &Value, manager: &str) -> Result<Value, RequestError> {
        let api = self.api(place);
        let parameters = PatchParams::apply(manager).force();
        let patch = Patch::Apply(object);
        Ok(as_json(
            self.ask("apply the status of", place, || api.patch_status(&place.name, &parameters, &patch)).await?,
        ))
    }

    /// Merges `patch` into an object.
    ///
    /// # Errors
    /// When it was refused or nobody answered.
    pub async fn merge(&self, place: &Place, patch: &Value, manager: &str) -> Result<Value, RequestError> {
        let api = self.api(place);
        let parameters = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(patch);
        Ok(as_json(self.ask("change", place, || api.patch(&place.name, &parameters, &patch)).await?))
    }

    /// Makes an object that is not there.
    ///
    /// # Errors
    /// When it was refused or nobody answered; that it is there already is none.
    ///
    /// # Panics
    /// When `object` is no object of Kubernetes.
    pub async fn create(&self, place: &Place, object: &Value, manager: &str) -> Result<Created, RequestError> {
        let api = self.api(place);
        let parameters = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        let object: DynamicObject = serde_json::from_value(object.clone()).expect("what is built here is an object");
        match self.ask("make", place, || api.create(&parameters, &object)).await {
            Ok(made) => Ok(Created::New(as_json(made))),
            Err(error) if error.code() == Some(409) => match self.get(place).await? {
                Some(there) => Ok(Created::Already(there)),
                // It went between the two; the next reconcile makes it.
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Deletes an object if it is still the one with that uid. That there is none is fine.
    ///
    /// # Errors
    /// When it was refused or nobody answered.
    pub async fn delete(&self, place: &Place, uid: &str) -> Result<(), RequestError> {
        let api = self.api(place);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        match self.ask("delete", place, || api.delete(&place.name, &parameters)).await {
            Ok(_) => Ok(()),
            // Gone, or another one by that name.
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What an action is called where requests are measured.
fn verb(action: &'static str) -> &'static str {
    match action {
        "read" => "get",
        "apply" | "apply the status of" => "apply",
        "change" => "patch",
        "make" => "create",
        other => other,
    }
}

fn code<T>(answer: &kube::Result<T>) -> Option<u16> {
    match answer {
        Ok(_) => Some(200),
        Err(kube::Error::Api(status)) => Some(status.code),
        Err(_) => None,
    }
}

fn timed_out() -> kube::Error {
    let what = std::io::Error::new(std::io::ErrorKind::TimedOut, "the API server did not answer in time");
    kube::Error::Service(Box::new(what))
}

fn as_json(object: DynamicObject) -> Value {
    serde_json::to_value(object).expect("what came as JSON is JSON")
}
