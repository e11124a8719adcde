use std::time::Duration;

use sync_protocol::wire::Problem;

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The address is not one of a server.
    #[error("`{address}` is not the address of a server: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificates that were given to trust cannot be used.
    #[error("the certificates in {file} cannot be used: {reason}")]
    Certificates {
        /// The file.
        file: String,
        /// What is wrong with them.
        reason: String,
    },
    /// No connection, or it broke, or it took too long: nothing is known about what the server did.
    #[error("no answer from {url}")]
    Unreachable {
        /// What was requested.
        url: String,
        /// What the network said.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The server answered that it will not.
    #[error("{}", problem.detail.as_deref().unwrap_or(&problem.title))]
    Refused {
        /// Its words.
        problem: Box<Problem>,
        /// When it asks to be left alone for a while.
        retry_after: Option<Duration>,
    },
    /// Something answered, but not as this protocol's server does.
    #[error("the answer of {url} cannot be read: {reason}")]
    Unintelligible {
        /// What was requested.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl TransportError {
    /// Whether the same request may succeed later without anybody doing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { problem, .. } => matches!(problem.status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Address { .. } | Self::Certificates { .. } | Self::Unintelligible { .. } => false,
        }
    }

    /// Whether the server no longer knows the device or its session.
    #[must_use]
    pub fn is_unauthorised(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem.status == 401)
    }
}
