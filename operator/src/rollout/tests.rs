//! Roll-outs over a fleet in memory: tenants become ready with their image after a while, or never.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::aim::{Aim, aim};
use super::decide::{APPROVED_WAVE, Decision, counts, decide};
use super::fleet::members;
use super::gate::trouble;
use super::progress::{Progress, Standing, standings};
use super::report::failures;
use super::window::Window;
use crate::cluster::merge_patch;
use crate::crd::{FleetRollout, Gates, RolloutState, Tenant};
use crate::tenant::Next;
use crate::tenant::fixture::{image, platform, tenant};
use crate::tenant::server::Health;

/// Shortly after the roll-out was made.
const BEGIN: Timestamp = Timestamp::constant(1_793_606_400, 0);
/// How long a server takes to be ready with another image.
const START: SignedDuration = SignedDuration::from_secs(12);

fn rollout(spec: &Value) -> FleetRollout {
    let mut rollout = json!({
        "apiVersion": "cartera.dev/v1alpha1", "kind": "FleetRollout",
        "metadata": { "name": "spring", "namespace": "cartera-tenants", "creationTimestamp": "2026-11-02T08:00:00Z" },
        "spec": {
            "to": { "image": image("2") },
            "waves": [{ "name": "all", "soak": "10m" }],
            "gates": { "readyWithin": "1m" },
        },
    });
    merge_patch(&mut rollout, &json!({ "spec": spec }));
    serde_json::from_value(rollout).expect("a roll-out")
}

/// A tenant that is ready with the first image.
fn ready(name: &str, patch: &Value) -> Tenant {
    let conditions = ["Ready", "Accepted"].map(|kind| {
        json!({ "type": kind, "status": "True", "reason": "R", "message": "m", "lastTransitionTime": "1969-01-01T00:00:00Z" })
    });
    let mut whole = json!({
        "metadata": { "name": name, "uid": name },
        "status": { "version": { "image": image("1"), "schemaVersion": 31 }, "conditions": conditions },
    });
    merge_patch(&mut whole, patch);
    tenant(&whole)
}

struct Fleet {
    rollout: FleetRollout,
    tenants: Vec<Tenant>,
    /// Those that the new image does not work for.
    broken: BTreeSet<String>,
    now: Timestamp,
    window: Result<Window, String>,
    most_in_flight: i64,
}

impl Fleet {
    fn new(rollout: FleetRollout, count: usize) -> Self {
        let tenants = (0..count).map(|number| ready(&format!("t{number:03}"), &json!({}))).collect();
        Self { rollout, tenants, broken: BTreeSet::new(), now: BEGIN, window: Ok(Window::Open), most_in_flight: 0 }
    }

    fn aim(&self) -> Aim {
        aim(&self.rollout, Some(&platform(&json!({})))).expect("an aim")
    }

    fn standings(&self) -> Vec<Standing> {
        let tenants: Vec<Arc<Tenant>> = self.tenants.iter().cloned().map(Arc::new).collect();
        standings(members(&self.rollout, &tenants, &[]), &self.rollout, &self.aim(), self.now)
    }

