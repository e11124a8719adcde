//! One type per kind of identity, so that two of them cannot be swapped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The 16 bytes that a database stores.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// A record: a UUID of version 7, made by whoever creates the record, offline too; lowercase and hyphenated on the wire.
    RecordId
}
uuid_id! {
    /// One enrolled installation.
    DeviceId
}
uuid_id! {
    /// One customer of the service: the unit of isolation.
    TenantId
}

/// Position in the tenant's order of changes; on a record, that of its last change. 0 is before everything.
pub type Sequence = u64;

/// A mutation's number on its device: 1, 2, 3, … without a gap.
pub type MutationId = u64;

/// A set of records that a user may hold: a small number that the server gives out.
pub type ScopeId = u32;
