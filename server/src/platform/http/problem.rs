//! Answers that are not a success (RFC 9457): what the caller may read, apart from what the log keeps.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use sync_protocol::wire::{FieldProblem, Problem};

/// One kind of problem: its code, status and title never change once released, for scripts and devices read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Stable and machine-readable, kebab-case.
    pub code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// The same sentence for every problem of this kind.
    pub title: &'static str,
}

impl Kind {
    /// A kind of problem; a slice declares those that only it has beside its handlers.
    #[must_use]
    pub const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { code, status, title }
    }
}

macro_rules! kinds {
    ($($name:ident = $status:ident, $code:literal, $title:literal;)*) => {
        $(#[doc = $title] pub const $name: Kind = Kind::new(StatusCode::$status, $code, $title);)*
        /// The kinds that any route may answer with.
        pub const SHARED_KINDS: &[Kind] = &[$($name),*];
    };
}

kinds! {
    MALFORMED_JSON = BAD_REQUEST, "malformed-json", "The body is not JSON.";
    INVALID_BODY = UNPROCESSABLE_ENTITY, "invalid-body", "The body does not have the form that this route reads.";
    INVALID_QUERY = BAD_REQUEST, "invalid-query", "The query part of the address is not what this route reads.";
    INVALID_PATH = BAD_REQUEST, "invalid-path", "A part of the address does not have the form that this route reads.";
    BAD_ENCODING = BAD_REQUEST, "bad-encoding", "The body is not what its Content-Encoding says.";
    UNREADABLE_BODY = BAD_REQUEST, "unreadable-body", "The body ended before it was complete.";
    UNAUTHENTICATED = UNAUTHORIZED, "unauthenticated", "Nobody is signed in.";
    NOT_PERMITTED = FORBIDDEN, "forbidden", "The role does not permit this.";
    PASSWORD_CHANGE_REQUIRED = FORBIDDEN, "password-change-required", "The password was given, and has to be changed first.";
    NO_DEVICE = FORBIDDEN, "no-device", "Only the session of an enrolled device may do this.";
    NOT_FOUND = NOT_FOUND, "not-found", "There is nothing here that you may see.";
    UNKNOWN_ROUTE = NOT_FOUND, "unknown-route", "There is no such address.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED, "method-not-allowed", "This address does not answer to that method.";
    CONFLICT = CONFLICT, "conflict", "It changed meanwhile.";
    INVALID = UNPROCESSABLE_ENTITY, "invalid", "Some values are not allowed.";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE, "body-too-large", "The body is larger than this route reads.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "This route does not read that content type.";
    UNSUPPORTED_ENCODING = UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding", "The server does not read that Content-Encoding.";
    TOO_MANY_REQUESTS = TOO_MANY_REQUESTS, "too-many-requests", "Too many attempts.";
    INTERNAL = INTERNAL_SERVER_ERROR, "internal", "The server failed.";
    UNAVAILABLE = SERVICE_UNAVAILABLE, "unavailable", "The server cannot do this at the moment.";
    READ_ONLY = SERVICE_UNAVAILABLE, "read-only", "No changes are taken for now.";
    TIMED_OUT = SERVICE_UNAVAILABLE, "timed-out", "The request took longer than the server allows.";
}

/// What a handler returns when it does not succeed: a problem for the caller and, apart from it, a cause for the log.
#[derive(Debug)]
pub struct ApiError {
    // Boxed: handlers return this by value in every `Result`.
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    detail: Option<String>,
    fields: Vec<FieldProblem>,
    extra: serde_json::Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<anyhow::Error>,
}

impl ApiError {
    /// A problem of that kind, with nothing more to say about it yet.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let inner = Inner {
            kind,
            detail: None,
            fields: Vec::new(),
            extra: serde_json::Map::new(),
            headers: Vec::new(),
            cause: None,
        };
        Self { inner: Box::new(inner) }
    }

    /// A failure of ours: the caller learns no more than that, the log gets the cause.
    #[must_use]
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::new(INTERNAL)
            .detail("The cause is in the server's log under the request id; try again, and report it if it stays.")
            .cause(cause)
    }

    /// Says what was attempted, on what, and what to do about it. The caller reads this: no secrets, no cause.
    #[must_use]
    pub fn detail(mut self, sentence: impl Into<String>) -> Self {
        self.inner.detail = Some(sentence.into());
        self
    }

    /// Names the fields it is about.
    #[must_use]
    pub fn fields(mut self, fields: impl IntoIterator<Item = FieldProblem>) -> Self {
        self.inner.fields.extend(fields);
        self
    }

    /// Adds a fact for machines.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.inner.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Tells the caller when another attempt makes sense: header `Retry-After` and fact `retry_after_secs`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1_000);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX).max(1);
        self.inner.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self.fact("retry_after_secs", seconds)
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.inner.headers.push((name, value));
        self
    }

    /// Keeps the cause for the log; the caller never sees it.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// What kind of problem it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// The cause and all causes below it in one line, for the log.
    #[must_use]
    pub fn cause_chain(&self) -> Option<String> {
        self.inner.cause.as_ref().map(|cause| format!("{cause:#}"))
    }

    /// What the caller gets to read.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        let Inner { kind, detail, fields, extra, .. } = *self.inner;
        Problem {
            kind: format!("urn:cartera:problem:{}", kind.code),
            code: kind.code.to_owned(),
            title: kind.title.to_owned(),
            status: kind.status.as_u16(),
            detail,
            fields,
            extra,
        }
    }
}

impl From<Kind> for ApiError {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::internal(error)
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(error)
    }
}

/// Rides on a response until the request id is known, which belongs into the problem too.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) problem: Problem,
    pub(super) cause: Option<String>,
}

/// The media type of every problem.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let status = self.inner.kind.status;
        let headers = std::mem::take(&mut self.inner.headers);
        let cause = self.cause_chain();
        let problem = self.into_problem();
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body(&problem)).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(Answered { problem, cause });
        response
    }
}

pub(super) fn body(problem: &Problem) -> Vec<u8> {
    serde_json::to_vec(problem).expect("a problem has string keys and no value that JSON lacks")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_cause_is_for_the_log_and_not_for_the_caller() {
        let error = ApiError::internal(anyhow::anyhow!("disk /dev/sda on fire").context("could not read the record"));
        assert_eq!(error.cause_chain().as_deref(), Some("could not read the record: disk /dev/sda on fire"));
        let text = String::from_utf8(body(&error.into_problem())).expect("JSON is UTF-8");
        assert!(text.contains(r#""code":"internal""#) && !text.contains("disk"), "{text}");
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_rounded_up() {
        let response = ApiError::new(TOO_MANY_REQUESTS).retry_after(Duration::from_millis(1_001)).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[test]
    fn codes_are_kebab_case_and_no_two_kinds_share_one() {
        let codes: BTreeSet<&str> = SHARED_KINDS.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), SHARED_KINDS.len());
        for kind in SHARED_KINDS {
            assert!(kind.code.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", kind.code);
            assert!(kind.title.ends_with('.'), "{} has no sentence as its title", kind.code);
        }
    }
}
