//! Who is asking: passwords, sessions, and the one extractor that every handler gets its caller from.

mod address_limit;
mod backoff;
mod caller;
mod client_address;
mod password;
mod session;
mod sign_in;

pub use self::address_limit::AddressLimit;
pub use self::caller::{Caller, CallerDevice, LocalOperator, Newcomer, asked_language, bearer};
pub use self::client_address::ClientAddress;
pub use self::password::{PasswordError, Passwords};
pub use self::session::{Ended, NewSession, Sessions, TokenHash};
pub use self::sign_in::{
    accept_password, check_own_password, check_password, expect_own_password, give_password, set_password,
    set_shared_password,
};
use super::config;

/// What authentication keeps in memory.
#[derive(Debug)]
pub struct Auth {
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Finds and ends sessions.
    pub sessions: Sessions,
    /// Slows down addresses from which attempts fail.
    pub addresses: AddressLimit,
}

impl Auth {
    /// Nothing remembered yet.
    ///
    /// # Errors
    /// When the hashing parameters are not what Argon2 takes together.
    pub fn new(config: &config::Auth) -> anyhow::Result<Self> {
        let addresses = AddressLimit::new(config.address_failures_per_hour);
        Ok(Self { passwords: Passwords::new(config)?, sessions: Sessions::default(), addresses })
    }
}
