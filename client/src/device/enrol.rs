use std::path::Path;

use crm::model::Language;
use sync_protocol::engine::Input;

use super::{Device, DeviceError, code};
use crate::host::Host;
use crate::storage::{DeviceStore, Home, Identity};
use crate::transport::{EnrolRequest, HttpTransport, ServerAddress, Transport};

/// What a person gives to make a folder a device of hers.
pub struct NewDevice<'a> {
    /// Where the server is.
    pub server: ServerAddress,
    /// PEM file of the certificate authorities to trust, when not those that browsers trust.
    pub ca_file: Option<&'a Path>,
    /// Her e-mail address.
    pub email: &'a str,
    /// Her password; kept nowhere.
    pub password: String,
    /// What the device is called in lists of devices.
    pub name: &'a str,
}

/// Makes a folder a device: the server admits it, and the folder keeps who it is. Nothing is synced yet. A device of
/// the same user at the same server gets a new session and keeps all it has.
///
/// # Errors
/// When the folder is somebody else's device, or the server does not admit it; the folder stays as it was.
pub fn enrol(home: &Path, new: NewDevice, language: Language, host: Box<dyn Host>) -> Result<Device, DeviceError> {
    let mut store = DeviceStore::open(Home::hold(home)?)?;
    let known = store.identity()?;
    if let Some(Identity { server, email, .. }) = &known
        && (server != new.server.as_str() || !email.eq_ignore_ascii_case(new.email))
    {
        let (server, email) = (server.clone(), email.clone());
        return Err(DeviceError::AlreadyEnrolled { home: home.to_owned(), email, server });
    }
    let transport = HttpTransport::new(new.server.clone(), new.ca_file, code(language))?;
    let enrolment = transport.enrol(&EnrolRequest {
        email: new.email.to_owned(),
        password: new.password,
        name: new.name.to_owned(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: known.map(|identity| identity.device),
    })?;
    let identity = Identity {
        server: new.server.as_str().to_owned(),
        ca_file: new.ca_file.map(|file| file.display().to_string()),
        device: enrolment.device,
        token: enrolment.token.clone(),
        user: enrolment.user,
        email: new.email.to_owned(),
        tenant: enrolment.tenant,
        name: new.name.to_owned(),
    };
    store.enrol(&identity)?;
    let mut device = Device::over(store, identity, language, host)?;
    // With the model first, the first sync can index what it brings. Without, it fetches it itself.
    if let Ok(json) = transport.with_token(enrolment.token).model(&enrolment.model)
        && let Ok(names) = device.take_model(&enrolment.model, json)
    {
        device.act_offline(Input::ModelStored { hash: enrolment.model, names })?;
    }
    Ok(device)
}
