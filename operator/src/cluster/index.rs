//! What the cluster was last seen to hold, compactly: reconciling reads this and not the API server.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use serde_json::Value;

use super::digest::digest;
use super::kind::Kind;
use super::labels;
use super::owned::owned_fields;
use super::seen::{Facts, Seen};
use crate::crd::{FleetRollout, Plan, PlatformConfig, Tenant};

/// Which tenant: its uid.
pub type TenantUid = String;

/// The children of one tenant, by kind and name.
pub type Children = BTreeMap<(Kind, String), Seen>;

/// What was last seen. Cheap to share; every method takes its lock for a moment.
#[derive(Debug, Default)]
pub struct Index(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tenants: HashMap<TenantUid, Arc<Tenant>>,
    plans: HashMap<String, Arc<Plan>>,
    rollouts: HashMap<String, Arc<FleetRollout>>,
    platform: Option<Arc<PlatformConfig>>,
    children: HashMap<TenantUid, Children>,
    /// Field sets: the same for all tenants of a shape, so each is kept once.
    fields: HashMap<String, Arc<Value>>,
}

impl Index {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// Notes a tenant, unless a later state of it is known.
    pub fn put_tenant(&self, mut tenant: Tenant) -> Option<TenantUid> {
        let uid = tenant.uid()?;
        lighten(&mut tenant.metadata);
        let mut inner = self.inner();
        let is_old = inner.tenants.get(&uid).is_some_and(|known| version(&**known) > version(&tenant));
        if !is_old {
            inner.tenants.insert(uid.clone(), Arc::new(tenant));
        }
        Some(uid)
    }

    /// Forgets a tenant that is gone. What is left of its children is forgotten as it goes.
    pub fn remove_tenant(&self, uid: &str) {
        self.inner().tenants.remove(uid);
    }

    /// The tenant with that uid.
    #[must_use]
    pub fn tenant(&self, uid: &str) -> Option<Arc<Tenant>> {
        self.inner().tenants.get(uid).cloned()
    }

    /// All tenants.
    #[must_use]
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.inner().tenants.values().cloned().collect()
    }

    /// Notes a plan, and says which tenants name it.
    pub fn put_plan(&self, mut plan: Plan) -> Vec<TenantUid> {
        lighten(&mut plan.metadata);
        let name = plan.name_any();
        self.inner().plans.insert(name.clone(), Arc::new(plan));
        self.tenants_of(&name)
    }

    /// Forgets a plan, and says which tenants name it.
    pub fn remove_plan(&self, name: &str) -> Vec<TenantUid> {
        self.inner().plans.remove(name);
        self.tenants_of(name)
    }

    /// The plan with that name.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<Arc<Plan>> {
        self.inner().plans.get(name).cloned()
    }

    /// All plans.
    #[must_use]
    pub fn plans(&self) -> Vec<Arc<Plan>> {
        self.inner().plans.values().cloned().collect()
    }

    /// The tenants that name a plan.
    #[must_use]
    pub fn tenants_of(&self, plan: &str) -> Vec<TenantUid> {
        let inner = self.inner();
        let names_it = |tenant: &Tenant| tenant.spec.subscription.plan_ref.name == plan;
        inner.tenants.iter().filter(|(_, tenant)| names_it(tenant)).map(|(uid, _)| uid.clone()).collect()
    }

    /// Notes a roll-out, unless a later state of it is known. Whether somebody has said something new of it: its status alone is
    /// none.
    pub fn put_rollout(&self, mut rollout: FleetRollout) -> bool {
        lighten(&mut rollout.metadata);
        let mut inner = self.inner();
        let name = rollout.name_any();
        let known = inner.rollouts.get(&name).filter(|known| known.uid() == rollout.uid());
        let is_old = known.is_some_and(|known| version(&**known) > version(&rollout));
        let said = |rollout: &FleetRollout| (rollout.metadata.generation, rollout.annotations().clone());
        let is_news = !is_old && known.is_none_or(|known| said(known) != said(&rollout));
        if !is_old {
            inner.rollouts.insert(name, Arc::new(rollout));
        }
        is_news
    }

    /// Forgets a roll-out that is gone.
    pub fn remove_rollout(&self, name: &str) {
        self.inner().rollouts.remove(name);
    }

    /// The roll-out with that name.
    #[must_use]
    pub fn rollout(&self, name: &str) -> Option<Arc<FleetRollout>> {
        self.inner().rollouts.get(name).cloned()
    }

    /// All roll-outs.
    #[must_use]
    pub fn rollouts(&self) -> Vec<Arc<FleetRollout>> {
        self.inner().rollouts.values().cloned().collect()
    }

    /// Notes what all tenants have in common.
    pub fn put_platform(&self, platform: Option<PlatformConfig>) {
        self.inner().platform = platform.map(Arc::new);
    }

    /// What all tenants have in common.
    #[must_use]
    pub fn platform(&self) -> Option<Arc<PlatformConfig>> {
        self.inner().platform.clone()
    }

    /// Notes a child, unless a later state of it is known, and says whose it is.
    pub fn put_child(&self, kind: Kind, object: &Value) -> Option<TenantUid> {
        let uid = tenant_uid(object)?;
        let name = object["metadata"]["name"].as_str()?.to_owned();
        let mut inner = self.inner();
        let fields = inner.shared(owned_fields(object));
        let seen = Seen::of(kind, object, fields);
        let children = inner.children.entry(uid.clone()).or_default();
        let key = (kind, name);
        let is_old = children
            .get(&key)
            .is_some_and(|known| known.uid == seen.uid && known.resource_version > seen.resource_version);
        if !is_old {
            children.insert(key, seen);
        }
        Some(uid)
    }

    /// Forgets a child that is gone, and says whose it was. One that was made anew since then stays.
    pub fn remove_child(&self, kind: Kind, object: &Value) -> Option<TenantUid> {
        let uid = tenant_uid(object)?;
        let name = object["metadata"]["name"].as_str()?;
        let gone = object["metadata"]["uid"].as_str().unwrap_or_default();
        self.forget(&uid, kind, name, |seen| &*seen.uid == gone);
        Some(uid)
    }

    /// Forgets a child that is known to be gone.
    pub fn forget(&self, uid: &str, kind: Kind, name: &str, is_it: impl Fn(&Seen) -> bool) {
        let mut inner = self.inner();
        let Some(children) = inner.children.get_mut(uid) else { return };
        let key = (kind, name.to_owned());
        if children.get(&key).is_some_and(is_it) {
            children.remove(&key);
        }
        if children.is_empty() {
            inner.children.remove(uid);
        }
    }

    /// Forgets the tenants that a list did not have.
    pub fn retain_tenants(&self, listed: &HashSet<String>) {
        self.inner().tenants.retain(|uid, _| listed.contains(uid));
    }

    /// Forgets the plans that a list did not have; their names, and the tenants of each.
    pub fn retain_plans(&self, listed: &HashSet<String>) -> Vec<(String, Vec<TenantUid>)> {
        let is_gone = |plan: &Plan| plan.uid().is_none_or(|uid| !listed.contains(&uid));
        let gone = self.plans().into_iter().filter(|plan| is_gone(plan)).map(|plan| plan.name_any());
        gone.map(|name| (name.clone(), self.remove_plan(&name))).collect()
    }

    /// Forgets the roll-outs that a list did not have.
    pub fn retain_rollouts(&self, listed: &HashSet<String>) {
        self.inner().rollouts.retain(|_, rollout| rollout.uid().is_some_and(|uid| listed.contains(&uid)));
    }

    /// Forgets the children of a kind that a list did not have, and says whose they were.
    pub fn retain_children(&self, kind: Kind, listed: &HashSet<String>) -> HashSet<TenantUid> {
        let mut touched = HashSet::new();
        let mut inner = self.inner();
        for (uid, children) in &mut inner.children {
            let before = children.len();
            children.retain(|(of, _), seen| *of != kind || listed.contains(&*seen.uid));
            if children.len() < before {
                touched.insert(uid.clone());
            }
        }
        inner.children.retain(|_, children| !children.is_empty());
        touched
    }

    /// The children of a tenant.
    #[must_use]
    pub fn children(&self, uid: &str) -> Children {
        self.inner().children.get(uid).cloned().unwrap_or_default()
    }
}

