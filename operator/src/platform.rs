//! What all tenants have in common: whether the cluster has what it asks for.

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::json;

use crate::cluster::Kind;
use crate::cluster::api::{Place, RequestError};
use crate::cluster::capabilities::Capabilities;
use crate::cluster::conditions::{Finding, settle};
use crate::cluster::owned::STATUS_MANAGER;
use crate::crd::{Engine, GatewayMode, PlatformConfig, PlatformConfigStatus};
use crate::rollout::window;
use crate::tenant::{Context, Next};

/// Says what the cluster has.
///
/// # Errors
/// When the API server refused or did not answer.
pub async fn reconcile(context: &Context) -> Result<Next, RequestError> {
    let Some(platform) = context.index.platform() else { return Ok(Next::WhenChanged) };
    let capabilities = context.capabilities();
    let before = platform.status.clone().unwrap_or_default();
    let now = context.clock.now();
    let findings = findings(&platform, &capabilities, now);
    let status = PlatformConfigStatus {
        observed_generation: platform.metadata.generation,
        gateway: Some(gateway(&platform, &capabilities).to_owned()),
        capabilities: capabilities.definitions(),
        conditions: settle(&before.conditions, &findings, platform.metadata.generation, now),
    };
    if status != before {
        let name = platform.name_any();
        let object = json!({
            "apiVersion": "cartera.dev/v1alpha1", "kind": "PlatformConfig",
            "metadata": { "name": name, "uid": platform.uid() }, "status": status,
        });
        context.cluster.apply_status(&Place::of(&*platform), &object, STATUS_MANAGER).await?;
    }
    Ok(Next::WhenChanged)
}

fn gateway(platform: &PlatformConfig, capabilities: &Capabilities) -> &'static str {
    let gateway = &platform.spec.gateway;
    match gateway.mode {
        GatewayMode::None => "None",
        GatewayMode::Gateway => "Gateway",
        GatewayMode::Auto if gateway.parent_ref.is_some() && capabilities.has(Kind::HTTPRoute) => "Gateway",
        GatewayMode::Auto | GatewayMode::Ingress => "Ingress",
    }
}

fn findings(platform: &PlatformConfig, capabilities: &Capabilities, now: Timestamp) -> [Finding; 2] {
    let spec = &platform.spec;
    let required = [
        (spec.gateway.mode == GatewayMode::Gateway, Kind::HTTPRoute),
        (spec.engines.cert_manager == Engine::Required, Kind::Certificate),
        (spec.engines.prometheus == Engine::Required, Kind::ServiceMonitor),
        (spec.engines.prometheus == Engine::Required, Kind::PrometheusRule),
    ];
    let missing: Vec<String> = required
        .into_iter()
        .filter(|(is_required, kind)| *is_required && !capabilities.has(*kind))
        .filter_map(|(_, kind)| kind.definition())
        .collect();
    if let Err(message) = window::look(&spec.maintenance_windows, now) {
        return [Finding::no("Ready", "InvalidWindow", message), engines(&missing)];
    }
    if missing.is_empty() {
        return [Finding::yes("Ready", "Complete", "tenants can be made"), engines(&missing)];
    }
    let missing = engines(&missing);
    [Finding::no("Ready", "EngineMissing", &*missing.message), missing]
}

fn engines(missing: &[String]) -> Finding {
    if missing.is_empty() {
        return Finding::no("EngineMissing", "Complete", "the cluster has everything that is required");
    }
    let message =
        format!("the cluster has no {}: install what brings it, or change what is required", missing.join(", "));
    Finding::yes("EngineMissing", "KindMissing", message)
}
