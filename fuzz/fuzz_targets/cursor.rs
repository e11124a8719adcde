//! Any text as a cursor, and any bytes as what a cursor seals (where the first byte is odd): opened or refused.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;
use sync_protocol::cursor::{Cursor, CursorKey};
use sync_protocol::id::TenantId;
use uuid::Uuid;

const KEY: [u8; 32] = [7; 32];
const TENANT: TenantId = TenantId(Uuid::from_u128(42));

/// As a server of this tenant would have sealed it.
fn sealed(payload: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).expect("HMAC takes a key of any length");
    mac.update(TENANT.0.as_bytes());
    mac.update(payload);
    let code = mac.finalize().into_bytes();
    URL_SAFE_NO_PAD.encode([payload, &code[..16]].concat())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let key = CursorKey::new(KEY);
    let opened = if kind % 2 == 1 {
        Cursor::open(&sealed(rest), &key, TENANT)
    } else {
        let Ok(text) = std::str::from_utf8(rest) else { return };
        Cursor::open(text, &key, TENANT)
    };
    match opened {
        Ok(cursor) => {
            let again = Cursor::open(&cursor.seal(&key, TENANT), &key, TENANT);
            assert_eq!(again.as_ref(), Ok(&cursor), "what was opened can be sealed");
        }
        Err(error) => assert!(error.code().starts_with("cursor-"), "{error}"),
    }
});
