use std::path::Path;

use super::Done;
use super::console::Console;
use crate::device::{Device, DeviceError, SyncReport, code};
use crate::message::say;
use crate::transport::{HttpTransport, ServerAddress};

pub fn run(device: &mut Device, console: &mut Console) -> Done {
    let transport = transport(device, console)?;
    let result = device.sync(&transport, &mut |progress| {
        console.progress(&say(
            format!("{} cambios enviados, {} recibidos", progress.sent, progress.received),
            format!("{} changes sent, {} received", progress.sent, progress.received),
        ));
    });
    console.end_progress();
    let report = result?;
    if console.is_json() {
        return console.document(&report);
    }
    print(&report, console)
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