    /// One reconcile, and what servers do until the next.
    fn step(&mut self) -> Decision {
        self.start_servers();
        let standings = self.standings();
        let decision = decide(&self.rollout, &standings, self.window.clone(), self.now);
        let image = self.aim().image;
        for tenant in &decision.start {
            self.set(&tenant.name_any(), &image);
        }
        for (tenant, former) in &decision.give_back {
            self.set(&tenant.name_any(), former);
        }
        let in_flight = counts(&standings).in_flight + i64::try_from(decision.start.len()).expect("a small number");
        self.most_in_flight = self.most_in_flight.max(in_flight);
        let mut status = self.rollout.status.clone().unwrap_or_default();
        status.image = Some(image);
        status.wave = Some(self.rollout.spec.waves[decision.wave].name.clone());
        status.failures = failures(&standings);
        status.soaking_since = decision.soaking_since.map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time);
        self.rollout.status = Some(status);
        self.now += match decision.next {
            Next::After(pause) => SignedDuration::try_from(pause).expect("a short pause"),
            Next::WhenChanged => SignedDuration::from_mins(10),
        };
        decision
    }

    /// Steps until it is in a state that it stays in; the states that it passed through, each once.
    fn run(&mut self) -> (Vec<(RolloutState, String)>, Decision) {
        let mut passed: Vec<(RolloutState, String)> = Vec::new();
        for _ in 0..10_000 {
            let decision = self.step();
            let now = (decision.state, self.rollout.spec.waves[decision.wave].name.clone());
            if passed.last() != Some(&now) {
                passed.push(now);
            }
            let is_standing = matches!(decision.state, RolloutState::Paused | RolloutState::Waiting);
            if decision.state == RolloutState::Succeeded || (is_standing && !self.is_moving()) {
                return (passed, decision);
            }
        }
        panic!("it comes to no end: {passed:?}");
    }

    fn is_moving(&self) -> bool {
        counts(&self.standings()).in_flight > 0
    }

    fn set(&mut self, name: &str, image: &str) {
        let now = self.now;
        let tenant = self.tenants.iter_mut().find(|tenant| tenant.name_any() == name).expect("a tenant");
        let version = tenant.status.as_mut().and_then(|status| status.version.as_mut()).expect("a version");
        version.previous.clone_from(&version.image);
        version.target = Some(image.to_owned());
        version.target_since = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        version.rollout_ref = Some("spring".to_owned());
    }

    /// What tenants' own reconciles and their servers do meanwhile.
    fn start_servers(&mut self) {
        let now = self.now;
        let image_of_rollout = self.aim().image;
        for tenant in &mut self.tenants {
            let is_broken = self.broken.contains(&tenant.name_any());
            let status = tenant.status.as_mut().expect("a status");
            let version = status.version.as_mut().expect("a version");
            let Some(target) = version.target.clone() else { continue };
            version.image = Some(target.clone());
            let since = version.target_since.clone().expect("a time").0;
            let is_ready = now >= since + START && !(is_broken && target == image_of_rollout);
            let condition = status.conditions.iter_mut().find(|condition| condition.kind == "Ready").expect("Ready");
            let truth = if is_ready { crate::crd::Truth::True } else { crate::crd::Truth::False };
            if condition.status != truth {
                condition.status = truth;
                condition.last_transition_time.0 = now;
            }
        }
    }

    fn images(&self) -> Vec<String> {
        let of = |tenant: &Tenant| tenant.status.as_ref()?.version.as_ref()?.image.clone();
        self.tenants.iter().filter_map(of).collect()
    }
}

#[test]
fn waves_come_one_after_the_other_and_each_is_watched_for_a_while() {
    let waves = json!({ "waves": [
        { "name": "first", "count": 2, "soak": "5m" },
        { "name": "tenth", "percent": 10, "soak": "1h" },
        { "name": "rest", "soak": "0s" },
    ] });
    let mut fleet = Fleet::new(rollout(&waves), 30);
    let (passed, last) = fleet.run();
    let expected = [
        (RolloutState::Updating, "first"),
        (RolloutState::Soaking, "first"),
        (RolloutState::Updating, "tenth"),
        (RolloutState::Soaking, "tenth"),
        (RolloutState::Updating, "rest"),
        (RolloutState::Succeeded, "rest"),
    ];
    assert_eq!(passed, expected.map(|(state, wave)| (state, wave.to_owned())));
    assert_eq!(last.why.1, "all tenants run the image");
    assert!(fleet.images().iter().all(|held| *held == image("2")));
    assert!(fleet.now >= BEGIN + SignedDuration::from_mins(65), "both waves were watched");
    assert_eq!(fleet.most_in_flight, 20, "as many as may be on their way");
}

proptest! {
    #[test]
    fn it_stops_by_itself_before_many_are_hurt(
        count in 1_usize..60,
        broken in proptest::collection::btree_set(0_usize..60, 0..60),
        most in 1_i32..10,
        budget in 1_i32..5,
        percent in proptest::option::of(1_i32..20),
        first in 1_i32..10,
    ) {
        let spec = json!({
            "waves": [{ "name": "first", "count": first, "soak": "1m" }, { "name": "rest", "soak": "1m" }],
            "maxInFlight": most, "failureBudget": { "count": budget, "percent": percent },
        });
        let mut fleet = Fleet::new(rollout(&spec), count);
        fleet.broken = broken.iter().filter(|number| **number < count).map(|number| format!("t{number:03}")).collect();
        let (_, last) = fleet.run();
        let standings = fleet.standings();
        let counts = counts(&standings);
        let share = percent.map(|percent| (count * usize::try_from(percent).expect("small")).div_ceil(100));
        let budget = usize::try_from(budget).expect("small").max(share.unwrap_or_default());
        prop_assert!(fleet.most_in_flight <= i64::from(most));
        let failed = usize::try_from(counts.failed).expect("small");
        prop_assert!(failed < budget + usize::try_from(most).expect("small"), "{} failed", failed);
        if fleet.broken.len() < budget {
            prop_assert_eq!(last.state, RolloutState::Succeeded);
            prop_assert_eq!(counts.updated + counts.failed, counts.total);
        } else {
            prop_assert_eq!((last.state, last.why.0), (RolloutState::Paused, "FailureBudget"));
            prop_assert!(failed >= budget);
        }
    }
}

