//! Second step, pure: from what somebody asked for to what can be built, or to a refusal that says what to do.
//!
//! Everything after this step can rely on it and checks nothing again.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;

use super::dereference::Dereferenced;
use super::server::{EntitledLimits, EntitlementsFile, ServerPower};
use crate::cluster::conditions::Finding;
use crate::cluster::seen::Facts;
use crate::cluster::shards::shard_of;
use crate::cluster::{Kind, names};
use crate::crd::Limits;
use crate::crd::{
    Channel, CustomDomain, DomainTls, Engine, GatewayMode, Isolation, Override, ParentRef, Plan, PlatformConfig, Power,
    Quantity, Resources, Storage, Tenant,
};

/// A tenant that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its shard.
    pub shard: u32,
    /// The namespace that holds everything of it.
    pub namespace: String,
    /// The image that its server runs.
    pub image: String,
    /// The image that its channel stands for, where that is another one.
    pub newer_image: Option<String>,
    /// Modules, limits and power.
    pub entitlements: EntitlementsFile,
    /// What its server is promised.
    pub requests: Resources,
    /// What its server may use.
    pub limits: Limits,
    /// Its volume.
    pub storage: Storage,
    /// The volume's size.
    pub storage_bytes: u64,
    /// What its namespace may use: processor, memory, storage.
    pub quota: QuotaValues,
    /// What keeps it apart.
    pub isolation: Isolation,
    /// Labels of the namespaces that requests come from.
    pub ingress_from: BTreeMap<String, String>,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<String>,
    /// The address that people are given.
    pub host: String,
    /// All addresses, that one first.
    pub hosts: Vec<String>,
    /// What brings requests.
    pub route: Route,
    /// Certificates that cert-manager makes.
    pub certificates: Vec<Certificate>,
    /// Host names of the customer's that should get a certificate, and that nothing issues one for.
    pub uncertified: Vec<String>,
    /// Certificates that are there, and for which hosts.
    pub given_certificates: Vec<(String, Vec<String>)>,
    /// The kinds that Prometheus' operator knows exist and are wanted.
    pub is_measured: bool,
    /// Changes to what is built.
    pub overrides: Vec<Override>,
    /// What other software is missing for: the condition that says so.
    pub missing: Option<Finding>,
}

/// What all pods of a namespace may have together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QuotaValues {
    /// Processor time that they may be promised.
    pub cpu: Quantity,
    /// Memory that they may use.
    pub memory: Quantity,
    /// Storage that they may ask for.
    pub storage: Quantity,
}

/// What brings requests to a tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
    /// Nothing from outside the cluster.
    None,
    /// An HTTPRoute at this Gateway.
    Gateway(ParentRef),
    /// An Ingress of this class, or of the cluster's default.
    Ingress(Option<String>),
}

/// A certificate that cert-manager makes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// Its name, and that of its Secret.
    pub name: String,
    /// What it is for.
    pub hosts: Vec<String>,
    /// The ClusterIssuer.
    pub issuer: String,
}

/// Why a tenant cannot be built: the reason and the message of `Accepted`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// In one word.
    pub reason: &'static str,
    /// In a sentence, with what to do.
    pub message: String,
}

fn refuse<T>(reason: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { reason, message: message.into() })
}

