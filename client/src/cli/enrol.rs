use std::io::{self, IsTerminal, Write};
use std::path::Path;

use serde_json::json;

use super::Done;
use super::arguments::Enrol;
use super::console::Console;
use crate::device::{DeviceError, NewDevice, enrol};
use crate::host::Machine;
use crate::message::say;
use crate::transport::{ServerAddress, TransportError};

const PASSWORD: &str = "CARTERA_PASSWORD";

pub fn run(home: &Path, arguments: Enrol, console: &mut Console) -> Done {
    let server = ServerAddress::parse(&arguments.url, arguments.plain_http)?;
    let ca_file = arguments.ca_file.map(|file| absolute(&file)).transpose()?;
    let name = arguments.name.unwrap_or_else(machine_name);
    let new = NewDevice {
        server,
        ca_file: ca_file.as_deref(),
        email: arguments.user.trim(),
        password: password()?,
        name: &name,
    };
    let device = enrol(home, new, console.language(), Box::new(Machine))?;
    let identity = device.identity();
    if console.is_json() {
        return console.document(&json!({
            "device": identity.device,
            "user": identity.user,
            "tenant": identity.tenant,
            "server": identity.server,
            "name": identity.name,
        }));
    }
    console.say(&say(
        format!(
            "Este es ahora el dispositivo «{}» de {} en {}. Ahora: cartera-device sync.",
            identity.name, identity.email, identity.server
        ),
        format!(
            "This is now the device “{}” of {} at {}. Next: cartera-device sync.",
            identity.name, identity.email, identity.server
        ),
    ))
}

/// The file is read at every sync, from wherever the command is then run.
fn absolute(file: &Path) -> Result<std::path::PathBuf, DeviceError> {
    std::path::absolute(file).map_err(|error| {
        TransportError::Certificates { file: file.display().to_string(), reason: error.to_string() }.into()
    })
}

/// From the environment, else one line of standard input; typed unseen on a terminal.
fn password() -> Result<String, DeviceError> {
    if let Ok(password) = std::env::var(PASSWORD) {
        return Ok(password);
    }
    let read = if io::stdin().is_terminal() {
        // The prompt goes where no script reads.
        write!(io::stderr().lock(), "Contraseña / Password: ").and_then(|()| rpassword::read_password())
    } else {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    };
    let password = read.map(|line| line.trim_end_matches(['\r', '\n']).to_owned()).unwrap_or_default();
    if password.is_empty() {
        return Err(DeviceError::Usage(say(
            format!("Falta la contraseña: escríbela en la entrada estándar o en {PASSWORD}."),
            format!("The password is missing: write it to standard input or into {PASSWORD}."),
        )));
    }
    Ok(password)
}

fn machine_name() -> String {
    let named = ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let read = || std::fs::read_to_string("/etc/hostname").ok();
    let name = named.or_else(read).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "terminal".to_owned())
}
