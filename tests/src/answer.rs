use serde::de::DeserializeOwned;
use serde_json::Value;
use sync_protocol::wire::Problem;
use ureq::http::Response;
use ureq::{Agent, Body};

/// What the server said over HTTP.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The media type, with its parameters.
    pub content_type: String,
    /// The body as it came, decompressed.
    pub body: String,
}

impl Answer {
    /// The body, of a success.
    #[track_caller]
    #[must_use]
    pub fn ok(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { self.read() }
    }

    /// The body, of a success, as what it is.
    #[track_caller]
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> T {
        assert!((200..300).contains(&self.status), "a success was expected, this came: {self:#?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The problem, which says of itself what its headers say.
    #[track_caller]
    #[must_use]
    pub fn problem(&self) -> Problem {
        assert_eq!(self.content_type, "application/problem+json", "a problem was expected, this came: {self:#?}");
        let problem: Problem = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:#?}"));
        assert_eq!(problem.status, self.status, "the problem and its answer have two statuses: {self:#?}");
        assert_eq!(problem.kind, format!("urn:cartera:problem:{}", problem.code), "{self:#?}");
        assert!(problem.detail.as_ref().is_some_and(|detail| !detail.is_empty()), "nothing says what to do: {self:#?}");
        problem
    }
}

/// Every status is an answer here, and none takes for ever. No connection is used again: a server that refuses a request
/// before it has read all of it may close its connection, at any moment of the next one.
pub(crate) fn agent() -> Agent {
    let deadline = std::time::Duration::from_secs(30);
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(deadline));
    config.max_idle_connections(0).build().into()
}

/// Reads an answer to its end; an error is what the network did to it.
pub(crate) fn read(response: Result<Response<Body>, ureq::Error>) -> Result<Answer, ureq::Error> {
    let mut response = response?;
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let body = response.body_mut().with_config().limit(256 << 20).read_to_string()?;
    Ok(Answer { status: response.status().as_u16(), content_type, body })
}