/// Checks everything that the schema cannot.
///
/// # Errors
/// The first thing that keeps the tenant from being built.
pub fn validate(found: &Dereferenced) -> Result<Validated, Refusal> {
    let tenant = &found.tenant;
    let spec = &tenant.spec;
    let Some(platform) = &found.platform else {
        return refuse("NoPlatformConfig", "there is no PlatformConfig named default in this namespace: make one");
    };
    let plan_name = &spec.subscription.plan_ref.name;
    let Some(plan) = &found.plan else {
        return refuse(
            "PlanNotFound",
            format!("there is no Plan {plan_name} in this namespace: make it, or name another in subscription.planRef"),
        );
    };
    let namespace = names::namespace(tenant);
    let storage_bytes = storage(tenant, plan)?;
    let (image, newer_image) = image(found, platform)?;
    let hosts = hosts(found, platform)?;
    let (certificates, given_certificates) = certificates(found, platform, &hosts)?;
    let uncertified = uncertified(tenant, &certificates);
    super::build::check_overrides(&spec.overrides)?;
    Ok(Validated {
        name: tenant.name_any(),
        uid: tenant.uid().unwrap_or_default(),
        shard: shard_of(&tenant.uid().unwrap_or_default()),
        namespace,
        image,
        newer_image,
        entitlements: entitlements(tenant, plan)?,
        requests: plan.spec.resources.requests.clone(),
        limits: plan.spec.resources.limits.clone(),
        storage: spec.database.storage.clone(),
        storage_bytes,
        quota: quota(tenant, plan)?,
        isolation: spec.isolation.clone(),
        ingress_from: platform.spec.gateway.ingress_from.namespace_labels.clone(),
        trusted_proxies: platform.spec.gateway.trusted_proxies.clone(),
        host: hosts[0].clone(),
        hosts,
        route: route(found, platform)?,
        certificates,
        uncertified,
        given_certificates,
        is_measured: is_measured(found, platform)?,
        overrides: spec.overrides.clone(),
        missing: missing(found, platform),
    })
}

fn storage(tenant: &Tenant, plan: &Plan) -> Result<u64, Refusal> {
    let asked = &tenant.spec.database.storage.size;
    let most = &plan.spec.resources.storage;
    let (asked_amount, most_amount) = (amount(asked)?, amount(most)?);
    if asked_amount > most_amount {
        return refuse(
            "StorageTooLarge",
            format!(
                "database.storage.size is {asked}, and the plan {} has {most}: ask for less, or take a larger plan",
                plan.name_any()
            ),
        );
    }
    Ok(u64::try_from(asked_amount / 1_000).unwrap_or(u64::MAX))
}

fn amount(quantity: &Quantity) -> Result<i128, Refusal> {
    quantity.thousandths().or_else(|error| refuse("InvalidQuantity", error.to_string()))
}

/// A tenant keeps the image that it was given, by a roll-out or when it was made: a channel that moves on is followed by a
/// roll-out, never by itself.
fn image(found: &Dereferenced, platform: &PlatformConfig) -> Result<(String, Option<String>), Refusal> {
    let version = &found.tenant.spec.version;
    let channels = &platform.spec.channels;
    let of_channel = match version.channel {
        Channel::Pinned => return Ok((version.image.clone().unwrap_or_default(), None)),
        Channel::Stable => Some(&channels.stable),
        Channel::Canary => channels.canary.as_ref(),
    };
    let Some(of_channel) = of_channel else {
        return refuse(
            "ChannelUnknown",
            "the PlatformConfig has no image for the channel canary: set channels.canary, or take the channel stable",
        );
    };
    let given = found.children.get(&(Kind::StatefulSet, names::SERVER.to_owned())).and_then(|seen| match &seen.facts {
        Facts::StatefulSet { image } => image.as_deref().map(str::to_owned),
        _ => None,
    });
    let told = found.tenant.status.as_ref().and_then(|status| status.version.as_ref());
    let told = told.and_then(|version| version.target.clone().or_else(|| version.image.clone()));
    let image = told.or(given).unwrap_or_else(|| of_channel.clone());
    let newer = (image != *of_channel).then(|| of_channel.clone());
    Ok((image, newer))
}

