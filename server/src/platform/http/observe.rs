//! What happens around every request: its id, its span, its measurement, and the completion of its problem.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument, Level};

use super::InTime;
use super::problem::{Answered, READ_ONLY, body};
use crate::platform::telemetry::metrics::Metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A caller's own id is taken over up to this length.
const REQUEST_ID_MAX_CHARS: usize = 64;

/// The route label of requests that no route answers: addresses themselves would grow without bound.
const NO_ROUTE: &str = "none";

/// The id that log, trace, answer and problem of one request share.
#[derive(Clone, Debug)]
pub struct RequestId(pub HeaderValue);

impl RequestId {
    /// The caller's own where it is harmless to log, else a new one.
    fn of(request: &Request) -> Self {
        let harmless = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=REQUEST_ID_MAX_CHARS).contains(&bytes.len())
                && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        };
        match request.headers().get(REQUEST_ID).filter(harmless) {
            Some(own) => Self(own.clone()),
            None => Self(new_id()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tells requests apart and decides nothing")]
fn new_id() -> HeaderValue {
    let mut random = [0_u8; 16];
    // The id only tells requests apart: when there is no randomness, all zeros do less harm than no answer.
    let _ = getrandom::fill(&mut random);
    HeaderValue::from_str(&format!("{:032x}", u128::from_be_bytes(random)))
        .expect("hexadecimal digits are allowed in a header")
}

/// Runs the request within its span, measures it, logs it and lets its problem carry its id.
#[expect(clippy::disallowed_methods, reason = "measures how long the answer takes")]
pub async fn observe(State(metrics): State<Metrics>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(&request);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
        request.id = id.0.to_str().unwrap_or_default(),
        user.id = Empty,
        device.id = Empty,
    );
    request.extensions_mut().insert(id.clone());
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let elapsed = started.elapsed();
    metrics.request(&method, &route, status, elapsed);
    let code = response.extensions().get().map(|answered: &Answered| answered.problem.code.as_str());
    if response.extensions().get::<InTime>().is_some() {
        metrics.answer_in_time(started, elapsed);
    }
    if !is_probe(&route) {
        // Who is told that no changes are taken was answered as somebody ordered.
        metrics.answer(status >= 500 && code != Some(READ_ONLY.code));
    }
    let response = span.in_scope(|| {
        log(&route, status, u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX), response.extensions().get());
        complete_problem(response, &id)
    });
    with_id(response, id)
}

/// Asked by machinery many times a minute.
fn is_probe(route: &str) -> bool {
    matches!(route, "/livez" | "/readyz" | "/metrics" | "/internal/health")
}

fn log(route: &str, status: u16, elapsed_ms: u64, answered: Option<&Answered>) {
    let code = answered.map(|answered| answered.problem.code.as_str());
    let cause = answered.and_then(|answered| answered.cause.as_deref());
    // `tracing` fixes the level of an event where it stands, hence one line for each.
    match status {
        500.. if code != Some(READ_ONLY.code) => {
            tracing::event!(Level::ERROR, status, elapsed_ms, problem.code = code, problem.cause = cause, "failed");
        }
        400.. => {
            tracing::event!(Level::INFO, status, elapsed_ms, problem.code = code, problem.cause = cause, "refused");
        }
        _ if is_probe(route) => tracing::event!(Level::TRACE, status, elapsed_ms, "answered"),
        _ => tracing::event!(Level::INFO, status, elapsed_ms, "answered"),
    }
}

/// The id goes into the problem as well: people copy bodies, not headers, into their reports.
fn complete_problem(mut response: Response, id: &RequestId) -> Response {
    let Some(mut answered) = response.extensions_mut().remove::<Answered>() else { return response };
    answered.problem.extra.insert("request_id".into(), id.0.to_str().unwrap_or_default().into());
    let (mut parts, _) = response.into_parts();
    let body = body(&answered.problem);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

fn with_id(mut response: Response, id: RequestId) -> Response {
    response.headers_mut().insert(REQUEST_ID, id.0);
    response
}
