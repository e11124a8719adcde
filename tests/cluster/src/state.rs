//! The folder of a cluster: its data, keys and logs, and which processes are its own.
//!
//! All folders lie side by side under one root, so that a command finds the clusters that others started, and those whose
//! owner died.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::process::Identity;

/// The folder of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
}

/// A process that was started for a cluster.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) identity: Identity,
}

const PROCESSES: &str = "processes";
const OWNER: &str = "owner";

impl StateFolder {
    /// The folder of the cluster of that name, which may not be there.
    pub(crate) fn of(name: &str) -> Result<Self> {
        Ok(Self { path: root()?.join(name) })
    }

    /// All that are there.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let root = root()?;
        let entries = match fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("could not list {}", root.display())),
        };
        let paths = entries.map(|entry| entry.map(|entry| Self { path: entry.path() }));
        paths.collect::<Result<_, _>>().with_context(|| format!("could not list {}", root.display()))
    }

    /// Makes the folder; `false` when it was there.
    ///
    /// When the owner ends before it has released the cluster, the cluster is abandoned.
    pub(crate) fn create(&self, owner: &Identity) -> Result<bool> {
        let root = root()?;
        fs::create_dir_all(&root).with_context(|| format!("could not make the folder {}", root.display()))?;
        match fs::create_dir(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => {
                return Err(error).with_context(|| format!("could not make the folder {}", self.path.display()));
            }
        }
        self.write(OWNER, &serde_json::to_string(owner)?)?;
        Ok(true)
    }

    /// Lets the cluster go on when its owner ends.
    pub(crate) fn release(&self) -> Result<()> {
        let path = self.join(OWNER);
        fs::remove_file(&path).with_context(|| format!("could not remove {}", path.display()))
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The process that the cluster ends with, or that is still starting it.
    pub(crate) fn owner(&self) -> Option<Identity> {
        let owner = fs::read(self.join(OWNER)).ok()?;
        serde_json::from_slice(&owner).ok()
    }

    /// Whether the owner ended and left it.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.owner().is_some_and(|owner| !owner.lives())
    }

    pub(crate) fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path.join(path)
    }

    /// A folder in it, made when missing.
    pub(crate) fn folder(&self, path: &str) -> Result<PathBuf> {
        let folder = self.join(path);
        fs::create_dir_all(&folder).with_context(|| format!("could not make the folder {}", folder.display()))?;
        Ok(folder)
    }

    /// Writes a file in it, and says where it is.
    pub(crate) fn write(&self, path: &str, content: &str) -> Result<PathBuf> {
        let file = self.join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("could not make the folder {}", folder.display()))?;
        }
        fs::write(&file, content).with_context(|| format!("could not write {}", file.display()))?;
        Ok(file)
    }

    pub(crate) fn read(&self, path: &str) -> Result<String> {
        let file = self.join(path);
        fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))
    }

    /// Notes a process, so that whoever stops the cluster finds it.
    pub(crate) fn record(&self, process: &Recorded) -> Result<()> {
        let path = self.join(PROCESSES);
        let line = format!("{}\n", serde_json::to_string(process)?);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.with_context(|| format!("could not note a process in {}", path.display()))
    }

    /// The processes that were noted, in the order of their start.
    pub(crate) fn processes(&self) -> Result<Vec<Recorded>> {
        if !self.join(PROCESSES).exists() {
            return Ok(Vec::new());
        }
        let lines = self.read(PROCESSES)?;
        // A line that is cut short belongs to a process whose starter was killed while it wrote.
        Ok(lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    pub(crate) fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.path).with_context(|| format!("could not remove {}", self.path.display()))
    }
}

fn root() -> Result<PathBuf> {
    Ok(home_folder("XDG_STATE_HOME", ".local/state")?.join("cartera-cluster"))
}

/// A folder that the XDG base directory specification names.
pub(crate) fn home_folder(variable: &str, under_home: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        return Ok(folder);
    }
    let home = std::env::home_dir();
    Ok(home.with_context(|| format!("neither {variable} nor HOME is set: set one of them"))?.join(under_home))
}
