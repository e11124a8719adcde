use std::path::Path;

use serde::Serialize;

use super::arguments::Sync;
use super::console::Console;
use super::{Done, blob};
use crate::device::{BlobReport, Device, DeviceError, SyncReport, code};
use crate::message::say;
use crate::transport::{HttpTransport, ServerAddress};

/// What a sync did, with the files beside the records.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    report: SyncReport,
    blobs: BlobReport,
}

pub fn run(device: &mut Device, home: &Path, arguments: Sync, console: &mut Console) -> Done {
    let transport = transport(device, console)?;
    let result = device.sync(&transport, &mut |progress| {
        console.progress(&say(
            format!("{} cambios enviados, {} recibidos", progress.sent, progress.received),
            format!("{} changes sent, {} received", progress.sent, progress.received),
        ));
    });
    console.end_progress();
    let report = result?;
    let blobs = blob::exchange(device, home, &transport, arguments.photos, console)?;
    if console.is_json() {
        return console.document(&Told { report, blobs });
    }
    print(&report, console)?;
    if blobs.sent + blobs.fetched > 0 {
        let BlobReport { sent, fetched } = blobs;
        console.say(&say(
            format!("Ficheros: {sent} enviados, {fetched} recibidos."),
            format!("Files: {sent} sent, {fetched} received."),
        ))?;
    }
    Ok(())
}

/// The way to the server that the device was enrolled at.
pub fn transport(device: &Device, console: &Console) -> Result<HttpTransport, DeviceError> {
    let identity = device.identity();
    // Whether plain HTTP is safe there was settled when the device was enrolled.
    let server = ServerAddress::parse(&identity.server, true)?;
    let transport = HttpTransport::new(server, identity.ca_file.as_deref().map(Path::new), code(console.language()))?;
    Ok(transport.with_token(identity.token.clone()))
}

pub fn print(report: &SyncReport, console: &mut Console) -> Done {
    let SyncReport { sent, applied, merged, rejected, received, waiting, attention, .. } = report;
    console.say(&say(
        format!("Recibidos {received} cambios; enviados {sent}: {applied} aplicados, {merged} combinados, {rejected} rechazados."),
        format!("Received {received} changes; sent {sent}: {applied} applied, {merged} merged, {rejected} rejected."),
    ))?;
    if *waiting > 0 {
        console.say(&say(
            format!("{waiting} cambios siguen esperando; sincroniza de nuevo más tarde."),
            format!("{waiting} changes still wait; sync again later."),
        ))?;
    }
    if *attention > 0 {
        console.say(&say(
            format!("{attention} cambios necesitan atención: cartera-device conflicts."),
            format!("{attention} changes need attention: cartera-device conflicts."),
        ))?;
    }
    if report.in_step {
        console.say(&say("Al día.", "In step."))?;
    }
    Ok(())
}
