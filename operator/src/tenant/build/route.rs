//! The server's address outside the cluster, and its certificates.

use serde_json::{Value, json};

use super::{Child, child};
use crate::cluster::{Kind, names};
use crate::tenant::validate::{Route, Validated};

pub(super) fn route(tenant: &Validated) -> Option<Child> {
    match &tenant.route {
        Route::None => None,
        Route::Gateway(parent) => {
            let rest = json!({ "spec": {
                "parentRefs": [parent],
                "hostnames": tenant.hosts,
                "rules": [{ "backendRefs": [{ "name": names::SERVER, "port": 80 }] }],
            } });
            Some(child(tenant, Kind::HTTPRoute, names::SERVER, &rest))
        }
        Route::Ingress(class) => Some(child(tenant, Kind::Ingress, names::SERVER, &ingress(tenant, class.as_deref()))),
    }
}

fn ingress(tenant: &Validated, class: Option<&str>) -> Value {
    let backend = json!({ "service": { "name": names::SERVER, "port": { "name": "http" } } });
    let rules: Vec<Value> = tenant
        .hosts
        .iter()
        .map(|host| json!({ "host": host, "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] } }))
        .collect();
    let mut spec = json!({ "rules": rules });
    let made = tenant.certificates.iter().map(|certificate| (&certificate.name, &certificate.hosts));
    let given = tenant.given_certificates.iter().map(|(secret, hosts)| (secret, hosts));
    let tls: Vec<Value> =
        made.chain(given).map(|(secret, hosts)| json!({ "secretName": secret, "hosts": hosts })).collect();
    if !tls.is_empty() {
        spec["tls"] = tls.into();
    }
    if let Some(class) = class {
        spec["ingressClassName"] = class.into();
    }
    json!({ "spec": spec })
}

pub(super) fn certificates(tenant: &Validated) -> impl Iterator<Item = Child> {
    tenant.certificates.iter().map(|certificate| {
        let rest = json!({ "spec": {
            "secretName": certificate.name,
            "dnsNames": certificate.hosts,
            "issuerRef": { "group": "cert-manager.io", "kind": "ClusterIssuer", "name": certificate.issuer },
            "privateKey": { "algorithm": "ECDSA", "rotationPolicy": "Always" },
        } });
        child(tenant, Kind::Certificate, &certificate.name, &rest)
    })
}
