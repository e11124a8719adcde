//! The conditions of a tenant: each says why, and what to do next.

use super::{Found, entitled, is_held};
use crate::cluster::conditions::Finding;
use crate::cluster::seen::Facts;
use crate::cluster::{Kind, names};
use crate::crd::{Condition, Tenant, Truth};
use crate::tenant::validate::{Refusal, Route, Validated};

pub(super) fn findings(tenant: &Tenant, found: &Found) -> Vec<Finding> {
    let accepted = accepted(found);
    let parts = match found.validated {
        Ok(validated) if !found.is_paused => vec![
            namespace(validated, found),
            database_ready(found),
            workload(found),
            route(validated, found),
            certificate(validated, found),
            entitlements_applied(validated, found),
        ],
        _ => [
            "NamespaceReady",
            "DatabaseReady",
            "WorkloadReady",
            "RouteReady",
            "CertificateReady",
            "EntitlementsApplied",
        ]
        .map(|kind| not_looked_at(tenant, kind, found))
        .into(),
    };
    let ready = ready(&accepted, &parts, found);
    let progressing = progressing(&ready, found);
    let available = available(&parts, found);
    let mut all = vec![ready, available, accepted];
    all.extend(parts);
    all.extend([
        up_to_date(found),
        progressing,
        degraded(found),
        paused(found),
        drifted(found),
        blocked(tenant),
        engine_missing(found),
    ]);
    all
}

/// What stood there stays: nobody has looked since.
fn not_looked_at(tenant: &Tenant, kind: &'static str, found: &Found) -> Finding {
    let known =
        tenant.status.as_ref().and_then(|status| status.conditions.iter().find(|condition| condition.kind == kind));
    let why = if found.is_paused {
        "the operator leaves this tenant alone: set reconcile.mode to Enforce"
    } else {
        "the tenant is not accepted yet: see the condition Accepted"
    };
    match known {
        Some(Condition { status: Truth::True, .. }) => Finding {
            kind,
            status: Truth::True,
            reason: "AsLastSeen",
            message: format!("so it was when it was last looked at; {why}"),
        },
        _ => Finding::unknown(kind, "NotLookedAt", why),
    }
}

fn accepted(found: &Found) -> Finding {
    match found.validated {
        Ok(_) => Finding::yes("Accepted", "Valid", "everything it refers to is there"),
        Err(refusal) => Finding::no("Accepted", refusal.reason, &*refusal.message),
    }
}

fn namespace(tenant: &Validated, found: &Found) -> Finding {
    let seen = found.children.get(&(Kind::Namespace, tenant.namespace.clone()));
    match (&found.failure, seen) {
        (Some((reason @ ("NamespaceTaken" | "NamespaceTerminating"), message)), _) => {
            Finding::no("NamespaceReady", reason, &**message)
        }
        (_, Some(seen)) if seen.is_usable_namespace() => {
            Finding::yes("NamespaceReady", "Made", format!("everything of it is in {}", tenant.namespace))
        }
        _ => Finding::no("NamespaceReady", "NotMade", "the operator makes it next"),
    }
}

fn database_ready(found: &Found) -> Finding {
    let seen = found.children.get(&(Kind::PersistentVolumeClaim, names::CLAIM.to_owned())).map(|seen| &seen.facts);
    match seen {
        Some(Facts::Claim { is_bound: true, .. }) => Finding::yes("DatabaseReady", "Bound", "the volume is there"),
        Some(_) => Finding::no(
            "DatabaseReady",
            "NotBound",
            format!(
                "the claim {} waits for a volume: `kubectl describe pvc` in the tenant's namespace says why, often a StorageClass that is not there",
                names::CLAIM
            ),
        ),
        None => Finding::no("DatabaseReady", "NotMade", "the operator makes the claim next"),
    }
}

