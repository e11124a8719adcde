//! `cartera-operator may-uninstall`

use anyhow::Context as _;
use clap::Args;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::crd::Tenant;

/// Fails while there are Tenants: without the operator nobody ends them in order
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The namespace that holds the Tenants.
    #[arg(long, env = "CARTERA_NAMESPACE", default_value = "cartera-tenants")]
    namespace: String,
}

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let namespace = &arguments.namespace;
    let tenants: Api<Tenant> = Api::namespaced(super::client().await?, namespace);
    let left = match tenants.list(&ListParams::default()).await {
        Ok(left) => left.items,
        // Nobody knows the kind any more.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("could not list the Tenants of {namespace}")),
    };
    let names: Vec<String> = left.iter().map(ResourceExt::name_any).collect();
    anyhow::ensure!(
        names.is_empty(),
        "{namespace} still has {} Tenants ({}): delete them first and wait until they are gone, since nobody ends them in order without the operator",
        names.len(),
        names.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}