#[test]
fn a_wave_that_is_rolled_back_has_its_former_image_and_the_roll_out_stands_still() {
    let spec = json!({
        "onFailure": "RollbackWave", "maxInFlight": 3,
        "waves": [{ "name": "first", "count": 2, "soak": "0s" }, { "name": "rest", "soak": "0s" }],
    });
    let mut fleet = Fleet::new(rollout(&spec), 8);
    fleet.broken.insert("t003".to_owned());
    let (_, last) = fleet.run();
    assert_eq!((last.state, last.why.0), (RolloutState::Paused, "FailureBudget"));
    // Three at a time, as many as may be on their way.
    for _ in 0..10 {
        assert!(fleet.step().give_back.len() <= 3);
    }
    fleet.start_servers();
    let images = fleet.images();
    assert_eq!(
        images.iter().filter(|held| **held == image("2")).count(),
        2,
        "those of the wave before stay: {images:?}"
    );
    assert_eq!(fleet.step().start.len(), 0);
}

#[test]
fn a_failed_tenant_that_recovers_lets_it_go_on() {
    let mut fleet = Fleet::new(rollout(&json!({ "maxInFlight": 1 })), 3);
    fleet.broken.insert("t001".to_owned());
    assert_eq!(fleet.run().1.state, RolloutState::Paused);
    let failures: Vec<String> = fleet
        .standings()
        .into_iter()
        .filter_map(|standing| match standing.progress {
            Progress::Failed(reason) => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(failures, ["it was not ready within 1m: m"]);
    fleet.broken.clear();
    let ready_at = fleet.now;
    while fleet.step().state == RolloutState::Paused {}
    assert!(fleet.now >= ready_at + SignedDuration::from_mins(10), "it is watched as long as its wave");
    assert_eq!(fleet.run().1.state, RolloutState::Succeeded);
}

#[test]
fn a_roll_out_by_a_name_that_another_one_had_begins_anew() {
    let mut fleet = Fleet::new(rollout(&json!({})), 2);
    assert_eq!(fleet.run().1.state, RolloutState::Succeeded);
    let mut again = rollout(&json!({ "to": { "image": image("3") } }));
    again.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(fleet.now));
    fleet.rollout = again;
    fleet.now += SignedDuration::from_secs(1);
    assert_eq!(fleet.run().1.state, RolloutState::Succeeded);
    assert!(fleet.images().iter().all(|held| *held == image("3")));
}

#[test]
fn a_server_that_comes_and_goes_while_it_is_watched_has_failed() {
    let mut fleet = Fleet::new(rollout(&json!({})), 1);
    while fleet.step().state != RolloutState::Soaking {}
    fleet.now += SignedDuration::from_mins(2);
    fleet.broken.insert("t000".to_owned());
    assert_eq!(fleet.step().why.0, "FailureBudget");
    fleet.broken.clear();
    assert_eq!(fleet.step().why.0, "FailureBudget", "a moment is not enough");
}

#[test]
fn a_wave_waits_for_approval_and_for_its_window() {
    let waves = json!({ "waves": [{ "name": "all", "approval": "Manual", "soak": "0s" }] });
    let mut fleet = Fleet::new(rollout(&waves), 2);
    let waiting = fleet.step();
    assert_eq!(
        (waiting.state, waiting.why.0, waiting.next),
        (RolloutState::Waiting, "Approval", Next::After(Duration::from_mins(1)))
    );
    assert!(waiting.why.1.ends_with("kubectl annotate --overwrite fleetrollout spring cartera.dev/approved-wave=all"));
    fleet.rollout.annotations_mut().insert(APPROVED_WAVE.to_owned(), "all".to_owned());
    fleet.window = Ok(Window::OpensAt(fleet.now + SignedDuration::from_secs(90)));
    let waiting = fleet.step();
    assert_eq!((waiting.state, waiting.why.0), (RolloutState::Waiting, "Window"));
    fleet.window = Ok(Window::Open);
    assert_eq!(fleet.run().1.state, RolloutState::Succeeded);
}

#[test]
fn a_roll_out_touches_nobody_who_is_not_its_own() {
    let mut fleet = Fleet::new(rollout(&json!({ "to": { "image": null, "channel": "canary" } })), 1);
    let channel = |channel: &str| json!({ "spec": { "version": { "channel": channel } } });
    let pinned = json!({ "spec": { "version": { "channel": "pinned", "image": image("9") } } });
    fleet.tenants =
        vec![ready("stable", &channel("stable")), ready("pinned", &pinned), ready("canary", &channel("canary"))];
    let mut paused = channel("canary");
    merge_patch(&mut paused, &json!({ "spec": { "reconcile": { "mode": "Paused" } } }));
    fleet.tenants.push(ready("paused", &paused));
    let platform = platform(&json!({ "spec": { "channels": { "canary": image("3") } } }));
    let aimed = aim(&fleet.rollout, Some(&platform)).expect("an aim");
    assert_eq!(aimed.image, image("3"));
    let tenants = || fleet.tenants.iter().cloned().map(Arc::new).collect::<Vec<_>>();
    let all = standings(members(&fleet.rollout, &tenants(), &[]), &fleet.rollout, &aimed, BEGIN);
    let found: Vec<_> = all.iter().map(|standing| (standing.tenant.name_any(), standing.progress.clone())).collect();
    assert_eq!(found, [("canary".to_owned(), Progress::Waiting), ("paused".to_owned(), Progress::Deferred)]);

    let mut newer = rollout(&json!({ "to": { "channel": null } }));
    newer.metadata.name = Some("summer".to_owned());
    newer.status = serde_json::from_value(json!({ "image": image("2") })).ok();
    newer.metadata.creation_timestamp =
        "2026-11-03T08:00:00Z".parse().ok().map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time);
    assert_eq!(members(&fleet.rollout, &tenants(), &[Arc::new(newer)]).len(), 0, "a newer one takes them over");
}

