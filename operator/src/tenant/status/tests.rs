use serde_json::{Value, json};

use super::*;
use crate::cluster::index::Index;
use crate::cluster::labels;
use crate::crd::Truth;
use crate::tenant::build::build;
use crate::tenant::fixture::dereferenced;
use crate::tenant::validate::validate;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

struct World {
    tenant: Value,
    platform: Value,
    children: Vec<(Kind, Value)>,
    health: Option<Result<Health, String>>,
    failure: Option<(&'static str, String)>,
    planned: Option<Vec<PlannedChange>>,
}

impl World {
    fn new() -> Self {
        Self {
            tenant: json!({}),
            platform: json!({ "spec": { "gateway": { "mode": "None" } } }),
            children: Vec::new(),
            health: None,
            failure: None,
            planned: None,
        }
    }

    fn serving() -> Self {
        let mut world = Self::new();
        let metadata = |name: &str| json!({ "name": name, "uid": name, "resourceVersion": "1", "labels": { labels::TENANT_UID: "6f1c2a30-0000-4000-8000-000000000001" } });
        world.children = vec![
            (Kind::Namespace, json!({ "metadata": metadata("t-acme-6f1c2a") })),
            (
                Kind::PersistentVolumeClaim,
                json!({ "metadata": metadata("cartera-data"), "spec": { "volumeName": "v" }, "status": { "phase": "Bound", "capacity": { "storage": "10Gi" } } }),
            ),
            (
                Kind::Pod,
                json!({ "metadata": metadata("cartera-0"), "status": { "conditions": [{ "type": "Ready", "status": "True" }] } }),
            ),
        ];
        let validated = validate(&dereferenced(&world.tenant, &world.platform)).expect("a tenant");
        let obeyed = sha256(&entitlements(&validated));
        world.health = Some(Ok(Health {
            version: "0.1.0".into(),
            schema_version: 31,
            database_bytes: 5 << 20,
            entitlements_sha256: Some(obeyed),
            ..Health::default()
        }));
        world
    }

    fn status(&self) -> TenantStatus {
        let found = dereferenced(&self.tenant, &self.platform);
        let validated = validate(&found);
        let wanted = validated.as_ref().map(|validated| build(validated, None)).unwrap_or_default();
        let index = Index::default();
        for (kind, object) in &self.children {
            index.put_child(*kind, object);
        }
        let children = index.children("6f1c2a30-0000-4000-8000-000000000001");
        let is_paused = found.tenant.spec.reconcile.mode == crate::crd::ReconcileMode::Paused;
        let findings = Found {
            validated: validated.as_ref(),
            plan: None,
            wanted: &wanted,
            children: &children,
            keys: None,
            rotate_every: Duration::from_secs(1),
            health: self.health.clone(),
            failure: self.failure.clone(),
            planned: self.planned.clone(),
            is_paused,
        };
        status(&found.tenant, &findings, NOW)
    }

    fn condition(&self, kind: &str) -> (Truth, String, String) {
        let status = self.status();
        let condition =
            status.conditions.iter().find(|condition| condition.kind == kind).expect("every condition is there");
        (condition.status, condition.reason.clone(), condition.message.clone())
    }
}

#[test]
fn a_tenant_that_serves_is_ready_and_its_status_says_what_the_server_said() {
    let world = World::serving();
    assert_eq!(world.condition("Ready").0, Truth::True, "{:?}", world.condition("Ready"));
    assert_eq!(world.condition("Progressing").1, "Settled");
    insta::assert_json_snapshot!(world.status());
}

#[test]
fn a_status_that_is_computed_again_is_the_same() {
    let mut world = World::serving();
    let first = world.status();
    world.tenant = json!({ "status": first });
    assert_eq!(world.status(), first);
    // Some records more are not news.
    if let Some(Ok(health)) = &mut world.health {
        health.database_bytes += 4_096;
    }
    assert_eq!(world.status(), first);
}

#[test]
fn every_trouble_of_a_pod_names_what_to_do() {
    for (reason, expected, advice) in [
        ("ImagePullBackOff", "ImageNotPulled", "correct version.image"),
        ("CrashLoopBackOff", "Crashing", "kubectl logs"),
    ] {
        let mut world = World::serving();
        world.health = None;
        world.children[2].1["status"] =
            json!({ "containerStatuses": [{ "state": { "waiting": { "reason": reason, "message": "m" } } }] });
        let (truth, found, message) = world.condition("Ready");
        assert_eq!((truth, &*found), (Truth::False, expected));
        assert!(message.starts_with("WorkloadReady: ") && message.contains(advice), "{message}");
    }
}

#[test]
fn each_stage_on_the_way_says_what_it_waits_for() {
    let mut world = World::serving();
    let mut reasons = Vec::new();
    for kept in 0..=3 {
        world.children = World::serving().children.into_iter().take(kept).collect();
        world.health = None;
        reasons.push(world.condition("Ready").1);
    }
    assert_eq!(reasons, ["NotMade", "NotMade", "NoPod", "NotAsked"]);
    world.health = Some(Ok(Health::default()));
    assert_eq!(world.condition("Ready").1, "Pending");
}

#[test]
fn a_refused_tenant_says_why_and_looks_at_nothing_else() {
    let mut world = World::serving();
    world.tenant = json!({ "spec": { "modules": ["service"] } });
    assert_eq!(world.condition("Ready").1, "ModuleNotInPlan");
    assert_eq!(world.condition("WorkloadReady").0, Truth::Unknown);
}

#[test]
fn a_failure_is_degraded_and_stops_progress() {
    let mut world = World::new();
    world.failure = Some(("Forbidden", "could not apply Service t-acme/cartera".into()));
    assert_eq!(world.condition("Degraded").1, "Forbidden");
    assert_eq!(world.condition("Progressing").1, "Stopped");
}

#[test]
fn protection_plans_and_pauses_are_conditions() {
    let mut world = World::serving();
    world.tenant = json!({ "metadata": { "deletionTimestamp": "2026-11-02T08:00:00Z" } });
    assert_eq!(world.condition("DeletionBlocked").1, "Protected");
    assert_eq!(world.condition("Ready").0, Truth::True);
    world.tenant = json!({ "spec": { "reconcile": { "mode": "Plan" } } });
    world.planned =
        Some(vec![PlannedChange { op: crate::crd::Operation::Update, kind: "Service".into(), name: "cartera".into() }]);
    assert_eq!(world.condition("Drifted").1, "ChangesPlanned");
    world.tenant = json!({ "spec": { "reconcile": { "mode": "Paused" } }, "status": world.status() });
    world.planned = None;
    assert_eq!(world.condition("Paused").0, Truth::True);
    assert_eq!(world.condition("WorkloadReady").1, "AsLastSeen");
}
