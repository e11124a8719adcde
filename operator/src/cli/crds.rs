//! `cartera-operator crds`

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use kube::ResourceExt as _;
use serde_json::json;

use crate::cluster::definitions;
use crate::crd;

/// Prints the custom resources, or writes one file for each into a folder
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera-operator crds | kubectl apply --server-side -f -")]
pub(super) struct Arguments {
    /// The folder to write into.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Bring the cluster's definitions to these instead of printing them.
    #[arg(long, conflicts_with = "into")]
    apply: bool,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.apply {
        for name in definitions::apply(super::client().await?).await? {
            writeln!(std::io::stdout(), "{name} applied").context("could not print")?;
        }
        return Ok(());
    }
    for (name, yaml) in as_yaml()? {
        match &arguments.into {
            Some(folder) => {
                let file = folder.join(format!("{name}.yaml"));
                std::fs::write(&file, yaml).with_context(|| format!("could not write {}", file.display()))?;
            }
            None => writeln!(std::io::stdout(), "---\n{yaml}").context("could not print")?,
        }
    }
    Ok(())
}

/// Each custom resource by its plural name, as YAML.
///
/// # Errors
/// When one of them cannot be written as YAML.
pub fn as_yaml() -> anyhow::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for mut definition in crd::all() {
        // Without its definition an object is gone: uninstalling a chart must not delete every tenant.
        definition.annotations_mut().insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
        let name = definition.spec.names.plural.clone();
        let yaml =
            serde_saphyr::to_string(&json!(definition)).context("a custom resource cannot be written as YAML")?;
        all.push((name, yaml));
    }
    Ok(all)
}
