//! What the server is told: its configuration, which it reads when it starts, and its entitlements, which it follows.

use std::fmt::Write as _;

use serde_json::json;

use super::{Child, child};
use crate::cluster::{Kind, names};
use crate::tenant::server::{
    CONFIGURATION_FILE, ENTITLEMENTS_FILE, ENTITLEMENTS_FOLDER, FIRST_ADMINISTRATOR_FOLDER, INTERNAL_FOLDER,
    INTERNAL_PORT, PORT,
};
use crate::tenant::validate::Validated;

/// The cache of chunks is of use up to here (1 GiB).
const MOST_CACHE_BYTES: u64 = 1 << 30;
/// What the server accepts as the least (16 MiB).
const LEAST_CACHE_BYTES: u64 = 16 << 20;

pub(super) fn configuration(tenant: &Validated) -> Child {
    let rest = json!({ "data": { CONFIGURATION_FILE: as_toml(tenant) } });
    child(tenant, Kind::ConfigMap, names::CONFIGURATION, &rest)
}

pub(super) fn entitlements_object(tenant: &Validated) -> Child {
    let rest = json!({ "data": { ENTITLEMENTS_FILE: entitlements(tenant) } });
    child(tenant, Kind::ConfigMap, names::ENTITLEMENTS, &rest)
}

/// The entitlements as the server reads them.
///
/// # Panics
/// Never: names and numbers are JSON.
#[must_use]
pub fn entitlements(tenant: &Validated) -> String {
    serde_json::to_string_pretty(&tenant.entitlements).expect("names and numbers are JSON")
}

/// Attachments and chunks share the volume with the database: half of it and a tenth of it at the most.
fn as_toml(tenant: &Validated) -> String {
    let blob_bytes = tenant.storage_bytes / 2;
    let cache_bytes = (tenant.storage_bytes / 10).clamp(LEAST_CACHE_BYTES, MOST_CACHE_BYTES);
    let mut toml = format!("listen = \"[::]:{PORT}\"\n\n");
    if !tenant.trusted_proxies.is_empty() {
        let _ = write!(toml, "[http]\ntrusted_proxies = \"{}\"\n\n", tenant.trusted_proxies.join(", "));
    }
    let _ = write!(
        toml,
        "[telemetry]\nlisten = \"[::]:{INTERNAL_PORT}\"\nlog_format = \"json\"\n\n\
         [blob]\nquota_bytes = {blob_bytes}\n\n\
         [snapshot]\ncache_bytes = {cache_bytes}\n\n\
         [operator]\nentitlements_file = \"{ENTITLEMENTS_FOLDER}/{ENTITLEMENTS_FILE}\"\n\
         token_dir = \"{INTERNAL_FOLDER}\"\n\
         first_administrator_dir = \"{FIRST_ADMINISTRATOR_FOLDER}\"\n"
    );
    toml
}
