//! What operator and server agree on: the only place of the operator that knows anything of the server.
//!
//! The server is `cartera serve --data /data` with `CARTERA_CONFIG` naming the rendered configuration. Everything else lies
//! in folders that Kubernetes keeps up to date while the server runs.

use serde::{Deserialize, Serialize};

/// The user and group that the server runs as.
pub const USER: i64 = 65_532;
/// Where requests of people arrive.
pub const PORT: u16 = 8_080;
/// Where `/livez`, `/readyz`, `/metrics` and [`HEALTH`] answer. Only the operator and what measures get through to it.
pub const INTERNAL_PORT: u16 = 9_464;
/// Asked by the operator with `Authorization: Bearer <token>`; answers [`Health`] as JSON.
pub const HEALTH: &str = "/internal/health";

/// The volume: everything that the server keeps.
pub const DATA: &str = "/data";
/// Names the configuration.
pub const CONFIGURATION_VARIABLE: &str = "CARTERA_CONFIG";
/// The folder of the rendered configuration.
pub const CONFIGURATION_FOLDER: &str = "/etc/cartera";
/// Its file.
pub const CONFIGURATION_FILE: &str = "cartera.toml";
/// The folder of [`ENTITLEMENTS_FILE`].
pub const ENTITLEMENTS_FOLDER: &str = "/run/cartera/entitlements";
/// Modules, limits and power: [`EntitlementsFile`]. The server obeys a new one without a restart.
pub const ENTITLEMENTS_FILE: &str = "entitlements.json";
/// The folder of the files `token` and `previous`: either is accepted, both may change while the server runs.
pub const INTERNAL_FOLDER: &str = "/run/cartera/internal";
/// The file of the token that counts.
pub const TOKEN: &str = "token";
/// The file of the token that counted before; empty where there was none.
pub const PREVIOUS_TOKEN: &str = "previous";
/// The folder of the files `email` and `password`, or an empty one. While nobody can sign in, the server makes an
/// administrator of them who must choose another password when she first signs in.
pub const FIRST_ADMINISTRATOR_FOLDER: &str = "/run/cartera/first-administrator";

/// Modules and limits as the plan sells them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct EntitlementsFile {
    /// Modules of the CRM that are switched on.
    pub modules: Vec<String>,
    /// The most of each; what is missing has no limit.
    pub limits: EntitledLimits,
    /// Whether changes are taken.
    pub power: ServerPower,
    /// The customer's name.
    pub display_name: String,
}

/// The most of each.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct EntitledLimits {
    /// People who may sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// Devices that may be enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<i64>,
}

/// Whether changes are taken.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerPower {
    /// They are.
    #[default]
    Running,
    /// Nothing but reading; pushes are told to come again, so that nothing of theirs is lost.
    ReadOnly,
}

/// How a server says it is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Health {
    /// Its version.
    pub version: String,
    /// The number of the last migration of its database.
    pub schema_version: i64,
    /// The size of the database's files.
    pub database_bytes: i64,
    /// Whether it takes changes.
    pub power: ServerPower,
    /// SHA-256 of the entitlements file that it obeys, hexadecimal; nothing where it found none.
    #[serde(default)]
    pub entitlements_sha256: Option<String>,
    /// Whether the first administrator has signed in and chosen a password of her own, or somebody else can sign in.
    pub has_administrator: bool,
    /// Requests answered since it started.
    #[serde(default)]
    pub requests: u64,
    /// Those of them that it failed to answer (5xx).
    #[serde(default)]
    pub errors: u64,
    /// Milliseconds that 95 of a hundred requests of the last minutes took at the most; nothing where there were none.
    #[serde(default)]
    pub p95_ms: Option<u64>,
}

/// SHA-256 of a file, as the server tells it.
#[must_use]
pub fn sha256(text: &str) -> String {
    use std::fmt::Write as _;

    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_documents_keep_their_form() {
        let file = EntitlementsFile {
            modules: vec!["sales".into()],
            limits: EntitledLimits { users: Some(10), devices: None },
            power: ServerPower::ReadOnly,
            display_name: "Acme".into(),
        };
        insta::assert_json_snapshot!(file, @r#"
        {
          "modules": [
            "sales"
          ],
          "limits": {
            "users": 10
          },
          "power": "read_only",
          "display_name": "Acme"
        }
        "#);
        let health = r#"{"version":"0.1.0","schema_version":31,"database_bytes":1048576,"power":"running","has_administrator":false}"#;
        let health: Health = serde_json::from_str(health).expect("a health");
        assert_eq!((health.schema_version, health.entitlements_sha256), (31, None));
    }
}
