//! Generated keys: made once, never made again over what is there, and rotated when their time has come.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Context;
use super::build::own_labels;
use super::server::{PREVIOUS_TOKEN, TOKEN};
use super::validate::Validated;
use crate::cluster::api::{Created, Place, RequestError};
use crate::cluster::owned::MANAGER;
use crate::cluster::{Kind, labels, names};

/// How long keys that were read count as being there. Secrets are not watched, so one that somebody deleted is missed after
/// this time at the latest.
const BELIEVED: Duration = Duration::from_hours(1);

/// What operator and server know each other by.
#[derive(Clone, Eq, PartialEq)]
pub struct Keys {
    /// The token that counts.
    pub token: String,
    /// The token that counted before.
    pub previous: Option<String>,
    /// How often they were made.
    pub generation: i64,
    /// When they were last made.
    pub rotated_at: Timestamp,
    /// When they were last read.
    read_at: Timestamp,
    resource_version: String,
}

impl Keys {
    /// Whether their time has come.
    #[must_use]
    pub fn is_due(&self, every: Duration, now: Timestamp) -> bool {
        now >= self.rotated_at + every
    }

    fn is_believed(&self, now: Timestamp) -> bool {
        now < self.read_at + BELIEVED
    }

    fn of(secret: &Value, now: Timestamp) -> Self {
        let annotations = &secret["metadata"]["annotations"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rotated_at = text(&annotations[labels::ROTATED_AT]).parse();
        Self {
            token: decoded(&secret["data"][TOKEN]),
            previous: Some(decoded(&secret["data"][PREVIOUS_TOKEN])).filter(|token| !token.is_empty()),
            generation: text(&annotations[labels::SECRET_GENERATION]).parse().unwrap_or(0),
            // Whoever edited this by hand gets new keys.
            rotated_at: rotated_at.unwrap_or(Timestamp::UNIX_EPOCH),
            read_at: now,
            resource_version: text(&secret["metadata"]["resourceVersion"]),
        }
    }
}

/// Days as a Tenant writes them, `90d`; the schema allows nothing else.
#[must_use]
pub fn rotation(rotate_every: &str) -> Duration {
    let days: u64 = rotate_every.trim_end_matches('d').parse().unwrap_or(90);
    Duration::from_secs(days * 86_400)
}

/// The keys of a tenant, made or rotated where that is due.
///
/// # Errors
/// When the API server refused or did not answer.
pub async fn ensure(context: &Context, tenant: &Validated, every: Duration) -> Result<Keys, RequestError> {
    let now = context.clock.now();
    let known = context.known_keys(&tenant.uid).filter(|keys| keys.is_believed(now));
    let place = Place::new(Kind::Secret.resource(), Some(&tenant.namespace), names::INTERNAL);
    let keys = match known {
        Some(keys) => keys,
        None => Keys::of(&made(context, tenant, &place, now).await?, now),
    };
    let keys = if keys.is_due(every, now) { rotated(context, &keys, &place, now).await? } else { keys };
    context.remember_keys(&tenant.uid, keys.clone());
    Ok(keys)
}

async fn made(context: &Context, tenant: &Validated, place: &Place, now: Timestamp) -> Result<Value, RequestError> {
    if let Some(there) = context.cluster.get(place).await? {
        return Ok(there);
    }
    let token = context.entropy.secret();
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names::INTERNAL,
            "namespace": tenant.namespace,
            "labels": own_labels(tenant),
            "annotations": { labels::SECRET_GENERATION: "1", labels::ROTATED_AT: now.to_string() },
        },
        "type": "Opaque",
        "data": { TOKEN: STANDARD.encode(token), PREVIOUS_TOKEN: "" },
    });
    // Created and not applied: a repeated request must not put a second token over the first.
    match context.cluster.create(place, &secret, MANAGER).await? {
        Created::New(secret) | Created::Already(secret) => Ok(secret),
    }
}

/// The state that was read is a condition of the change: when its answer is lost, repeating it is a conflict, and the next
/// reconcile reads what there is.
async fn rotated(context: &Context, keys: &Keys, place: &Place, now: Timestamp) -> Result<Keys, RequestError> {
    let patch = json!({
        "metadata": {
            "resourceVersion": keys.resource_version,
            "annotations": {
                labels::SECRET_GENERATION: (keys.generation + 1).to_string(),
                labels::ROTATED_AT: now.to_string(),
            },
        },
        "data": { TOKEN: STANDARD.encode(context.entropy.secret()), PREVIOUS_TOKEN: STANDARD.encode(&keys.token) },
    });
    Ok(Keys::of(&context.cluster.merge(place, &patch, MANAGER).await?, now))
}

/// The keys of a tenant as they are, without making any.
///
/// # Errors
/// When the API server refused or did not answer.
pub async fn read(context: &Context, uid: &str, namespace: &str) -> Result<Option<Keys>, RequestError> {
    let now = context.clock.now();
    if let Some(known) = context.known_keys(uid).filter(|keys| keys.is_believed(now)) {
        return Ok(Some(known));
    }
    let place = Place::new(Kind::Secret.resource(), Some(namespace), names::INTERNAL);
    let keys = context.cluster.get(&place).await?.map(|secret| Keys::of(&secret, now));
    if let Some(keys) = &keys {
        context.remember_keys(uid, keys.clone());
    }
    Ok(keys)
}

/// Makes the first administrator's password, unless she has it or has used it.
///
/// # Errors
/// When the API server refused or did not answer.
pub async fn offer_first_administrator(context: &Context, tenant: &Validated, email: &str) -> Result<(), RequestError> {
    let place = Place::new(Kind::Secret.resource(), Some(&tenant.namespace), names::FIRST_ADMINISTRATOR);
    if context.has_offered(&tenant.uid) {
        return Ok(());
    }
    if context.cluster.get(&place).await?.is_none() {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": names::FIRST_ADMINISTRATOR, "namespace": tenant.namespace, "labels": own_labels(tenant) },
            "type": "Opaque",
            "data": { "email": STANDARD.encode(email), "password": STANDARD.encode(context.entropy.secret()) },
        });
        context.cluster.create(&place, &secret, MANAGER).await?;
    }
    context.note_offered(&tenant.uid);
    Ok(())
}

/// Takes it away once it was used: a password that lies about is one too many.
///
/// # Errors
/// When the API server refused or did not answer.
pub async fn withdraw_first_administrator(context: &Context, namespace: &str) -> Result<(), RequestError> {
    let place = Place::new(Kind::Secret.resource(), Some(namespace), names::FIRST_ADMINISTRATOR);
    let Some(secret) = context.cluster.get(&place).await? else { return Ok(()) };
    context.cluster.delete(&place, secret["metadata"]["uid"].as_str().unwrap_or_default()).await
}

fn decoded(value: &Value) -> String {
    let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
