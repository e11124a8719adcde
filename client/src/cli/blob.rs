use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::Done;
use super::arguments::{Attach, Fetch};
use super::console::Console;
use crate::device::{BlobName, BlobReport, Device, DeviceError, fetch_blob, hash_of};
use crate::message::say;
use crate::storage::{BlobFiles, BlobFolder, StorageError};
use crate::transport::HttpTransport;

pub fn attach(device: &mut Device, home: &Path, arguments: &Attach, console: &mut Console) -> Done {
    let record = &arguments.record;
    let blobs = BlobFolder::in_home(home);
    let (blob, queued) = device.attach(&blobs, &record.entity, &record.id, &arguments.field, &arguments.file)?;
    if console.is_json() {
        return console.document(&json!({
            "entity": record.entity, "id": queued.record, "mutation": queued.mutation, "blob": blob,
        }));
    }
    console.say(&say(
        format!("«{}» ({} B) se enviará en la próxima sincronización.", blob.name, blob.size),
        format!("“{}” ({} B) is sent by the next sync.", blob.name, blob.size),
    ))
}

pub fn fetch(device: &Device, home: &Path, arguments: &Fetch, console: &mut Console) -> Done {
    let record = &arguments.record;
    let blob = device.blob_of(&record.entity, &record.id, &arguments.field, arguments.name.as_deref())?;
    let blobs = BlobFolder::in_home(home);
    let fetched = match blobs.open(hash_of(&blob)?)? {
        Some(_) => false,
        None => fetch_blob(&blobs, &super::sync::transport(device, console)?, &blob)?,
    };
    write_out(&blobs, &blob, &arguments.output)?;
    if console.is_json() {
        return console.document(&json!({ "blob": blob, "file": arguments.output, "fetched": fetched }));
    }
    console.say(&say(
        format!("«{}» ({} B) está en {}.", blob.name, blob.size, arguments.output.display()),
        format!("“{}” ({} B) is in {}.", blob.name, blob.size, arguments.output.display()),
    ))
}

/// Sends the files that wait, removes those whose records have left, and with `photos` fetches those that are missing.
pub fn exchange(
    device: &Device,
    home: &Path,
    transport: &HttpTransport,
    photos: bool,
    console: &Console,
) -> Result<BlobReport, DeviceError> {
    let blobs = BlobFolder::in_home(home);
    // First what must not stay, whatever becomes of the rest.
    device.drop_blobs(&blobs)?;
    let mut report = device.send_blobs(&blobs, transport)?;
    if !photos {
        return Ok(report);
    }
    for blob in device.photos()? {
        match fetch_blob(&blobs, transport, &blob) {
            Ok(fetched) => report.fetched += usize::from(fetched),
            // Its device has not sent it yet, or its record has just left.
            Err(DeviceError::Transport(crate::transport::TransportError::Refused { problem, .. }))
                if problem.status == 404 => {}
            Err(error) => return Err(error),
        }
        console.progress(&say(
            format!("{} fotos recibidas", report.fetched),
            format!("{} photos received", report.fetched),
        ));
    }
    console.end_progress();
    Ok(report)
}

/// Whoever reads the target sees all of the file, or what was there before.
fn write_out(blobs: &dyn BlobFiles, blob: &BlobName, target: &Path) -> Result<(), DeviceError> {
    let failed = |source| StorageError::Open { path: target.to_owned(), source };
    let gone = || DeviceError::Protocol { reason: format!("the file {} is gone from the device's folder", blob.hash) };
    let mut source = blobs.open(hash_of(blob)?)?.ok_or_else(gone)?;
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    let copied = File::create(part).and_then(|mut file| {
        io::copy(&mut source, &mut file)?;
        file.flush()
    });
    copied.and_then(|()| std::fs::rename(part, target)).map_err(failed)?;
    Ok(())
}
