//! Custom resources of others, as their own projects publish them: what ours refers to is validated by their schemas.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::kubectl::Kubectl;
use crate::program::Module;

/// Where each project keeps them in its sources.
const PUBLISHED: [(&str, &str); 4] = [
    ("sigs.k8s.io/gateway-api", "config/crd/standard"),
    ("github.com/cert-manager/cert-manager", "deploy/crds"),
    ("github.com/prometheus-operator/prometheus-operator", "example/prometheus-operator-crd"),
    ("github.com/kubernetes-csi/external-snapshotter/client/v8", "config/crd"),
];

/// Installs all of them and waits until the API server serves them.
pub(crate) fn install(kubectl: &Kubectl) -> Result<()> {
    let module = Module::of("custom-resources")?;
    let mut manifests = String::new();
    for (project, folder) in PUBLISHED {
        collect(&module.sources(project)?.join(folder), &mut manifests)?;
    }
    kubectl.apply(&manifests)?;
    kubectl.run(["wait", "--for=condition=Established", "customresourcedefinition", "--all", "--timeout=60s"])?;
    Ok(())
}

/// Adds the definitions of a folder, among which lie policies for those who upgrade, and lists for kustomize.
fn collect(folder: &Path, manifests: &mut String) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("could not list {}", folder.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        if text.lines().any(|line| line == "kind: CustomResourceDefinition") {
            writeln!(manifests, "---\n{text}").context("a string takes text")?;
        }
    }
    Ok(())
}
