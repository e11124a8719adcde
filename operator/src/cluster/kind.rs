//! The kinds of objects that a tenant gets, in the order in which they are made.

use kube::core::{ApiResource, GroupVersionKind};

/// A kind of object that belongs to a tenant. The order is that of making: what is needed comes before who needs it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Holds everything of a tenant.
    Namespace,
    /// Gives the operator its rights in it.
    RoleBinding,
    /// What the namespace may use.
    ResourceQuota,
    /// What a container may use.
    LimitRange,
    /// Who may connect to whom.
    NetworkPolicy,
    /// Who the server is: nobody, it has no token.
    ServiceAccount,
    /// Generated keys.
    Secret,
    /// Configuration and entitlements.
    ConfigMap,
    /// The data.
    PersistentVolumeClaim,
    /// The server's address in the cluster.
    Service,
    /// The server.
    StatefulSet,
    /// Its address outside, by Gateway.
    HTTPRoute,
    /// Its address outside, by Ingress.
    Ingress,
    /// Certificates of its addresses.
    Certificate,
    /// Where Prometheus measures.
    ServiceMonitor,
    /// What Prometheus warns of.
    PrometheusRule,
    /// What the StatefulSet makes; looked at, never applied.
    Pod,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Self; 17] = [
        Self::Namespace,
        Self::RoleBinding,
        Self::ResourceQuota,
        Self::LimitRange,
        Self::NetworkPolicy,
        Self::ServiceAccount,
        Self::Secret,
        Self::ConfigMap,
        Self::PersistentVolumeClaim,
        Self::Service,
        Self::StatefulSet,
        Self::HTTPRoute,
        Self::Ingress,
        Self::Certificate,
        Self::ServiceMonitor,
        Self::PrometheusRule,
        Self::Pod,
    ];

    const fn facts(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Namespace => ("", "v1", "Namespace", "namespaces"),
            Self::RoleBinding => ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
            Self::ResourceQuota => ("", "v1", "ResourceQuota", "resourcequotas"),
            Self::LimitRange => ("", "v1", "LimitRange", "limitranges"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
            Self::ServiceAccount => ("", "v1", "ServiceAccount", "serviceaccounts"),
            Self::Secret => ("", "v1", "Secret", "secrets"),
            Self::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Self::PersistentVolumeClaim => ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
            Self::Service => ("", "v1", "Service", "services"),
            Self::StatefulSet => ("apps", "v1", "StatefulSet", "statefulsets"),
            Self::HTTPRoute => ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
            Self::Ingress => ("networking.k8s.io", "v1", "Ingress", "ingresses"),
            Self::Certificate => ("cert-manager.io", "v1", "Certificate", "certificates"),
            Self::ServiceMonitor => ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
            Self::PrometheusRule => ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
            Self::Pod => ("", "v1", "Pod", "pods"),
        }
    }

    /// Its name, as in `kind:`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().2
    }

    /// How the API server addresses it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let (group, version, kind, plural) = self.facts();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }

    /// Its definition's name, where it is other software's kind.
    #[must_use]
    pub fn definition(self) -> Option<String> {
        let (group, _, _, plural) = self.facts();
        self.is_foreign().then(|| format!("{plural}.{group}"))
    }

    /// Whether the cluster may lack it.
    #[must_use]
    pub const fn is_foreign(self) -> bool {
        matches!(self, Self::HTTPRoute | Self::Certificate | Self::ServiceMonitor | Self::PrometheusRule)
    }

    /// Whether it holds data or holds who does: such an object is never taken away because it is no longer wanted.
    #[must_use]
    pub const fn holds_data(self) -> bool {
        matches!(self, Self::Namespace | Self::PersistentVolumeClaim)
    }

    /// Whether changes of it are watched. Secrets are not: who watches them reads every Secret of the cluster.
    #[must_use]
    pub const fn is_watched(self) -> bool {
        !matches!(self, Self::Secret)
    }

    /// Whether the operator applies it.
    #[must_use]
    pub const fn is_applied(self) -> bool {
        !matches!(self, Self::Pod)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
