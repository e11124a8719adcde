//! HTTP as every slice uses it: problems, extractors, encodings, and the layers around the router.

pub mod encoding;
pub mod extract;
pub mod observe;
pub mod problem;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::set_header::SetResponseHeaderLayer;

pub use self::extract::{BodyLimit, JsonBody, Path, Query};
pub use self::problem::{ApiError, Kind};
use self::problem::{INTERNAL, METHOD_NOT_ALLOWED, TIMED_OUT, UNKNOWN_ROUTE};
use crate::platform::telemetry::metrics::Metrics;

/// What a route without a page of its own may load into a browser: nothing.
const API_CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Spreadsheets are zip archives already.
const SPREADSHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Marks an answer whose bytes must travel as they are, such as a part of a file.
#[derive(Clone, Copy, Debug)]
pub struct AsItIs;

fn may_be_encoded(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<AsItIs>().is_none()
}

/// Puts around a finished router what every request needs; nothing may be added to it afterwards.
pub fn layers(router: Router, metrics: Metrics) -> Router {
    let compression = CompressionLayer::new()
        .zstd(true)
        .gzip(true)
        .quality(CompressionLevel::Fastest)
        .compress_when(DefaultPredicate::new().and(NotForContentType::new(SPREADSHEET)).and(may_be_encoded));
    let unless_set = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    router.fallback(unknown_route).method_not_allowed_fallback(method_not_allowed).layer(
        ServiceBuilder::new()
            .layer(compression)
            .layer(unless_set(header::CACHE_CONTROL, "no-store"))
            .layer(unless_set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(unless_set(header::REFERRER_POLICY, "no-referrer"))
            .layer(SetResponseHeaderLayer::if_not_present(header::CONTENT_SECURITY_POLICY, API_CONTENT_POLICY))
            .layer(from_fn_with_state(metrics, observe::observe))
            .layer(CatchPanicLayer::custom(|panic: Box<dyn Any + Send>| panicked(&*panic))),
    )
}

/// Lets no request of the router's routes take longer than `limit` until its answer begins.
pub fn with_timeout<S: Clone + Send + Sync + 'static>(router: Router<S>, limit: Duration) -> Router<S> {
    router.route_layer(from_fn_with_state(limit, timeout))
}

/// Marks an answer that had to come in time.
#[derive(Clone, Copy, Debug)]
struct InTime;

async fn timeout(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let mut response = tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        ApiError::new(TIMED_OUT)
            .detail(format!(
                "There was no answer within {} seconds. Whether a change was made is not known: read it again before repeating it.",
                limit.as_secs()
            ))
            .into_response()
    });
    response.extensions_mut().insert(InTime);
    response
}

async fn unknown_route(request: Request) -> ApiError {
    ApiError::new(UNKNOWN_ROUTE).detail(format!("There is nothing at `{}`.", request.uri().path()))
}

async fn method_not_allowed(request: Request) -> ApiError {
    ApiError::new(METHOD_NOT_ALLOWED).detail(format!(
        "`{}` does not answer to {}; the header `Allow` names what it answers to.",
        request.uri().path(),
        request.method()
    ))
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    ApiError::new(INTERNAL)
        .detail("A defect of the server; report it with the request id.")
        .cause(anyhow::anyhow!("the handler panicked: {}", said.unwrap_or("without a message")))
        .into_response()
}

#[cfg(test)]
mod tests;
