//! The definitions of our own kinds in the cluster.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};

use crate::crd;

/// Why this operator cannot work with the definitions that the cluster has.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// There is none.
    #[error(
        "the cluster has no definition of {0}: run `cartera-operator crds --apply`, or install the chart cartera-operator-crds"
    )]
    Missing(String),
    /// It is of an earlier operator: fields that this one writes would be dropped without a word.
    #[error(
        "the cluster's definition of {name} is of schema {found}, and this operator needs {needed}: run `cartera-operator crds --apply`, or upgrade the chart cartera-operator-crds"
    )]
    Older {
        /// Of which kind.
        name: String,
        /// The number that it has.
        found: u32,
        /// The number that is needed.
        needed: u32,
    },
    /// They could not be read.
    #[error("could not read the definition of {0}")]
    Request(String, #[source] kube::Error),
}

/// Makes sure that the cluster knows every field that this operator writes. One of a later operator will do.
///
/// # Errors
/// When it does not, or could not be asked.
pub async fn expect(client: Client) -> Result<(), DefinitionError> {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    for definition in crd::all() {
        let name = definition.name_any();
        let found = api.get_opt(&name).await.map_err(|error| DefinitionError::Request(name.clone(), error))?;
        let Some(found) = found else { return Err(DefinitionError::Missing(name)) };
        let found = schema(&found);
        if found < crd::SCHEMA {
            return Err(DefinitionError::Older { name, found, needed: crd::SCHEMA });
        }
    }
    Ok(())
}

fn schema(definition: &CustomResourceDefinition) -> u32 {
    definition.annotations().get(crd::SCHEMA_ANNOTATION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Brings the cluster's definitions to those of this operator. Those of a later one stay: its fields would be dropped.
///
/// # Errors
/// When one was refused or nobody answered.
pub async fn apply(client: Client) -> anyhow::Result<Vec<String>> {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    let mut applied = Vec::new();
    for definition in crd::all() {
        let name = definition.name_any();
        let there = api.get_opt(&name).await?;
        if there.as_ref().is_some_and(|there| schema(there) > crd::SCHEMA) {
            continue;
        }
        api.patch(&name, &PatchParams::apply("cartera-crds").force(), &Patch::Apply(&definition)).await?;
        applied.push(name);
    }
    Ok(applied)
}
