//! Labels and annotations: how everything that belongs to a tenant is found.

/// Whose an object is: the tenant's name.
pub const TENANT: &str = "cartera.dev/tenant";
/// Whose an object is: the tenant's uid. Names are used again, uids never.
pub const TENANT_UID: &str = "cartera.dev/tenant-uid";
/// Which of the 64 shards the tenant belongs to.
pub const SHARD: &str = "cartera.dev/shard";
/// Who looks after an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`] on everything of ours.
pub const OPERATOR: &str = "cartera-operator";
/// Namespaces and claims that nobody deletes by hand.
pub const PROTECTED: &str = "cartera.dev/protected";
/// Allows to delete what is protected; the operator sets it in the last step of a deletion.
pub const ALLOW_DELETION: &str = "cartera.dev/allow-deletion";
/// On a child: a digest of what was last applied.
pub const APPLIED_HASH: &str = "cartera.dev/applied-hash";
/// On a pod and its template: a digest of what a running server must be restarted for.
pub const RESTART: &str = "cartera.dev/restart";
/// On a Secret of generated keys: how often they were made.
pub const SECRET_GENERATION: &str = "cartera.dev/secret-generation";
/// On a Secret of generated keys: when they were last made.
pub const ROTATED_AT: &str = "cartera.dev/rotated-at";
/// On a retained volume: whose data it holds, `<namespace>/<name>` of the Tenant.
pub const RETAINED_FROM: &str = "cartera.dev/retained-from";

/// Selects everything of ours.
#[must_use]
pub fn ours() -> String {
    format!("{MANAGED_BY}={OPERATOR}")
}
