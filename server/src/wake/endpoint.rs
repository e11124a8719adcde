//! The address at which a push service is asked to wake one device, checked.

use axum::http::Uri;

use crate::platform::config::{self, Reach};

/// Push services make longer ones, but not by much.
const LONGEST_BYTES: usize = 2_048;

/// An address that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    uri: String,
    origin: String,
}

/// Why an address may not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Longer than any push service makes them: it would be kept for each device.
    #[error("The endpoint has more than {LONGEST_BYTES} bytes.")]
    Long,
    /// Whoever is on the way would learn which devices are woken, and when.
    #[error("The endpoint is no address that begins with https://.")]
    NotHttps,
    /// They would be sent to a host of somebody else's choice.
    #[error("The endpoint holds a name or a password before its host.")]
    Credentials,
    /// Something else than a push service may answer there.
    #[error("The endpoint names the port {0}; push services answer at the one of HTTPS.")]
    Port(u16),
    /// Not in `wake.hosts`: the server would ask whatever a device names, also what only it can reach.
    #[error("{0} is no push service that this server asks; its administrator may add it to `wake.hosts`.")]
    Host(String),
}

impl Endpoint {
    /// Checks an address as a browser gave it out.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn parse(text: &str, config: &config::Wake) -> Result<Self, EndpointError> {
        if text.len() > LONGEST_BYTES {
            return Err(EndpointError::Long);
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotHttps)?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let is_any = config.reach == Reach::Any;
        if scheme != "https" && !(is_any && scheme == "http") {
            return Err(EndpointError::NotHttps);
        }
        let authority = uri.authority().ok_or(EndpointError::NotHttps)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        let host = authority.host().to_ascii_lowercase();
        if !config.hosts.iter().any(|allowed| allowed.matches(&host)) {
            return Err(EndpointError::Host(host));
        }
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = authority.port_u16().filter(|port| *port != default_port);
        if let Some(port) = port.filter(|_| !is_any) {
            return Err(EndpointError::Port(port));
        }
        let origin = match port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        Ok(Self { uri: uri.to_string(), origin })
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// Scheme, host and port (RFC 6454): whom a token for this address is for.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::config::Config;

    #[test]
    fn an_endpoint_is_the_address_of_a_known_push_service() {
        let mut config = Config::with_data_dir("x").wake;
        let parse = |text: &str, config: &config::Wake| Endpoint::parse(text, config);
        for (text, origin) in [
            ("https://fcm.googleapis.com/fcm/send/c1:APA91b", "https://fcm.googleapis.com"),
            ("https://updates.push.services.mozilla.com/wpush/v2/gAAA", "https://updates.push.services.mozilla.com"),
            ("https://WEB.push.apple.com:443/QAb?x=1", "https://web.push.apple.com"),
        ] {
            assert_eq!(parse(text, &config).expect("allowed").origin(), origin);
        }
        for (text, error) in [
            ("http://fcm.googleapis.com/x", EndpointError::NotHttps),
            ("fcm.googleapis.com/x", EndpointError::NotHttps),
            ("https://", EndpointError::NotHttps),
            ("/fcm/send", EndpointError::NotHttps),
            ("https://fcm.googleapis.com@localhost/x", EndpointError::Credentials),
            ("https://fcm.googleapis.com:8443/x", EndpointError::Port(8443)),
            ("https://localhost/x", EndpointError::Host("localhost".into())),
            ("https://169.254.169.254/latest", EndpointError::Host("169.254.169.254".into())),
            ("https://fcm.googleapis.com.example.org/", EndpointError::Host("fcm.googleapis.com.example.org".into())),
            (&format!("https://fcm.googleapis.com/{}", "x".repeat(2_048)), EndpointError::Long),
        ] {
            assert_eq!(parse(text, &config), Err(error), "{text}");
        }
        config.reach = Reach::Any;
        config.hosts = vec!["127.0.0.1".parse().expect("a host")];
        assert_eq!(parse("http://127.0.0.1:9/x", &config).expect("allowed").origin(), "http://127.0.0.1:9");
    }
}
