//! Volumes of the real node: folders, made ahead, that claims of the class `local` are bound to.

use anyhow::Result;

use super::NAME;
use crate::kubectl::Kubectl;
use crate::state::StateFolder;

/// The class of claims whose pods run for real.
pub const CLASS: &str = "local";

const COUNT: usize = 32;

/// Makes the class and its volumes.
pub(super) fn make(folder: &StateFolder, kubectl: &Kubectl) -> Result<()> {
    let mut manifests = class();
    for number in 0..COUNT {
        let path = folder.folder(&format!("node/volumes/{number}"))?;
        manifests += &volume(number, &path.display().to_string());
    }
    kubectl.apply(&manifests)?;
    Ok(())
}

/// The volume is chosen with the pod's node.
fn class() -> String {
    format!(
        r#"apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: {CLASS}
  annotations: {{storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
"#
    )
}

/// A folder holds what the disk holds; the capacity only says which claims fit.
fn volume(number: usize, path: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: local-{number}}}
spec:
  storageClassName: {CLASS}
  capacity: {{storage: 20Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {{path: {path}}}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{NAME}]}}]
"
    )
}