impl Inner {
    fn shared(&mut self, fields: Value) -> Arc<Value> {
        self.fields.entry(digest(&fields)).or_insert_with(|| Arc::new(fields)).clone()
    }
}

/// Leaves out who set which field, and the copy of all of it that `kubectl apply` may keep: nothing of it is asked for, and it
/// is more than the rest.
fn lighten(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

fn tenant_uid(object: &Value) -> Option<TenantUid> {
    object["metadata"]["labels"][labels::TENANT_UID].as_str().map(str::to_owned)
}

/// The API server counts them up, so a later state has a larger one.
fn version<K: kube::ResourceExt>(object: &K) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0)
}

impl Seen {
    /// Whether this is the namespace that its tenant may use: its own, and not on its way out.
    #[must_use]
    pub fn is_usable_namespace(&self) -> bool {
        matches!(&self.facts, Facts::Namespace { .. }) && !self.is_going
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(version: &str, uid: &str) -> Value {
        json!({ "metadata": {
            "name": "cartera", "namespace": "t-acme-000000", "uid": uid, "resourceVersion": version,
            "labels": { labels::TENANT_UID: "acme-uid" }, "annotations": { labels::APPLIED_HASH: version },
        } })
    }

    fn hash(index: &Index) -> Option<String> {
        let children = index.children("acme-uid");
        let seen = children.get(&(Kind::Service, "cartera".into()))?;
        seen.applied.as_deref().map(str::to_owned)
    }

    #[test]
    fn events_that_come_late_twice_or_in_another_order_change_nothing() {
        let index = Index::default();
        for version in ["7", "9", "9", "8"] {
            index.put_child(Kind::Service, &service(version, "first"));
        }
        assert_eq!(hash(&index).as_deref(), Some("9"));
        // Made anew: the end of the first comes after the beginning of the second.
        index.put_child(Kind::Service, &service("12", "second"));
        index.remove_child(Kind::Service, &service("11", "first"));
        assert_eq!(hash(&index).as_deref(), Some("12"));
        index.remove_child(Kind::Service, &service("13", "second"));
        assert_eq!(hash(&index), None);
    }

    #[test]
    fn a_new_list_forgets_what_is_no_longer_there() {
        let index = Index::default();
        index.put_child(Kind::Service, &service("7", "first"));
        assert_eq!(index.retain_children(Kind::ConfigMap, &HashSet::new()).len(), 0);
        assert_eq!(hash(&index).as_deref(), Some("7"));
        assert_eq!(index.retain_children(Kind::Service, &HashSet::new()).len(), 1);
        assert_eq!(hash(&index), None);
    }
}
