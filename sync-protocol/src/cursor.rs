//! Opaque, authenticated positions.
//!
//! A device keeps the text of its cursor and sends it back; only the server that sealed it can read it. A cursor of
//! another tenant, or one that somebody wrote by hand, is refused before a byte of it is believed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::id::{ScopeId, Sequence, TenantId};

mod varint;

use varint::Reader;

/// The first byte of a sealed cursor: which layout follows.
const VERSION: u8 = 1;
/// Bytes of the authentication code.
const TAG_BYTES: usize = 16;
/// The longest text that [`Cursor::open`] looks at; a cursor of 10,000 scopes is shorter.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Where a device stands in its tenant's order of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Grows when the server is restored from a backup: sequences of another epoch mean nothing here.
    pub epoch: u64,
    /// Everything up to here that stands in a held scope has been sent, but for what the backfills still bring; what is
    /// newer never comes by a backfill.
    pub seq: Sequence,
    /// Where the device last had all of a consistent point: `seq` after a page without `more`, then unchanged through
    /// the pages of the next run. A record has only its last sequence, so a change of one of its fields (or its coming
    /// into a scope) after `from` may not have been sent although `seq` is beyond it: what a partial `put` leaves out,
    /// and what `acknowledged` stands for, is judged by `from`, never by `seq`.
    pub from: Sequence,
    /// The scopes that the user held when the cursor was made: ascending, each once.
    pub scopes: Vec<ScopeId>,
    /// Scopes that are still arriving, in the order in which they arrive, each with the sequence up to which it came.
    pub backfill: Vec<(ScopeId, Sequence)>,
    /// The backfills are those of a first sync: a record that stands in several of them came, with all its scopes, with
    /// the first. Otherwise a scope was granted later, and records that the device has learn that they stand in it too.
    pub first_sync: bool,
    /// Which fields the user saw when the cursor was made, as a number that the server gives to that; 0 where it gives
    /// none. With another number what the device holds has too many fields or too few.
    pub view: u32,
    /// The fields that the user sees are others than at [`Cursor::from`]: what she gained is on its way.
    pub gaining: Option<Gaining>,
}

/// Fields on their way to a device that has their records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaining {
    /// [`Cursor::view`] at [`Cursor::from`].
    pub since: u32,
    /// Scopes whose records still get them, in the order in which they do, each with the sequence up to which they did.
    pub scopes: Vec<(ScopeId, Sequence)>,
}

impl Cursor {
    /// The text to hand to the device.
    #[must_use]
    pub fn seal(&self, key: &CursorKey, tenant: TenantId) -> String {
        let mut bytes = self.encode();
        let tag = key.authenticate(tenant, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text that [`Cursor::seal`] made with the same key for the same tenant.
    ///
    /// # Errors
    ///
    /// [`CursorError`] says whether the text is no cursor at all, one of a newer server, or not ours.
    pub fn open(text: &str, key: &CursorKey, tenant: TenantId) -> Result<Self, CursorError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(CursorError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Malformed)?;
        let (payload, tag) =
            bytes.len().checked_sub(TAG_BYTES).map(|length| bytes.split_at(length)).ok_or(CursorError::Malformed)?;
        // Before the code is checked, because another version may authenticate otherwise.
        match payload.first() {
            None => return Err(CursorError::Malformed),
            Some(&VERSION) => {}
            Some(&version) => return Err(CursorError::UnsupportedVersion { version }),
        }
        key.authenticate(tenant, payload).verify_truncated_left(tag).map_err(|_| CursorError::Forged)?;
        Self::decode(payload).ok_or(CursorError::Malformed)
    }

    fn encode(&self) -> Vec<u8> {
        let mut scopes = self.scopes.clone();
        scopes.sort_unstable();
        scopes.dedup();

        let mut bytes = Vec::with_capacity(32 + 2 * scopes.len() + 8 * self.backfill.len() + TAG_BYTES);
        bytes.push(VERSION);
        varint::put(&mut bytes, self.epoch);
        varint::put(&mut bytes, self.seq);
        varint::put(&mut bytes, self.seq.wrapping_sub(self.from));
        varint::put(&mut bytes, scopes.len() as u64);
        let mut next = 0;
        for scope in scopes {
            let scope = u64::from(scope);
            varint::put(&mut bytes, scope - next);
            next = scope + 1;
        }
        varint::put(&mut bytes, self.backfill.len() as u64);
        for &(scope, seq) in &self.backfill {
            varint::put(&mut bytes, u64::from(scope));
            varint::put(&mut bytes, seq);
        }
        bytes.push(u8::from(self.first_sync));
        varint::put(&mut bytes, u64::from(self.view));
        if let Some(gaining) = &self.gaining {
            varint::put(&mut bytes, u64::from(gaining.since));
            varint::put(&mut bytes, gaining.scopes.len() as u64);
            for &(scope, seq) in &gaining.scopes {
                varint::put(&mut bytes, u64::from(scope));
                varint::put(&mut bytes, seq);
            }
        }
        bytes
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload.get(1..)?);
        let epoch = reader.number()?;
        let seq = reader.number()?;
        let from = seq.wrapping_sub(reader.number()?);
        let mut scopes = Vec::with_capacity(reader.count()?);
        let mut next = 0_u64;
        for _ in 0..scopes.capacity() {
            let scope = next.checked_add(reader.number()?)?;
            scopes.push(ScopeId::try_from(scope).ok()?);
            next = scope + 1;
        }
        let backfill = read_positions(&mut reader)?;
        let first_sync = match reader.number()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let view = u32::try_from(reader.number()?).ok()?;
        let gaining = if reader.is_at_end() {
            None
        } else {
            let since = u32::try_from(reader.number()?).ok()?;
            Some(Gaining { since, scopes: read_positions(&mut reader)? })
        };
        reader.is_at_end().then_some(Self { epoch, seq, from, scopes, backfill, first_sync, view, gaining })
    }
}

fn read_positions(reader: &mut Reader<'_>) -> Option<Vec<(ScopeId, Sequence)>> {
    let mut positions = Vec::with_capacity(reader.count()?);
    for _ in 0..positions.capacity() {
        let scope = ScopeId::try_from(reader.number()?).ok()?;
        positions.push((scope, reader.number()?));
    }
    Some(positions)
}

/// The secret with which a tenant's server seals its cursors: 32 random bytes.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

impl CursorKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn authenticate(&self, tenant: TenantId, payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(tenant.as_bytes());
        mac.update(payload);
        mac
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(hidden)")
    }
}

/// Why a text is no cursor of this tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It was cut, altered beyond its encoding, or never was a cursor.
    #[error("the cursor is malformed: send it exactly as it was received, or none to start over")]
    Malformed,
    /// Its code does not match: somebody altered it, or another tenant's server made it.
    #[error("the cursor was not made for this tenant: send the one received from this server, or none to start over")]
    Forged,
    /// A newer server made it.
    #[error("the cursor has layout {version}, this server reads layout 1: send none to start over")]
    UnsupportedVersion {
        /// The layout that it names.
        version: u8,
    },
}

impl CursorError {
    /// The code of the problem that answers such a cursor: a device that gets one starts over.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "cursor-malformed",
            Self::Forged => "cursor-forged",
            Self::UnsupportedVersion { .. } => "cursor-unsupported",
        }
    }
}
