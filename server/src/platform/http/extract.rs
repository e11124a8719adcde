//! What handlers read from a request; everything that does not fit becomes a problem that names the place.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use sync_protocol::wire::FieldProblem;

use super::encoding::read_body;
use super::problem::{ApiError, INVALID_BODY, INVALID_PATH, INVALID_QUERY, MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE};

/// The most that a route reads unless it says otherwise.
pub const DEFAULT_BODY_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// How large the bodies of a router's requests may be; a router sets its own by `Extension(BodyLimit(..))`.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

/// The request's body, decoded and read as JSON.
#[derive(Clone, Copy, Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let limit = request.extensions().get().map_or(DEFAULT_BODY_LIMIT_BYTES, |limit: &BodyLimit| limit.0);
        let (parts, body) = request.into_parts();
        expect_json(&parts.headers)?;
        let bytes = read_body(&parts.headers, body, limit).await?;
        parse_json(&bytes).map(Self)
    }
}

fn expect_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::new(UNSUPPORTED_MEDIA_TYPE).detail("Send JSON, with the header `Content-Type: application/json`."))
}

/// Reads JSON; where it fails, the problem names the position or the path.
///
/// # Errors
/// `malformed-json` with line and column, or `invalid-body` with the path.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Keeping track of the path costs time on every body; only those that fail pay it.
    serde_json::from_slice(bytes).or_else(|first| {
        if !first.is_data() {
            return Err(malformed(&first));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| invalid_body(&error))
    })
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let what = if error.is_eof() { "The JSON ends too early" } else { "The JSON is malformed" };
    ApiError::new(MALFORMED_JSON)
        .detail(format!("{what} at line {}, column {}.", error.line(), error.column()))
        .fact("line", error.line())
        .fact("column", error.column())
}

fn invalid_body(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let path = error.path().to_string();
    // serde's sentence ends with the position, which the path makes superfluous.
    let sentence = error.inner().to_string();
    let sentence = sentence.rsplit_once(" at line ").map_or(sentence.as_str(), |(said, _)| said);
    let place = if path == "." { "The body".to_owned() } else { format!("`{path}`") };
    ApiError::new(INVALID_BODY).detail(format!("{place} cannot be read: {sentence}.")).fields([FieldProblem {
        field: path,
        code: "type".into(),
        message: sentence.to_owned(),
    }])
}

/// The query part of the address.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        read.map(|query| Self(query.0))
            .map_err(|error: QueryRejection| ApiError::new(INVALID_QUERY).detail(format!("{}.", error.body_text())))
    }
}

/// The variable parts of the address.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|path| Self(path.0))
            .map_err(|error: PathRejection| ApiError::new(INVALID_PATH).detail(format!("{}.", error.body_text())))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde::Deserialize;
    use sync_protocol::wire::Problem;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Order {
        #[serde(rename = "lines")]
        _lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    struct Line {
        #[serde(rename = "count")]
        _count: u8,
    }

    async fn refused(content_type: &str, body: &'static str) -> Problem {
        let request =
            Request::builder().header("content-type", content_type).body(Body::from(body)).expect("a request");
        let read = JsonBody::<Order>::from_request(request, &()).await;
        read.expect_err("it must not be read").into_problem()
    }

    #[tokio::test]
    async fn malformed_and_truncated_json_are_told_with_their_position() {
        let problem = refused("application/json", "{\"lines\": [\n}").await;
        assert_eq!((problem.code.as_str(), problem.status), ("malformed-json", 400));
        assert_eq!((&problem.extra["line"], &problem.extra["column"]), (&2.into(), &1.into()));
        let problem = refused("application/json", "{\"lines\": [").await;
        assert_eq!(problem.detail.as_deref(), Some("The JSON ends too early at line 1, column 11."));
    }

    #[tokio::test]
    async fn a_wrong_type_is_told_with_its_path() {
        let problem =
            refused("application/json; charset=utf-8", r#"{"lines": [{"count": 1}, {"count": "two"}]}"#).await;
        assert_eq!((problem.code.as_str(), problem.status), ("invalid-body", 422));
        assert_eq!(problem.fields[0].field, "lines[1].count");
        let detail = problem.detail.expect("a sentence");
        assert!(detail.starts_with("`lines[1].count` cannot be read: invalid type: string \"two\""), "{detail}");
        assert!(!detail.contains("line 1"), "{detail}");
    }

    #[tokio::test]
    async fn a_missing_key_at_the_top_is_told_without_a_path() {
        let problem = refused("application/json", "{}").await;
        assert_eq!(problem.detail.as_deref(), Some("The body cannot be read: missing field `lines`."));
    }

    #[tokio::test]
    async fn other_content_types_are_not_guessed_at() {
        for content_type in ["text/plain", "", "application/jsonp"] {
            assert_eq!(refused(content_type, "{}").await.code, "unsupported-media-type", "{content_type}");
        }
    }
}