fn entitlements(tenant: &Tenant, plan: &Plan) -> Result<EntitlementsFile, Refusal> {
    let sold = &plan.spec.entitlements;
    let included: BTreeSet<&String> = sold.modules.iter().collect();
    let asked: BTreeSet<&String> = tenant.spec.modules.iter().collect();
    if let Some(more) = asked.difference(&included).next() {
        return refuse(
            "ModuleNotInPlan",
            format!(
                "the plan {} does not include the module {more}: take it out of modules, or take a plan that has it",
                plan.name_any()
            ),
        );
    }
    let modules = if asked.is_empty() { included } else { asked };
    Ok(EntitlementsFile {
        modules: modules.into_iter().cloned().collect(),
        limits: EntitledLimits { users: sold.max_users, devices: sold.max_devices },
        power: match tenant.spec.power {
            Power::Running => ServerPower::Running,
            Power::ReadOnly => ServerPower::ReadOnly,
        },
        display_name: tenant.spec.display_name.clone(),
    })
}

/// Room for the server and for the one that takes its place, unless somebody says otherwise.
fn quota(tenant: &Tenant, plan: &Plan) -> Result<QuotaValues, Refusal> {
    let resources = &plan.spec.resources;
    let asked = tenant.spec.isolation.quota.clone().unwrap_or_default();
    let checked = |what: &str, asked: Option<Quantity>, needed: &Quantity, usual: Quantity| {
        let Some(asked) = asked else { return Ok(usual) };
        if amount(&asked)? < amount(needed)? {
            return refuse(
                "QuotaTooSmall",
                format!(
                    "isolation.quota.{what} is {asked}, and the server alone needs {needed}: raise it, or leave it out"
                ),
            );
        }
        Ok(asked)
    };
    Ok(QuotaValues {
        cpu: checked("cpu", asked.cpu, &resources.requests.cpu, twice(&resources.requests.cpu)?)?,
        memory: checked("memory", asked.memory, &resources.limits.memory, twice(&resources.limits.memory)?)?,
        storage: checked("storage", asked.storage, &tenant.spec.database.storage.size, resources.storage.clone())?,
    })
}

/// Written in thousandths where there is a fraction, else whole, as the API server does.
fn twice(quantity: &Quantity) -> Result<Quantity, Refusal> {
    let thousandths = amount(quantity)? * 2;
    Ok(Quantity(if thousandths % 1_000 == 0 { (thousandths / 1_000).to_string() } else { format!("{thousandths}m") }))
}

fn hosts(found: &Dereferenced, platform: &PlatformConfig) -> Result<Vec<String>, Refusal> {
    let routing = &found.tenant.spec.routing;
    let base = &platform.spec.base_domain;
    if let Some((host, holder)) = found.held_hosts.iter().next() {
        return refuse(
            "HostnameTaken",
            format!("the tenant {holder} holds the host name {host}: take another, or have it released there"),
        );
    }
    let own = format!("{}.{base}", found.tenant.name_any());
    let asked = routing.hostnames.iter().chain(routing.custom_domains.iter().map(|domain| &domain.host));
    let mut hosts = vec![own];
    for host in asked {
        let below = host.strip_suffix(base.as_str()).and_then(|front| front.strip_suffix('.'));
        if below.is_some_and(|front| !front.contains('.') && *host != hosts[0]) {
            return refuse(
                "HostnameReserved",
                format!("{host} is the address of a tenant by that name: take one that is not directly below {base}"),
            );
        }
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }
    Ok(hosts)
}

fn route(found: &Dereferenced, platform: &PlatformConfig) -> Result<Route, Refusal> {
    let gateway = &platform.spec.gateway;
    let parent = found.tenant.spec.routing.parent_ref.as_ref().or(gateway.parent_ref.as_ref());
    let has_gateway = found.capabilities.has(Kind::HTTPRoute);
    match (gateway.mode, parent) {
        (GatewayMode::None, _) => Ok(Route::None),
        (GatewayMode::Gateway, _) if !has_gateway => {
            refuse("EngineMissing", missing_text(Kind::HTTPRoute, "gateway.mode is Gateway"))
        }
        (GatewayMode::Gateway | GatewayMode::Auto, Some(parent)) if has_gateway => Ok(Route::Gateway(parent.clone())),
        (GatewayMode::Gateway, _) => {
            refuse("NoGateway", "gateway.mode is Gateway and no parentRef names one: set it in the PlatformConfig")
        }
        (GatewayMode::Auto | GatewayMode::Ingress, _) => Ok(Route::Ingress(gateway.ingress_class_name.clone())),
    }
}

