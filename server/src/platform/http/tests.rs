use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::get;
use http_body_util::BodyExt;
use sync_protocol::wire::Problem;
use tower::ServiceExt;

use super::*;

fn router() -> Router {
    let slow = Router::new().route("/slow", get(|| async { std::future::pending::<()>().await }));
    let router = Router::new()
        .route("/hello", get(|| async { "hello ".repeat(100) }))
        .route(
            "/panic",
            get(|| async {
                assert!(std::hint::black_box(false), "the secret is 42");
            }),
        )
        .merge(with_timeout(slow, Duration::from_millis(5)));
    layers(router, Metrics::new())
}

async fn answer(request: axum::http::request::Builder) -> Response {
    let request = request.body(Body::empty()).expect("a request");
    router().oneshot(request).await.expect("a router does not fail")
}

async fn problem(response: Response) -> Problem {
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    serde_json::from_slice(&bytes).expect("a problem")
}

#[tokio::test]
async fn whatever_no_route_answers_is_a_problem_with_the_request_id() {
    let response = answer(Request::get("/nowhere").header("x-request-id", "abc-1")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["x-request-id"], "abc-1");
    let problem = problem(response).await;
    assert_eq!((problem.code.as_str(), &problem.extra["request_id"]), ("unknown-route", &"abc-1".into()));
}

#[tokio::test]
async fn an_id_that_could_forge_log_lines_is_replaced() {
    let response = answer(Request::get("/nowhere").header("x-request-id", "a b=\"c\"")).await;
    assert_eq!(response.headers()["x-request-id"].len(), 32);
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_keeps_the_allowed_ones() {
    let response = answer(Request::delete("/hello")).await;
    assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
    assert_eq!(problem(response).await.code, "method-not-allowed");
}

#[tokio::test]
async fn a_panic_is_a_problem_that_keeps_its_message_to_itself() {
    let problem = problem(answer(Request::get("/panic")).await).await;
    assert_eq!((problem.code.as_str(), problem.status), ("internal", 500));
    assert!(!problem.detail.unwrap_or_default().contains("42"));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    assert_eq!(problem(answer(Request::get("/slow")).await).await.code, "timed-out");
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    for path in ["/hello", "/nowhere", "/panic"] {
        let response = answer(Request::get(path)).await;
        let headers = response.headers();
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], API_CONTENT_POLICY, "{path}");
    }
}

#[tokio::test]
async fn answers_are_compressed_with_zstd_where_the_caller_reads_it_else_with_gzip() {
    for (accepted, used) in [("gzip, zstd", "zstd"), ("zstd, gzip", "zstd"), ("gzip", "gzip")] {
        let response = answer(Request::get("/hello").header("accept-encoding", accepted)).await;
        assert_eq!(response.headers()[header::CONTENT_ENCODING], used, "{accepted}");
    }
    assert!(!answer(Request::get("/hello")).await.headers().contains_key(header::CONTENT_ENCODING));
}