#[test]
fn the_image_stays_what_the_channel_stood_for_when_it_began() {
    let mut begun = rollout(&json!({ "to": { "image": null, "channel": "stable" } }));
    begun.status = serde_json::from_value(json!({ "image": image("1") })).ok();
    let moved = platform(&json!({ "spec": { "channels": { "stable": image("5") } } }));
    assert_eq!(aim(&begun, Some(&moved)).expect("an aim").image, image("1"));
}

#[test]
fn labels_decide_who_is_selected() {
    let requirement = json!([{ "key": "tier", "operator": "NotIn", "values": ["gold"] }, { "key": "vip", "operator": "DoesNotExist" }]);
    let selector = json!({ "selector": { "matchLabels": { "region": "south" }, "matchExpressions": requirement } });
    let picky = rollout(&selector);
    let labels = |labels: Value| Arc::new(ready("some", &json!({ "metadata": { "labels": labels } })));
    for (own, takes_part) in [
        (json!({ "region": "south" }), true),
        (json!({ "region": "north" }), false),
        (json!({ "region": "south", "tier": "gold" }), false),
        (json!({ "region": "south", "tier": "silver" }), true),
        (json!({ "region": "south", "vip": "yes" }), false),
    ] {
        assert_eq!(members(&picky, &[labels(own.clone())], &[]).len(), usize::from(takes_part), "{own}");
    }
}

#[test]
fn a_server_that_answers_badly_does_not_pass() {
    let gates = Gates { max_error_rate_percent: Some(5), max_p95_ms: Some(300), ..Gates::default() };
    let health = |requests, errors, p95_ms| Health { requests, errors, p95_ms, ..Health::default() };
    assert_eq!(trouble(&gates, &health(100, 5, Some(300))), None);
    assert_eq!(trouble(&gates, &health(100, 6, None)).as_deref(), Some("more than 5 % of its requests failed"));
    assert_eq!(trouble(&gates, &health(10, 9, None)), None, "ten requests say nothing");
    assert!(trouble(&gates, &health(20, 0, Some(301))).is_some_and(|reason| reason.contains("300 ms")));
    assert_eq!(trouble(&gates, &health(19, 0, Some(301))), None);
}
