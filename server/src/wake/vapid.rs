//! The server tells a push service who it is (VAPID, RFC 8292): a token signed with a key that the device's browser was
//! told when it subscribed, so that nobody else can wake the device.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

/// A token is for a day at the most; half of it leaves room for clocks that differ.
const TOKEN_SECS: i64 = 12 * 60 * 60;

/// Signs for one tenant.
pub(super) struct Vapid {
    pair: EcdsaKeyPair,
    contact: String,
    random: SystemRandom,
}

impl Vapid {
    /// A new key pair, as PKCS #8. It does not come from `Entropy`: this library takes its random bytes from the machine
    /// alone.
    pub(super) fn generate() -> anyhow::Result<Vec<u8>> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let made = made.map_err(|_| anyhow::anyhow!("the machine has no random bytes for the key of push services"))?;
        Ok(made.as_ref().to_vec())
    }

    /// Signs with that pair; `contact` is whom the push service may reach.
    pub(super) fn new(pair: &[u8], contact: &str) -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair, &random)
            .map_err(|error| anyhow::anyhow!("wake_key.pair is no key pair of the curve P-256: {error}"))?;
        Ok(Self { pair, contact: contact.to_owned(), random })
    }

    /// The public key as devices and push services are told it.
    pub(super) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key())
    }

    /// The header `Authorization` of a request to the push service at `origin`.
    ///
    /// # Errors
    /// When the machine has no random bytes for a signature.
    pub(super) fn authorization(&self, origin: &str, now_ms: i64) -> anyhow::Result<String> {
        let header = URL_SAFE_NO_PAD.encode(json!({ "typ": "JWT", "alg": "ES256" }).to_string());
        let expires_secs = now_ms.div_euclid(1_000) + TOKEN_SECS;
        let claims = json!({ "aud": origin, "exp": expires_secs, "sub": self.contact });
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.pair.sign(&self.random, signed.as_bytes());
        let signature = signature.map_err(|_| anyhow::anyhow!("the machine has no random bytes for a signature"))?;
        let (token, key) = (URL_SAFE_NO_PAD.encode(signature), self.public_key());
        Ok(format!("vapid t={signed}.{token}, k={key}"))
    }
}
