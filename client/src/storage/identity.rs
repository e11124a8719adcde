use std::fmt;

use rusqlite::{Connection, OptionalExtension, params};
use sync_protocol::id::{DeviceId, RecordId, TenantId};
use uuid::Uuid;

use super::StorageError;
use super::error::Attempt;

/// Whose device this is, and how it reaches its server.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Address of the server.
    pub server: String,
    /// PEM file of the certificate authorities to trust, when not those that browsers trust.
    pub ca_file: Option<String>,
    /// The device.
    pub device: DeviceId,
    /// What it shows the server. A secret.
    pub token: String,
    /// Its user.
    pub user: RecordId,
    /// The user's e-mail address.
    pub email: String,
    /// Whose server it is.
    pub tenant: TenantId,
    /// What the device is called.
    pub name: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token: what is printed ends up in logs.
        f.debug_struct("Identity").field("server", &self.server).field("device", &self.device).finish_non_exhaustive()
    }
}

pub(super) fn read(connection: &Connection) -> Result<Option<Identity>, StorageError> {
    let sql = "SELECT server, ca_file, device, token, user, email, tenant, name FROM identity";
    connection
        .query_row(sql, [], |row| {
            let id = |bytes: [u8; 16]| Uuid::from_bytes(bytes);
            Ok(Identity {
                server: row.get(0)?,
                ca_file: row.get(1)?,
                device: DeviceId(id(row.get(2)?)),
                token: row.get(3)?,
                user: RecordId(id(row.get(4)?)),
                email: row.get(5)?,
                tenant: TenantId(id(row.get(6)?)),
                name: row.get(7)?,
            })
        })
        .optional()
        .attempting("read whose device this is")
}

pub(super) fn write(connection: &Connection, identity: &Identity) -> Result<(), StorageError> {
    let sql = "INSERT OR REPLACE INTO identity (only_row, server, ca_file, device, token, user, email, tenant, name)
               VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection
        .execute(
            sql,
            params![
                identity.server,
                identity.ca_file,
                identity.device.as_bytes(),
                identity.token,
                identity.user.as_bytes(),
                identity.email,
                identity.tenant.as_bytes(),
                identity.name,
            ],
        )
        .attempting("keep whose device this is")?;
    Ok(())
}
