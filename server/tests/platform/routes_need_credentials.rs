//! Every route there is, read from the sources: one that is added and lets strangers in fails here.

use axum::http::Method;
use serde_json::{Value, json};

use crate::routes::all_routes;
use crate::support::World;

/// Who may do this without credentials, and why.
const OPEN: [(&str, &str); 4] = [
    // Signing in and enrolling bring the password along.
    ("POST", "/api/v1/sessions"),
    ("POST", "/api/v1/devices"),
    // The machinery around the server tells no more than that it works.
    ("GET", "/livez"),
    ("GET", "/readyz"),
];

#[tokio::test]
async fn every_route_but_the_open_ones_refuses_strangers() {
    let world = World::new().await;
    let routes = all_routes();
    let mut refused = 0;
    for route in routes {
        let path = route
            .split('/')
            .map(|part| if part.starts_with('{') { "00000000-0000-7000-8000-000000000000" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if OPEN.contains(&(method.as_str(), route.as_str())) {
                continue;
            }
            let body = if method == Method::GET { Value::Null } else { json!({}) };
            let answer = world.send(None, method.clone(), &path, body).await;
            match answer.status.as_u16() {
                405 => {}
                401 => refused += 1,
                other => panic!("{method} {route} answers a stranger with {other}: {}", answer.body),
            }
            if answer.status == 401 {
                assert_eq!(answer.code(), "unauthenticated", "{method} {route}");
            }
        }
    }
    assert!(refused >= 8, "only {refused} routes refused: what was sent reached none");
}
