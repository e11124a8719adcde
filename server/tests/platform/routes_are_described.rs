//! Every route is in the API's description: one that is added without it fails here.

use axum::http::Method;
use serde_json::Value;

use crate::routes::all_routes;
use crate::support::World;

#[tokio::test]
async fn every_method_of_every_route_is_described() {
    let world = World::new().await;
    let document = world.as_operator(Method::GET, "/api/v1/openapi.json", Value::Null).await.expect(200);
    let mut described = 0;
    for route in all_routes() {
        // One entity stands for all: their routes are the same.
        let path = route.replace("{entity}", "opportunity");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let name = method.as_str().to_lowercase();
            // A stranger is told whether the route has the method before he is told that he is one.
            let answer = world.send(None, method, &path.replace(['{', '}'], ""), Value::Null).await;
            let is_there = answer.status != 405;
            let is_described = !document["paths"][&path][&name].is_null();
            assert_eq!(is_described, is_there, "{name} {route}: described, and there");
            described += usize::from(is_described);
        }
    }
    assert!(described >= 25, "only {described} operations were found");
}
