//! What is kept of a child: which version of it, what was applied, and the few facts that a tenant's status follows from.

use std::sync::Arc;

use serde_json::Value;

use super::kind::Kind;
use super::labels;

/// A child as it was last seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which object: a name is used again, this is not.
    pub uid: Box<str>,
    /// Which state of it.
    pub resource_version: u64,
    /// The digest of what was last applied.
    pub applied: Option<Box<str>>,
    /// The fields that are still the operator's; one value for all tenants of a shape.
    pub fields: Arc<Value>,
    /// It is being deleted.
    pub is_going: bool,
    /// What its status says.
    pub facts: Facts,
}

/// What a tenant's status follows from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Facts {
    /// Nothing follows from this kind.
    None,
    /// A namespace.
    Namespace {
        /// What holds up its deletion.
        held_by: Option<Box<str>>,
    },
    /// A claim.
    Claim {
        /// It has its volume.
        is_bound: bool,
        /// The volume's name.
        volume: Option<Box<str>>,
        /// The volume's size, as it is written.
        capacity: Option<Box<str>>,
    },
    /// Generated keys.
    Secret {
        /// How often they were made.
        generation: i64,
        /// When they were last made.
        rotated_at: Option<Box<str>>,
    },
    /// A StatefulSet.
    StatefulSet {
        /// The image of its template.
        image: Option<Box<str>>,
    },
    /// A pod.
    Pod {
        /// It takes requests.
        is_ready: bool,
        /// Why it does not, as the node says it: a reason and a message.
        trouble: Option<(Box<str>, Box<str>)>,
        /// The digest of what it was started for.
        restart: Option<Box<str>>,
        /// The image that it runs.
        image: Option<Box<str>>,
    },
    /// A route or certificate that another controller reports on.
    Reported {
        /// Whether that controller accepts it; nothing while it has not said.
        accepted: Option<bool>,
        /// What it says.
        message: Box<str>,
    },
}

impl Seen {
    /// Reads what counts from an object.
    #[must_use]
    pub fn of(kind: Kind, object: &Value, fields: Arc<Value>) -> Self {
        let metadata = &object["metadata"];
        Self {
            uid: boxed(&metadata["uid"]).unwrap_or_default(),
            resource_version: text(&metadata["resourceVersion"]).parse().unwrap_or(0),
            applied: boxed(&metadata["annotations"][labels::APPLIED_HASH]),
            fields,
            is_going: !metadata["deletionTimestamp"].is_null(),
            facts: facts(kind, object),
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn boxed(value: &Value) -> Option<Box<str>> {
    value.as_str().map(Into::into)
}

fn facts(kind: Kind, object: &Value) -> Facts {
    let annotations = &object["metadata"]["annotations"];
    let status = &object["status"];
    match kind {
        Kind::Namespace => Facts::Namespace { held_by: held_by(status) },
        Kind::PersistentVolumeClaim => Facts::Claim {
            is_bound: status["phase"] == "Bound",
            volume: boxed(&object["spec"]["volumeName"]),
            capacity: boxed(&status["capacity"]["storage"]),
        },
        Kind::Secret => Facts::Secret {
            generation: text(&annotations[labels::SECRET_GENERATION]).parse().unwrap_or(0),
            rotated_at: boxed(&annotations[labels::ROTATED_AT]),
        },
        Kind::StatefulSet => {
            Facts::StatefulSet { image: boxed(&object["spec"]["template"]["spec"]["containers"][0]["image"]) }
        }
        Kind::Pod => Facts::Pod {
            is_ready: condition(&status["conditions"], "Ready").is_some_and(|ready| ready["status"] == "True"),
            trouble: trouble(status),
            restart: boxed(&annotations[labels::RESTART]),
            image: boxed(&object["spec"]["containers"][0]["image"]),
        },
        // A Gateway reports on each parent of a route by itself; there is one.
        Kind::HTTPRoute => reported(&status["parents"][0]["conditions"], "Accepted"),
        Kind::Certificate => reported(&status["conditions"], "Ready"),
        Kind::Ingress => {
            let is_there = status["loadBalancer"]["ingress"].as_array().is_some_and(|points| !points.is_empty());
            Facts::Reported { accepted: is_there.then_some(true), message: Box::default() }
        }
        _ => Facts::None,
    }
}

fn condition<'a>(conditions: &'a Value, kind: &str) -> Option<&'a Value> {
    conditions.as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn reported(conditions: &Value, kind: &str) -> Facts {
    let found = condition(conditions, kind);
    Facts::Reported {
        accepted: found.and_then(|found| match text(&found["status"]) {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        }),
        message: found.map(|found| text(&found["message"]).into()).unwrap_or_default(),
    }
}

/// What the namespace controller says that a namespace still waits for.
fn held_by(status: &Value) -> Option<Box<str>> {
    ["NamespaceFinalizersRemaining", "NamespaceContentRemaining", "NamespaceDeletionContentFailure"]
        .iter()
        .filter_map(|kind| condition(&status["conditions"], kind))
        .find(|condition| condition["status"] == "True")
        .map(|condition| text(&condition["message"]).into())
}

/// Why a pod does not come up: what its container waits for, or why no node takes it.
fn trouble(status: &Value) -> Option<(Box<str>, Box<str>)> {
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    let unscheduled = condition(&status["conditions"], "PodScheduled").filter(|found| found["status"] == "False");
    let said = if waiting["reason"].is_string() { waiting } else { unscheduled? };
    // Every pod is in these for a moment.
    if matches!(text(&said["reason"]), "ContainerCreating" | "PodInitializing") {
        return None;
    }
    Some((text(&said["reason"]).into(), text(&said["message"]).into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pods_trouble_is_what_its_node_or_the_scheduler_says() {
        let pod = |status: Value| {
            facts(Kind::Pod, &json!({ "spec": { "containers": [{ "image": "i" }] }, "status": status }))
        };
        let waiting = |reason: &str| json!({ "containerStatuses": [{ "state": { "waiting": { "reason": reason, "message": "m" } } }] });
        let of = |facts: Facts| match facts {
            Facts::Pod { trouble, .. } => trouble.map(|(reason, _)| reason.into_string()),
            _ => None,
        };
        assert_eq!(of(pod(waiting("ImagePullBackOff"))).as_deref(), Some("ImagePullBackOff"));
        assert_eq!(of(pod(waiting("ContainerCreating"))), None);
        let unscheduled =
            json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" }] });
        assert_eq!(of(pod(unscheduled)).as_deref(), Some("Unschedulable"));
    }
}