type Certificates = (Vec<Certificate>, Vec<(String, Vec<String>)>);

fn certificates(found: &Dereferenced, platform: &PlatformConfig, hosts: &[String]) -> Result<Certificates, Refusal> {
    let tls = &platform.spec.tls;
    let can_make = found.capabilities.has(Kind::Certificate) && platform.spec.engines.cert_manager != Engine::Disabled;
    if platform.spec.engines.cert_manager == Engine::Required && !can_make {
        return refuse("EngineMissing", missing_text(Kind::Certificate, "engines.certManager is Required"));
    }
    let custom: Vec<&CustomDomain> = found.tenant.spec.routing.custom_domains.iter().collect();
    let is_custom = |host: &String| custom.iter().any(|domain| domain.host == *host);
    let mut made = Vec::new();
    let mut given = Vec::new();
    if let (Some(issuer), true) = (&tls.issuer_ref, can_make) {
        let own = hosts.iter().filter(|host| !is_custom(host)).cloned().collect();
        made.push(Certificate { name: "cartera-tls".to_owned(), hosts: own, issuer: issuer.name.clone() });
        for (number, domain) in custom.iter().enumerate().filter(|(_, domain)| domain.tls == DomainTls::Managed) {
            let hosts = vec![domain.host.clone()];
            made.push(Certificate { name: format!("cartera-tls-{}", number + 1), hosts, issuer: issuer.name.clone() });
        }
    }
    for domain in custom {
        if let Some(secret) = &domain.secret_ref {
            given.push((secret.name.clone(), vec![domain.host.clone()]));
        }
    }
    Ok((made, given))
}

fn uncertified(tenant: &Tenant, certificates: &[Certificate]) -> Vec<String> {
    let is_issued = |host: &String| certificates.iter().any(|certificate| certificate.hosts.contains(host));
    let managed = tenant.spec.routing.custom_domains.iter().filter(|domain| domain.tls == DomainTls::Managed);
    managed.map(|domain| domain.host.clone()).filter(|host| !is_issued(host)).collect()
}

fn is_measured(found: &Dereferenced, platform: &PlatformConfig) -> Result<bool, Refusal> {
    let exists = found.capabilities.has(Kind::ServiceMonitor) && found.capabilities.has(Kind::PrometheusRule);
    match platform.spec.engines.prometheus {
        Engine::Disabled => Ok(false),
        Engine::Auto => Ok(exists),
        Engine::Required if exists => Ok(true),
        Engine::Required => {
            refuse("EngineMissing", missing_text(Kind::ServiceMonitor, "engines.prometheus is Required"))
        }
    }
}

fn missing_text(kind: Kind, why: &str) -> String {
    let definition = kind.definition().unwrap_or_default();
    format!("{why}, and the cluster has no {definition}: install what brings it, or change the PlatformConfig")
}

/// What a tenant would have if other software were there; it is built without.
fn missing(found: &Dereferenced, platform: &PlatformConfig) -> Option<Finding> {
    let wants_certificates =
        platform.spec.tls.issuer_ref.is_some() && platform.spec.engines.cert_manager != Engine::Disabled;
    let wants_gateway = platform.spec.gateway.mode == GatewayMode::Auto && platform.spec.gateway.parent_ref.is_some();
    let lacking = [
        (wants_certificates, Kind::Certificate, "tls.issuerRef is set"),
        (wants_gateway, Kind::HTTPRoute, "gateway.parentRef is set"),
    ];
    let (_, kind, why) = lacking.into_iter().find(|(wanted, kind, _)| *wanted && !found.capabilities.has(*kind))?;
    Some(Finding::yes("EngineMissing", "KindMissing", missing_text(kind, why)))
}

#[cfg(test)]
mod tests;
