//! Files that records name: attached without a network, sent after the outbox, fetched when they are wanted.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use crm::model::{Accept, Field, FieldKind, media_type_of};
use serde::Serialize;
use serde_json::{Value, json};
use sync_protocol::wire::BlobHash;

use super::{Action, Assignment, Checks, Device, DeviceError, Queued};
use crate::message::say;
use crate::storage::{BlobFiles, StorageError};
use crate::transport::{BlobTransport, TransportError};

/// How often one file is tried in one sync while its connection breaks; the next sync goes on behind what arrived.
const ATTEMPTS: u32 = 5;

/// A file as a record names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlobName {
    /// SHA-256 of its bytes.
    pub hash: String,
    /// What it is called.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: String,
}

/// What became of the files that were to be sent and fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlobReport {
    /// Sent, or found at the server already.
    pub sent: usize,
    /// Fetched.
    pub fetched: usize,
}

impl Device {
    /// Attaches a file to a record: keeps its bytes, and queues the change that names it.
    ///
    /// # Errors
    /// When the file cannot be read, the field holds no files, or the change is not allowed: nothing is queued then.
    pub fn attach(
        &mut self,
        blobs: &dyn BlobFiles,
        entity: &str,
        id: &str,
        field: &str,
        file: &Path,
    ) -> Result<(BlobName, Queued), DeviceError> {
        let is_list = self.blob_field(entity, field)?.1;
        let unreadable = |source| StorageError::Open { path: file.to_owned(), source };
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Before its bytes are kept: one that is too large is not copied to find that out.
        let size = file.metadata().map_err(unreadable)?.len();
        let blob = BlobName { hash: "0".repeat(64), media_type: media_type_of(&name).to_owned(), name, size };
        self.verify_blob(entity, field, &blob)?;
        let mut source = File::open(file).map_err(unreadable)?;
        let (hash, size) = blobs.keep(&mut source)?;
        let blob = BlobName { hash: hash.to_string(), size, ..blob };
        let action =
            if is_list { Action::Add(json!([blob]).to_string()) } else { Action::Set(json!(blob).to_string()) };
        let assignment = Assignment { field: field.to_owned(), action };
        match self.set(entity, id, &[assignment], Checks::Made) {
            Ok(queued) => Ok((blob, queued)),
            Err(error) => {
                blobs.sent(hash)?;
                Err(error)
            }
        }
    }