fn workload(found: &Found) -> Finding {
    let pod = found.children.get(&(Kind::Pod, names::POD.to_owned()));
    let Some(pod) = pod else {
        return Finding::no(
            "WorkloadReady",
            "NoPod",
            "the StatefulSet makes the pod next; if it does not, its events say why: `kubectl describe statefulset cartera` in the tenant's namespace",
        );
    };
    let Facts::Pod { is_ready, trouble, image, .. } = &pod.facts else {
        return Finding::unknown("WorkloadReady", "NotLookedAt", "the pod was not read yet");
    };
    match (is_ready, trouble, &found.health) {
        (_, _, _) if pod.is_going => Finding::no("WorkloadReady", "Restarting", "the pod ends and comes again"),
        (false, Some((reason, message)), _) => {
            let image = image.as_deref().unwrap_or_default();
            let (reason, what) = match &**reason {
                "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => (
                    "ImageNotPulled",
                    format!("the image {image} cannot be pulled: correct version.image or the channel"),
                ),
                "Unschedulable" => ("Unschedulable", "no node takes the pod: add nodes, or ask for less".to_owned()),
                "CrashLoopBackOff" => (
                    "Crashing",
                    "the server ends again and again: `kubectl logs cartera-0` in the tenant's namespace says why"
                        .to_owned(),
                ),
                "CreateContainerConfigError" => (
                    "Misconfigured",
                    "something that the pod mounts is not there; the operator makes it next".to_owned(),
                ),
                _ => ("NotStarted", "the node does not start the pod".to_owned()),
            };
            Finding::no("WorkloadReady", reason, format!("{what} ({message})"))
        }
        (false, None, _) => Finding::no("WorkloadReady", "Starting", "the server starts; nothing needs to be done"),
        (true, _, Some(Err(message))) => Finding::no(
            "WorkloadReady",
            "HealthUnknown",
            format!("the pod is ready, but {message}: see whether the operator may connect to it"),
        ),
        (true, _, Some(Ok(_))) => Finding::yes("WorkloadReady", "Serving", "the server takes requests"),
        (true, _, None) => {
            Finding::unknown("WorkloadReady", "NotAsked", "the pod is ready; the operator asks the server next")
        }
    }
}

fn route(tenant: &Validated, found: &Found) -> Finding {
    let kind = match tenant.route {
        Route::None => {
            return Finding::yes(
                "RouteReady",
                "NotWanted",
                "gateway.mode is None: it is reached from the namespaces that gateway.ingressFrom names",
            );
        }
        Route::Gateway(_) => Kind::HTTPRoute,
        Route::Ingress(_) => Kind::Ingress,
    };
    match found.children.get(&(kind, names::SERVER.to_owned())).map(|seen| &seen.facts) {
        Some(Facts::Reported { accepted: Some(true), .. }) => {
            Finding::yes("RouteReady", "Accepted", format!("the {kind}'s controller serves it"))
        }
        Some(Facts::Reported { accepted: Some(false), message }) => {
            Finding::no("RouteReady", "Refused", format!("the {kind}'s controller does not serve it: {message}"))
        }
        Some(_) => Finding::no(
            "RouteReady",
            "Waiting",
            format!(
                "no controller has taken the {kind} yet: if none does, see that one runs and that the PlatformConfig names its Gateway or class"
            ),
        ),
        None => Finding::no("RouteReady", "NotMade", format!("the operator makes the {kind} next")),
    }
}

fn certificate(tenant: &Validated, found: &Found) -> Finding {
    let unready = tenant.certificates.iter().find_map(|certificate| {
        match found.children.get(&(Kind::Certificate, certificate.name.clone())).map(|seen| &seen.facts) {
            Some(Facts::Reported { accepted: Some(true), .. }) => None,
            Some(Facts::Reported { message, .. }) if !message.is_empty() => {
                Some((&certificate.name, message.to_string()))
            }
            _ => Some((&certificate.name, "cert-manager has not said anything yet".to_owned())),
        }
    });
    match unready {
        Some((name, message)) => {
            Finding::no("CertificateReady", "Waiting", format!("the Certificate {name} is not issued: {message}"))
        }
        None if !tenant.uncertified.is_empty() => Finding::no(
            "CertificateReady",
            "NoIssuer",
            format!(
                "nothing issues a certificate for {}: set tls.issuerRef in the PlatformConfig where cert-manager is installed, or give the certificate in a Secret",
                tenant.uncertified.join(", ")
            ),
        ),
        None if tenant.certificates.is_empty() => Finding::yes(
            "CertificateReady",
            "NotManaged",
            "no certificate is made for it: the Gateway, the Ingress controller or a Secret has it",
        ),
        None => Finding::yes("CertificateReady", "Issued", "all certificates are issued"),
    }
}

fn entitlements_applied(tenant: &Validated, found: &Found) -> Finding {
    match found.health.as_ref().and_then(|health| health.as_ref().ok()) {
        Some(health) if entitled(tenant, Some(health)).acked_by_server => {
            Finding::yes("EntitlementsApplied", "Obeyed", "the server obeys what the plan says")
        }
        Some(_) => Finding::no(
            "EntitlementsApplied",
            "Pending",
            "the server has not read them yet: its folder follows within two minutes",
        ),
        None => Finding::unknown(
            "EntitlementsApplied",
            "ServerDown",
            "the server does not answer: see the condition WorkloadReady",
        ),
    }
}

