//! The cgroup that everything on the node is below.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::wait::wait_until;

/// Makes the cgroup of that name; returns what the kubelet calls it.
pub(super) fn make(name: &str) -> Result<String> {
    for path in paths(name)? {
        fs::create_dir_all(&path).with_context(|| format!("could not make the cgroup {}", path.display()))?;
        inherit_processors(&path)?;
    }
    Ok(format!("/{name}"))
}

/// Removes it with all below; the kernel allows that as soon as the last process in it has ended.
pub(super) fn remove(name: &str) -> Result<()> {
    for path in paths(name)? {
        wait_until(&format!("the processes in the cgroup {} to end", path.display()), || remove_tree(&path))?;
    }
    Ok(())
}

pub(super) fn exists(name: &str) -> Result<bool> {
    Ok(paths(name)?.iter().any(|path| path.exists()))
}

/// The folder of the cgroup: one in version 2, one for each controller in version 1.
fn paths(name: &str) -> Result<Vec<PathBuf>> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root.join(name)]);
    }
    let Ok(entries) = fs::read_dir(root) else {
        return Ok(Vec::new());
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("could not list {}", root.display()))?;
        // Two controllers that are mounted together have links besides.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            paths.push(entry.path().join(name));
        }
    }
    Ok(paths)
}

/// In version 1 a new cgroup may use no processor and no memory node until it is told which.
fn inherit_processors(path: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let above = path.with_file_name(file);
        if path.join(file).exists() && above.exists() {
            let copied = fs::read(&above).and_then(|content| fs::write(path.join(file), content));
            copied.with_context(|| format!("could not set {}", path.join(file).display()))?;
        }
    }
    Ok(())
}

/// Whether it is gone; not as long as a process is in it.
fn remove_tree(path: &Path) -> Result<bool> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error).with_context(|| format!("could not list the cgroup {}", path.display())),
    };
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if !remove_tree(&entry.path())? {
            return Ok(false);
        }
    }
    match fs::remove_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(false),
        Err(error) => Err(error).with_context(|| format!("could not remove the cgroup {}", path.display())),
    }
}
