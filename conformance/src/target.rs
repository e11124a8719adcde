use std::net::IpAddr;
use std::path::PathBuf;

use ureq::http::Uri;

/// Somebody who can sign in.
#[derive(Clone)]
pub struct Person {
    /// Her e-mail address.
    pub email: String,
    /// Her password.
    pub password: String,
}

/// The server that is looked at, and as whom.
#[derive(Clone)]
pub struct Target {
    url: String,
    /// Makes and deletes the suite's records.
    pub user: Person,
    /// Somebody who sees less: what she is given and loses again shows how records leave a device.
    pub other: Option<Person>,
    /// The entity whose records the suite makes; what the model suggests when absent.
    pub entity: Option<String>,
    /// Certificates (PEM) to trust in place of those that browsers trust.
    pub ca_file: Option<PathBuf>,
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The address is not one of a server.
    #[error("`{address}` is not the address of a server: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The certificates that were given cannot be used.
    #[error("the certificates in {file} cannot be used: {reason}")]
    Certificates {
        /// The file.
        file: String,
        /// What is wrong with them.
        reason: String,
    },
    /// No device could be enrolled.
    #[error("could not enrol a device of {email} at {url}: {reason}")]
    Enrolment {
        /// Whose.
        email: String,
        /// Where.
        url: String,
        /// What the server said.
        reason: String,
    },
    /// The model was not served, or is none.
    #[error("could not read the model that {url} serves: {reason}")]
    Model {
        /// Where.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model has no entity of which the suite can make a record from nothing and delete it again.
    #[error(
        "{reason}; sign in as somebody who may make, change and delete records of an entity whose only required field is its title"
    )]
    NoSubject {
        /// What was looked for.
        reason: String,
    },
}

impl Target {
    /// Reads `https://host[:port][/path]`. Plain `http` is taken for this machine itself, or where `plain_http` says that
    /// the way is known to be safe: passwords travel on it.
    ///
    /// # Errors
    /// When it is not such an address.
    pub fn new(address: &str, plain_http: bool, user: Person) -> Result<Self, TargetError> {
        let refuse = |reason| TargetError::Address { address: address.to_owned(), reason };
        let uri: Uri = address.trim().parse().map_err(|_| refuse("write it as https://host:port"))?;
        let host = uri.host().ok_or_else(|| refuse("the host is missing; write it as https://host:port"))?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if plain_http || is_this_machine(host) => {}
            Some("http") => {
                return Err(refuse("without TLS anybody on the way reads the password; use https, or --plain-http"));
            }
            _ => return Err(refuse("it must begin with https://")),
        }
        let url = address.trim().trim_end_matches('/').to_owned();
        Ok(Self { url, user, other: None, entity: None, ca_file: None })
    }

    /// The address, as it is written.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_tls_unless_it_is_this_machine() {
        let person = Person { email: String::new(), password: String::new() };
        let is_taken = |address: &str, plain| Target::new(address, plain, person.clone()).is_ok();
        for good in ["https://crm.example.com", "http://localhost:8080/", "http://127.0.0.1:9", "http://[::1]:80"] {
            assert!(is_taken(good, false), "{good}");
        }
        for bad in ["http://crm.example.com", "crm.example.com", "ftp://x", ""] {
            assert!(!is_taken(bad, false), "{bad}");
        }
        assert!(is_taken("http://10.0.0.7:8080", true));
    }
}