/// What the summary needs. A route and a certificate belong to it only where they are wanted.
fn ready(accepted: &Finding, parts: &[Finding], found: &Found) -> Finding {
    let has_route = found.validated.is_ok_and(|tenant| tenant.route != Route::None);
    let counts = |part: &&Finding| match part.kind {
        "RouteReady" => has_route,
        "CertificateReady" => false,
        _ => true,
    };
    match std::iter::once(accepted).chain(parts.iter().filter(counts)).find(|part| part.status != Truth::True) {
        Some(part) => Finding {
            kind: "Ready",
            status: if part.status == Truth::False { Truth::False } else { Truth::Unknown },
            reason: part.reason,
            message: format!("{}: {}", part.kind, part.message),
        },
        None => Finding::yes("Ready", "Ready", "people can work"),
    }
}

/// Whether people can work at this moment, whatever else is not as it should be.
fn available(parts: &[Finding], found: &Found) -> Finding {
    let has_route = found.validated.is_ok_and(|tenant| tenant.route != Route::None);
    let is_on_the_way = |part: &&Finding| part.kind == "WorkloadReady" || (part.kind == "RouteReady" && has_route);
    match parts.iter().filter(is_on_the_way).find(|part| part.status != Truth::True) {
        Some(part) => Finding {
            kind: "Available",
            status: part.status,
            reason: part.reason,
            message: format!("people cannot reach it: see the condition {}", part.kind),
        },
        None => Finding::yes("Available", "Reachable", "people reach it"),
    }
}

fn progressing(ready: &Finding, found: &Found) -> Finding {
    let waits = matches!(
        ready.reason,
        "NotMade"
            | "NotBound"
            | "NoPod"
            | "Starting"
            | "Restarting"
            | "NotAsked"
            | "Pending"
            | "Waiting"
            | "Misconfigured"
            | "ServerDown"
    );
    match (&found.failure, waits && !found.is_paused && found.planned.is_none()) {
        (None, true) => {
            Finding::yes("Progressing", ready.reason, "something is under way; nothing needs to be done yet")
        }
        (Some(_), _) => Finding::no("Progressing", "Stopped", "the last attempt failed: see the condition Degraded"),
        _ => Finding::no("Progressing", "Settled", "nothing is under way"),
    }
}

fn degraded(found: &Found) -> Finding {
    match &found.failure {
        Some((reason, message)) => Finding::yes("Degraded", reason, &**message),
        None => Finding::no("Degraded", "Fine", "the last attempt succeeded"),
    }
}

fn paused(found: &Found) -> Finding {
    if found.is_paused {
        Finding::yes("Paused", "ByRequest", "reconcile.mode is Paused: set it to Enforce to go on")
    } else {
        Finding::no("Paused", "No", "the operator looks after it")
    }
}

fn drifted(found: &Found) -> Finding {
    match &found.planned {
        Some(changes) if !changes.is_empty() => Finding::yes(
            "Drifted",
            "ChangesPlanned",
            format!(
                "{} objects would be changed: see status.plannedChanges, and set reconcile.mode to Enforce to have it done",
                changes.len()
            ),
        ),
        Some(_) => Finding::no("Drifted", "NoChanges", "nothing would be changed"),
        None => Finding::no("Drifted", "Repaired", "what differs is put right at once"),
    }
}

fn up_to_date(found: &Found) -> Finding {
    match found.validated {
        Ok(Validated { newer_image: Some(newer), .. }) => Finding::no(
            "UpToDate",
            "RolloutNeeded",
            format!(
                "its channel stands for {newer} now, and a running tenant is not moved by that alone: make a FleetRollout, or set version.channel to pinned with that image"
            ),
        ),
        Ok(_) => Finding::yes("UpToDate", "Current", "it has the image that it should have"),
        Err(_) => {
            Finding::unknown("UpToDate", "NotLookedAt", "the tenant is not accepted yet: see the condition Accepted")
        }
    }
}

fn blocked(tenant: &Tenant) -> Finding {
    if is_held(tenant) {
        Finding::yes(
            "DeletionBlocked",
            "Protected",
            "somebody deleted it, and it is protected: set deletion.protected to false to let it go; it works on until then",
        )
    } else {
        Finding::no("DeletionBlocked", "No", "nothing holds up a deletion")
    }
}

fn engine_missing(found: &Found) -> Finding {
    match found.validated {
        Ok(Validated { missing: Some(missing), .. }) => missing.clone(),
        Err(Refusal { reason: "EngineMissing", message }) => Finding::yes("EngineMissing", "KindMissing", &**message),
        _ => Finding::no("EngineMissing", "Complete", "the cluster has everything that is asked for"),
    }
}