    /// Sends every file that waits; one that the server does not take is tried again by the next sync.
    ///
    /// # Errors
    /// The first thing that went wrong, when all were tried.
    pub fn send_blobs(&self, blobs: &dyn BlobFiles, transport: &dyn BlobTransport) -> Result<BlobReport, DeviceError> {
        let mut report = BlobReport::default();
        let mut failure = None;
        for hash in blobs.outgoing()? {
            match send(blobs, transport, hash) {
                Ok(()) => report.sent += 1,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(report), Err)
    }

    /// The file that a record's field names: `name` tells which, where there are several.
    ///
    /// # Errors
    /// When the device has no such record, or the field names none or several.
    pub fn blob_of(&self, entity: &str, id: &str, field: &str, name: Option<&str>) -> Result<BlobName, DeviceError> {
        self.blob_field(entity, field)?;
        let record = self.show(entity, id)?;
        let named = record.fields.get(field).map(read_all).unwrap_or_default();
        let mut found: Vec<BlobName> =
            named.into_iter().filter(|blob| name.is_none_or(|name| blob.name == name || blob.hash == name)).collect();
        if found.len() == 1 {
            return Ok(found.remove(0));
        }
        let names: Vec<String> = found.iter().map(|blob| format!("{} ({})", blob.name, blob.hash)).collect();
        Err(DeviceError::Usage(if names.is_empty() {
            say(format!("«{field}» no tiene ese fichero."), format!("“{field}” has no such file."))
        } else {
            let names = names.join(", ");
            say(
                format!("«{field}» tiene varios ficheros; di cuál con --name: {names}."),
                format!("“{field}” has several files; say which with --name: {names}."),
            )
        }))
    }

    /// The names of all photos that records on this device have.
    ///
    /// # Errors
    /// When the device has no model, or the storage fails.
    pub fn photos(&self) -> Result<Vec<BlobName>, DeviceError> {
        self.named(|kind| matches!(kind, FieldKind::Blob { accept: Accept::Images, .. }))
    }

    /// Removes the files that no record here names any more: a record that has left takes its files along. What is still
    /// to be sent stays.
    ///
    /// # Errors
    /// When the device has no model, or the storage fails.
    pub fn drop_blobs(&self, blobs: &dyn BlobFiles) -> Result<(), DeviceError> {
        let kept = blobs.kept()?;
        if kept.is_empty() {
            return Ok(());
        }
        let named = self.named(|kind| matches!(kind, FieldKind::Blob { .. } | FieldKind::Blobs { .. }))?;
        let named: BTreeSet<BlobHash> = named.iter().filter_map(|blob| blob.hash.parse().ok()).collect();
        for hash in kept.into_iter().filter(|hash| !named.contains(hash)) {
            blobs.remove(hash)?;
        }
        Ok(())
    }

    /// What fields of such a kind name, on all records here.
    fn named(&self, is_wanted: impl Fn(&FieldKind) -> bool) -> Result<Vec<BlobName>, DeviceError> {
        let mut found = Vec::new();
        for entity in self.model()?.clone().entities.values() {
            let fields = entity.fields.values().filter(|field| is_wanted(&field.kind));
            let fields: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
            if fields.is_empty() {
                continue;
            }
            for view in self.all(&entity.name)? {
                found.extend(fields.iter().filter_map(|field| view.fields.get(*field)).flat_map(read_all));
            }
        }
        Ok(found)
    }

    /// Whether the field holds several files; an error where it holds none.
    fn blob_field(&self, entity: &str, field: &str) -> Result<(Field, bool), DeviceError> {
        let entity = self.entity(entity)?;
        let unknown = || DeviceError::UnknownField { entity: entity.name.clone(), field: field.to_owned() };
        let found = entity.field(field).ok_or_else(unknown)?;
        match found.kind {
            FieldKind::Blob { .. } => Ok((found.clone(), false)),
            FieldKind::Blobs { .. } => Ok((found.clone(), true)),
            _ => Err(DeviceError::Usage(say(
                format!("«{field}» no guarda ficheros."),
                format!("“{field}” holds no files."),
            ))),
        }
    }

    fn verify_blob(&self, entity: &str, field: &str, blob: &BlobName) -> Result<(), DeviceError> {
        let (found, is_list) = self.blob_field(entity, field)?;
        let value = if is_list { json!([blob]) } else { json!(blob) };
        match crm::rules::normalise(&found, value) {
            Ok(_) => Ok(()),
            Err(finding) => Err(DeviceError::Invalid { entity: entity.to_owned(), findings: vec![finding] }),
        }
    }
}

/// Makes sure that the device has a file whole, fetching what is missing. Returns whether anything was fetched.
///
/// # Errors
/// When it is not here and cannot be fetched; what came is kept, and the next attempt goes on behind it.
pub fn fetch(blobs: &dyn BlobFiles, transport: &dyn BlobTransport, blob: &BlobName) -> Result<bool, DeviceError> {
    let hash = hash_of(blob)?;
    if blobs.open(hash)?.is_some() {
        return Ok(false);
    }
    for _ in 0..ATTEMPTS {
        let (mut part, here) = blobs.part(hash)?;
        if here >= blob.size && blobs.complete(hash)? {
            return Ok(true);
        }
        let offset = if here >= blob.size { 0 } else { here };
        match transport.fetch(hash, offset, &mut part) {
            Ok(()) if blobs.complete(hash)? => return Ok(true),
            Ok(()) => {}
            // More came than the last time: a bad line, not none.
            Err(TransportError::Unreachable { .. }) if blobs.part(hash)?.1 > here => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(DeviceError::Protocol { reason: format!("the bytes of {hash} do not come whole") })
}

fn send(blobs: &dyn BlobFiles, transport: &dyn BlobTransport, hash: BlobHash) -> Result<(), DeviceError> {
    let Some(mut file) = blobs.open(hash)? else {
        return Err(DeviceError::Protocol { reason: format!("the file {hash} is gone from the device's folder") });
    };
    let unreadable = |source| StorageError::Open { path: hash.to_string().into(), source };
    let length = file.metadata().map_err(unreadable)?.len();
    let mut offset = reached(transport, hash, length)?;
    let mut attempts = 0;
    while offset < Some(length) {
        attempts += 1;
        match transport.send(hash, &mut file, offset.unwrap_or(0), length) {
            Ok(()) => break,
            Err(TransportError::Unreachable { url, source }) => {
                offset = reached(transport, hash, length)?;
                if attempts >= ATTEMPTS {
                    return Err(TransportError::Unreachable { url, source }.into());
                }
            }
            Err(TransportError::Refused { problem, retry_after }) => {
                // Begun on another day, or given up by the server: what it says is where to go on.
                let is_elsewhere = problem.code == "blob-offset" && attempts < ATTEMPTS;
                offset = problem.extra.get("offset").and_then(Value::as_u64);
                if !is_elsewhere {
                    return Err(TransportError::Refused { problem, retry_after }.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(blobs.sent(hash)?)
}

/// How many bytes the server has; none where it knows nothing of the blob. An empty file is sent, too.
fn reached(transport: &dyn BlobTransport, hash: BlobHash, length: u64) -> Result<Option<u64>, DeviceError> {
    let reached = transport.reached(hash)?;
    // Another length was begun by mistake: the first byte begins again.
    Ok(reached.filter(|reached| reached.length == length).map(|reached| reached.offset))
}

fn read_all(value: &Value) -> Vec<BlobName> {
    let files = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let read = |file: &Value| {
        let text = |key: &str| file[key].as_str().map(str::to_owned);
        Some(BlobName {
            hash: text("hash")?,
            name: text("name")?,
            size: file["size"].as_u64()?,
            media_type: text("type")?,
        })
    };
    files.iter().filter_map(read).collect()
}

/// The name of a file as the wire has it.
///
/// # Errors
/// When the record holds no hash there.
pub fn hash_of(blob: &BlobName) -> Result<BlobHash, DeviceError> {
    blob.hash.parse().map_err(|_| DeviceError::Protocol { reason: format!("{:?} is no hash", blob.hash) })
}
