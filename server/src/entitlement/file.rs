//! The file of entitlements.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crm::model::Model;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the tenant is entitled to: everything, where no file says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entitlements {
    /// Modules that are on; `None`: all.
    modules: Option<BTreeSet<String>>,
    /// The most of each.
    pub limits: Limits,
    /// Whether changes are taken.
    pub power: Power,
    /// SHA-256 of the file, hexadecimal; `None`: there is none.
    pub sha256: Option<String>,
}

/// The most of each; what is missing has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Limits {
    /// People who may sign in.
    pub users: Option<usize>,
    /// Devices with a session.
    pub devices: Option<usize>,
}

/// Whether changes are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// They are.
    #[default]
    Running,
    /// People only read; what waits on devices goes on waiting.
    ReadOnly,
}

/// Why the file is not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableFile {
    /// It is not there, or cannot be opened.
    #[error("could not read the entitlements {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not have the form of entitlements.
    #[error("could not understand the entitlements {path}")]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

/// The form of the file; what else stands there is for others.
#[derive(Deserialize)]
struct Form {
    modules: BTreeSet<String>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    power: Power,
}

impl Entitlements {
    /// Reads the file.
    ///
    /// # Errors
    /// [`UnreadableFile`].
    pub fn read(path: &Path) -> Result<Self, UnreadableFile> {
        let path_of = || path.to_owned();
        let bytes = std::fs::read(path).map_err(|source| UnreadableFile::Read { path: path_of(), source })?;
        Self::parse(&bytes).map_err(|source| UnreadableFile::Form { path: path_of(), source })
    }

    fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let Form { modules, limits, power } = serde_json::from_slice(bytes)?;
        let mut sha256 = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            write!(sha256, "{byte:02x}").expect("writing into a string does not fail");
        }
        Ok(Self { modules: Some(modules), limits, power, sha256: Some(sha256) })
    }

    /// The part of the model that is on.
    #[must_use]
    pub fn of(&self, model: &Model) -> Model {
        model.with_modules(|module| self.modules.as_ref().is_none_or(|on| on.contains(module)))
    }

    /// Modules that the file names and the model does not have.
    #[must_use]
    pub fn unknown_modules(&self, model: &Model) -> Vec<&str> {
        let known = model.modules();
        self.modules.iter().flatten().map(String::as_str).filter(|module| !known.contains(module)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_everything_is_on() {
        let (model, everything) = (Model::core(), Entitlements::default());
        assert_eq!(everything.of(&model).hash, model.hash);
        assert_eq!((everything.power, everything.limits, everything.sha256), (Power::Running, Limits::default(), None));
    }

    #[test]
    fn the_file_switches_modules_on_and_names_limits_and_power() {
        let file = br#"{"modules": ["sales", "drones"], "limits": {"users": 3}, "power": "read_only", "display_name": "Acme"}"#;
        let read = Entitlements::parse(file).expect("it is well formed");
        let model = Model::core();
        let on = read.of(&model);
        assert!(on.entity("opportunity").is_some() && on.entity("account").is_some() && on.entity("lead").is_none());
        assert_eq!(read.unknown_modules(&model), ["drones"]);
        assert_eq!((read.limits, read.power), (Limits { users: Some(3), devices: None }, Power::ReadOnly));
        assert_eq!(read.sha256.map(|hash| hash.len()), Some(64));
    }

    #[test]
    fn what_has_not_the_form_is_not_half_obeyed() {
        for file in
            ["", "{", "[]", "{}", r#"{"modules": [], "power": "off"}"#, r#"{"modules": [], "limits": {"users": -1}}"#]
        {
            assert!(Entitlements::parse(file.as_bytes()).is_err(), "{file}");
        }
    }
}
