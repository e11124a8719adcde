//! Passwords as Argon2id hashes, one computation at a time: each takes as much memory as it is configured to.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;

use crate::platform::config;
use crate::platform::entropy::Entropy;

/// More attempts than these do not wait for their turn but are turned away.
const MOST_WAITING: usize = 64;

/// Longer passwords only cost time.
const MOST_BYTES: usize = 1_024;

const SALT_BYTES: usize = 16;

/// Why a password was not hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many attempts wait already.
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// It is shorter than configured.
    #[error("the password has {chars} characters; it needs at least {least}")]
    TooShort {
        /// What it has.
        chars: usize,
        /// What it needs.
        least: usize,
    },
    /// It is unreasonably long.
    #[error("the password has more than {MOST_BYTES} bytes")]
    TooLong,
    /// What is stored is no hash, or the computation failed.
    #[error("could not compute the password's hash")]
    Hash(#[source] anyhow::Error),
}

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    argon2: Argon2<'static>,
    least_chars: usize,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Passwords {
    /// With the configured parameters.
    ///
    /// # Errors
    /// When Argon2 does not take them together.
    pub fn new(config: &config::Auth) -> anyhow::Result<Self> {
        let params = Params::new(config.password_memory_kib, config.password_passes, config.password_lanes, None)
            .map_err(|error| anyhow::anyhow!("the keys auth.password_* do not fit together: {error}"))?;
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            least_chars: config.password_min_chars,
            turns: Arc::new(Semaphore::new(1)),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
        })
    }

    /// Waits until no other password is being hashed or checked.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] when too many wait already.
    ///
    /// # Panics
    /// Never: the semaphores are not closed.
    pub async fn turn(&self) -> Result<Turn, PasswordError> {
        let _waiting = self.waiting.clone().try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let permit = self.turns.clone().acquire_owned().await.expect("nobody closes this semaphore");
        Ok(Turn { argon2: self.argon2.clone(), _permit: permit })
    }

    /// Whether the password may be set.
    ///
    /// # Errors
    /// [`PasswordError::TooShort`] or [`PasswordError::TooLong`].
    pub fn accept(&self, password: &str) -> Result<(), PasswordError> {
        let chars = password.chars().count();
        if chars < self.least_chars {
            return Err(PasswordError::TooShort { chars, least: self.least_chars });
        }
        if password.len() > MOST_BYTES { Err(PasswordError::TooLong) } else { Ok(()) }
    }

    /// Whether a stored hash was made with other parameters than those configured now.
    #[must_use]
    pub fn is_outdated(&self, stored: &str) -> bool {
        let made_with = PasswordHash::new(stored).ok().and_then(|hash| Params::try_from(&hash).ok());
        made_with.is_none_or(|made_with| {
            let own = self.argon2.params();
            (made_with.m_cost(), made_with.t_cost(), made_with.p_cost()) != (own.m_cost(), own.t_cost(), own.p_cost())
        })
    }
}

/// The right to compute; the next in line gets it when this is dropped.
#[derive(Debug)]
pub struct Turn {
    argon2: Argon2<'static>,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// A new salted hash of the password.
    ///
    /// # Errors
    /// [`PasswordError::Hash`].
    pub async fn hash(&self, password: &str, entropy: &dyn Entropy) -> Result<String, PasswordError> {
        let mut salt = [0_u8; SALT_BYTES];
        entropy.fill(&mut salt);
        self.compute(password, move |argon2, password| {
            let hash: PasswordHash = argon2.hash_password_with_salt(password, &salt)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether the password is the one that `stored` was made of. Without one it takes as long and says no: how long an
    /// answer takes must not tell who has an account.
    ///
    /// # Errors
    /// [`PasswordError::Hash`] when what is stored cannot be read.
    pub async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool, PasswordError> {
        if password.len() > MOST_BYTES {
            return Ok(false);
        }
        self.compute(password, move |argon2, password| {
            let Some(stored) = stored else {
                argon2.hash_password_into(password, &[0; SALT_BYTES], &mut [0; 32])?;
                return Ok(false);
            };
            let stored = PasswordHash::new(&stored)?;
            match argon2.verify_password(password, &stored) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        password: &str,
        work: impl FnOnce(&Argon2<'_>, &[u8]) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, PasswordError> {
        // The same characters can be typed as different code points.
        let password: String = password.nfkc().collect();
        let argon2 = self.argon2.clone();
        let computed = tokio::task::spawn_blocking(move || work(&argon2, password.as_bytes())).await;
        computed.map_err(|error| PasswordError::Hash(error.into()))?.map_err(PasswordError::Hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::config::Config;
    use crate::platform::entropy::SeededEntropy;

    fn passwords() -> Passwords {
        let config =
            config::Auth { password_memory_kib: 19_456, password_passes: 2, ..Config::with_data_dir("x").auth };
        Passwords::new(&config).expect("the least that is allowed")
    }

    #[tokio::test]
    async fn a_password_is_known_again_however_its_accents_are_typed_and_no_other_is() {
        let turn = passwords().turn().await.expect("nobody waits");
        let hash = turn.hash("contrase\u{f1}a larga", &SeededEntropy::new(1)).await.expect("it is hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(turn.verify("contrasen\u{303}a larga", Some(hash.clone())).await.expect("readable"));
        assert!(!turn.verify("contrasena larga", Some(hash)).await.expect("readable"));
        assert!(!turn.verify("contrasena larga", None).await.expect("nothing to read"));
    }

    #[tokio::test]
    async fn hashes_made_with_other_parameters_are_outdated_and_still_work() {
        let old = passwords();
        let hash = old.turn().await.expect("free").hash("0123456789", &SeededEntropy::new(1)).await.expect("hashed");
        let new = Passwords::new(&Config::with_data_dir("x").auth).expect("the defaults");
        assert!(!old.is_outdated(&hash) && new.is_outdated(&hash));
        assert!(new.turn().await.expect("free").verify("0123456789", Some(hash)).await.expect("readable"));
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        let turn = passwords().turn().await.expect("free");
        assert!(matches!(turn.verify("0123456789", Some("$argon2id$x".into())).await, Err(PasswordError::Hash(_))));
    }

    #[tokio::test]
    async fn who_comes_when_the_queue_is_full_is_turned_away() {
        let passwords = Arc::new(passwords());
        let held = passwords.turn().await.expect("free");
        let mut queue = tokio::task::JoinSet::new();
        for _ in 0..MOST_WAITING {
            let passwords = passwords.clone();
            queue.spawn(async move { passwords.turn().await.map(drop) });
        }
        while passwords.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(passwords.turn().await, Err(PasswordError::Busy)));
        drop(held);
        assert!(queue.join_all().await.iter().all(Result::is_ok), "those in the queue all get their turn");
    }

    #[test]
    fn short_and_endless_passwords_are_not_accepted() {
        let passwords = passwords();
        assert!(matches!(passwords.accept("123456789"), Err(PasswordError::TooShort { chars: 9, least: 10 })));
        assert!(matches!(passwords.accept(&"x".repeat(MOST_BYTES + 1)), Err(PasswordError::TooLong)));
        assert!(passwords.accept("ñandúes-10").is_ok());
    }
}
