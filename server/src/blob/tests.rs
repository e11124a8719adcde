//! Blobs over the routes, on a clock that stands still and a store in a temporary folder.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use futures_util::stream;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sync_protocol::wire::BlobHash;
use tower::ServiceExt;

#[cfg(feature = "s3")]
mod bucket;

use super::{Swept, sweep};
use crate::platform::auth::Sessions;
use crate::record::fixture::{NOW_MS, World};

const DAY_MS: i64 = 86_400_000;

fn hash_of(bytes: &[u8]) -> BlobHash {
    BlobHash(Sha256::digest(bytes).into())
}

fn file(bytes: &[u8], name: &str, media_type: &str) -> Value {
    json!({"hash": hash_of(bytes).to_string(), "name": name, "size": bytes.len(), "type": media_type})
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A device of somebody.
struct Phone {
    router: Router,
    token: String,
}

impl Phone {
    async fn of(world: &World, who: &str) -> Self {
        let mut tx = world.app.db().write().await.expect("nobody else writes");
        let id = world.new_id();
        let device: i64 = sqlx::query_scalar(
            "INSERT INTO device (id, user, name, platform, enrolled_ms, seen_ms, last_mutation, acknowledged)
             VALUES ($1, $2, 'phone', 'test', 0, 0, 0, 0) RETURNING num",
        )
        .bind(id.0)
        .bind(world.id(who).0)
        .fetch_one(&mut *tx)
        .await
        .expect("a device");
        let device = crate::platform::auth::CallerDevice { id: sync_protocol::id::DeviceId(id.0), num: device };
        let auth = &world.app.config().auth;
        let session = Sessions::open(&mut tx, world.id(who), Some(device), auth, NOW_MS, world.app.entropy()).await;
        tx.commit().await.expect("a commit");
        Self { router: crate::app::router(&world.app), token: session.expect("a session").token }
    }

    async fn ask(&self, method: Method, hash: BlobHash, headers: &[(&str, String)], body: Body) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/sync/v1/blob/{hash}"))
            .header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = self.router.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, hash: BlobHash, headers: &[(&str, String)]) -> Answer {
        self.ask(Method::GET, hash, headers, Body::empty()).await
    }

    async fn head(&self, hash: BlobHash) -> Answer {
        self.ask(Method::HEAD, hash, &[], Body::empty()).await
    }

    async fn put(&self, hash: BlobHash, offset: usize, length: usize, bytes: &[u8]) -> Answer {
        let headers = [("upload-offset", offset.to_string()), ("upload-length", length.to_string())];
        self.ask(Method::PUT, hash, &headers, Body::from(bytes.to_vec())).await
    }

    /// Sends bytes whose connection breaks behind the last of them.
    async fn put_cut(&self, hash: BlobHash, offset: usize, length: usize, bytes: &[u8]) -> Answer {
        let headers = [("upload-offset", offset.to_string()), ("upload-length", length.to_string())];
        let frames: Vec<Result<Vec<u8>, std::io::Error>> =
            bytes.chunks(7).map(|chunk| Ok(chunk.to_vec())).chain([Err(std::io::Error::other("cut"))]).collect();
        self.ask(Method::PUT, hash, &headers, Body::from_stream(stream::iter(frames))).await
    }
}

async fn account(world: &mut World, name: &str, owner: &str, files: Value) {
    let fields = json!({ "name": name, "owner": world.id(owner), "attachments": files });
    world.make("account", name, fields).await;
}

#[tokio::test]
async fn an_upload_that_is_cut_at_any_byte_goes_on_and_nothing_is_seen_before_its_end() {
    let mut world = World::new().await;
    let bytes: Vec<u8> = (0..200_u8).collect();
    let hash = hash_of(&bytes);
    let phone = Phone::of(&world, "ana").await;
    account(&mut world, "Lugo", "ana", json!([file(&bytes, "plan.pdf", "application/pdf")])).await;
    assert_eq!(phone.get(hash, &[]).await.code(), "blob-pending");
    let mut here = 0;
    for cut in [0, 1, 50, 50, 137, 199] {
        let broken = phone.put_cut(hash, here, bytes.len(), &bytes[here..cut]).await;
        assert_eq!(broken.status, StatusCode::BAD_REQUEST);
        let head = phone.head(hash).await;
        assert_eq!((head.header("upload-offset"), head.header("upload-length")), (cut.to_string().as_str(), "200"));
        here = cut;
        assert_eq!(phone.get(hash, &[]).await.code(), "blob-pending", "half of it is not seen");
    }
    let partly = phone.put(hash, here, bytes.len(), &[]).await;
    assert_eq!((partly.status, partly.header("upload-offset")), (StatusCode::NO_CONTENT, "199"));
    let done = phone.put(hash, here, bytes.len(), &bytes[here..]).await;
    assert_eq!((done.status, done.header("upload-offset")), (StatusCode::CREATED, "200"));
    assert_eq!(phone.get(hash, &[]).await.body, bytes);
    let again = phone.put(hash, here, bytes.len(), &bytes[here..]).await;
    assert_eq!(again.status, StatusCode::CREATED, "who did not hear of the end is told again");
    let parts = world.app.blobs().parts().expect("the folder");
    assert!(parts.is_empty(), "{parts:?}");
}

#[tokio::test]
async fn wrong_offsets_lengths_and_hashes_are_refused() {
    let world = World::new().await;
    let phone = Phone::of(&world, "ana").await;
    let bytes = b"some bytes of a file";
    let hash = hash_of(bytes);
    let ahead = phone.put(hash, 5, 20, &bytes[5..]).await;
    assert_eq!(
        (ahead.status, ahead.code().as_str(), ahead.header("upload-offset")),
        (StatusCode::CONFLICT, "blob-offset", "0")
    );
    assert_eq!(phone.put(hash, 0, 20, &bytes[..8]).await.status, StatusCode::NO_CONTENT);
    let gap = phone.put(hash, 9, 20, &bytes[9..]).await;
    assert_eq!((gap.code().as_str(), gap.header("upload-offset")), ("blob-offset", "8"));
    assert_eq!(phone.put(hash, 8, 21, &bytes[8..]).await.code(), "invalid-upload");
    assert_eq!(phone.put(hash, 8, 20, b"more than there is room for").await.code(), "invalid-upload");

    assert_eq!(phone.head(hash).await.header("upload-offset"), "0", "what cannot be right is thrown away");
    assert_eq!(phone.put(hash, 0, 20, &bytes[..8]).await.status, StatusCode::NO_CONTENT);
    let wrong = phone.put(hash, 8, 20, b"THE REST OFI").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "blob-hash"));
    assert_eq!(phone.head(hash).await.status, StatusCode::NOT_FOUND, "the part was thrown away");
    assert_eq!(phone.put(hash, 0, 20, bytes).await.status, StatusCode::CREATED);

    let nameless = phone.ask(Method::PUT, hash, &[("upload-offset", "0".into())], Body::empty()).await;
    assert_eq!(nameless.code(), "invalid-upload");
    let odd = [("upload-length", "0x14".to_owned())];
    assert_eq!(phone.ask(Method::PUT, hash, &odd, Body::empty()).await.code(), "invalid-upload");
}

#[tokio::test]
async fn whoever_sees_no_field_that_names_it_learns_nothing_of_a_blob() {
    let mut world = World::new().await;
    let (ana, bea) = (Phone::of(&world, "ana").await, Phone::of(&world, "bea").await);
    let bytes = b"for Bilbao only";
    let hash = hash_of(bytes);
    account(&mut world, "Lugo", "ana", json!([file(bytes, "plan.pdf", "application/pdf")])).await;
    assert_eq!(ana.put(hash, 0, bytes.len(), bytes).await.status, StatusCode::CREATED);
    assert_eq!(ana.get(hash, &[]).await.status, StatusCode::OK);
    let refused = bea.get(hash, &[]).await;
    let absent = bea.get(hash_of(b"never seen"), &[]).await;
    assert_eq!((refused.status, refused.code()), (absent.status, absent.code()));
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::NOT_FOUND, "not-found"));
    assert_eq!(bea.head(hash).await.status, StatusCode::NOT_FOUND, "nor whether somebody else has sent it");
    assert_eq!(bea.put(hash, 3, bytes.len(), b"x").await.header("upload-offset"), "0");

    world.change("Lugo", "account", json!({"owner": world.id("bea"), "team": world.id("Oviedo")})).await;
    assert_eq!(bea.get(hash, &[]).await.body, bytes);
    assert_eq!(ana.get(hash, &[]).await.status, StatusCode::NOT_FOUND, "rights count when it is fetched");
}

#[tokio::test]
async fn what_is_fetched_is_an_attachment_of_the_type_that_the_field_says() {
    let mut world = World::new().await;
    let phone = Phone::of(&world, "ana").await;
    let page = b"<html><script>fetch('/api/v1/me')</script></html>";
    let hash = hash_of(page);
    account(&mut world, "Lugo", "ana", json!([file(page, "Año <b>.html", "text/plain")])).await;
    phone.put(hash, 0, page.len(), page).await;
    let fetched = phone.get(hash, &[("accept-encoding", "gzip, zstd".into())]).await;
    assert_eq!(fetched.body, page, "as it is, never in another encoding");
    assert_eq!(fetched.header("content-type"), "text/plain");
    assert_eq!(fetched.header("x-content-type-options"), "nosniff");
    assert!(fetched.header("content-security-policy").contains("sandbox"), "{:?}", fetched.headers);
    assert!(fetched.header("content-disposition").starts_with("attachment; "), "{:?}", fetched.headers);
    assert_eq!(fetched.header("etag"), format!("\"{hash}\""));
    let fields = json!({ "name": "Vigo", "attachments": [file(page, "page.html", "text/html")] });
    let refused = world.ask("ana", Method::POST, "/api/v1/account", Some(json!({ "fields": fields }))).await;
    assert_eq!(refused.body["fields"][0]["code"], "file-type", "{}", refused.body);
}

#[tokio::test]
async fn parts_are_fetched_by_range() {
    let mut world = World::new().await;
    let phone = Phone::of(&world, "ana").await;
    let bytes: Vec<u8> = (0..100_u8).collect();
    let hash = hash_of(&bytes);
    account(&mut world, "Lugo", "ana", json!([file(&bytes, "a.zip", "application/zip")])).await;
    phone.put(hash, 0, 100, &bytes).await;
    let ranged = async |range: &str| phone.get(hash, &[("range", range.to_owned())]).await;
    let middle = ranged("bytes=10-19").await;
    assert_eq!((middle.status, middle.body.as_slice()), (StatusCode::PARTIAL_CONTENT, &bytes[10..20]));
    assert_eq!((middle.header("content-range"), middle.header("content-length")), ("bytes 10-19/100", "10"));
    assert_eq!(ranged("bytes=90-").await.body, &bytes[90..]);
    assert_eq!(ranged("bytes=-5").await.body, &bytes[95..]);
    let beyond = ranged("bytes=100-").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */100"));
    let other = [("range", "bytes=10-19".to_owned()), ("if-range", "\"other\"".to_owned())];
    assert_eq!(phone.get(hash, &other).await.body.len(), 100, "a part of something else is of no use");
    let known = [("if-none-match", format!("\"{hash}\""))];
    assert_eq!(phone.get(hash, &known).await.status, StatusCode::NOT_MODIFIED);
    let head = phone.head(hash).await;
    assert_eq!((head.header("upload-offset"), head.header("accept-ranges")), ("100", "bytes"));
    assert_eq!(head.header("content-length"), "100");
}

#[tokio::test]
async fn one_blob_is_stored_once_whoever_sends_it_and_however_many_at_once() {
    let mut world = World::new().await;
    let bytes: Arc<Vec<u8>> = Arc::new((0..250_u8).cycle().take(60_000).collect());
    let hash = hash_of(&bytes);
    account(&mut world, "Lugo", "ana", json!([file(&bytes, "a.bin", "application/octet-stream")])).await;
    let mut uploads = Vec::new();
    for who in ["ana", "ana", "aitor", "bea", "carla"] {
        let (phone, bytes) = (Phone::of(&world, who).await, bytes.clone());
        uploads.push(tokio::spawn(async move {
            let half = bytes.len() / 2;
            phone.put(hash, 0, bytes.len(), &bytes[..half]).await;
            phone.put(hash, half, bytes.len(), &bytes[half..]).await.status
        }));
    }
    for upload in uploads {
        assert_eq!(upload.await.expect("no panic"), StatusCode::CREATED);
    }
    assert_eq!(world.value("SELECT count(*) || ' ' || sum(bytes) FROM blob").await, "1 60000");
    assert_eq!(Phone::of(&world, "ana").await.get(hash, &[]).await.body, *bytes);
    let text = world.app.metrics().encode(0, 0);
    assert!(text.contains("cartera_blob_uploads_total{outcome=\"stored\"} 1"), "{text}");
    assert!(text.contains("cartera_blob_uploads_total{outcome=\"duplicate\"} 4"), "{text}");
}

#[tokio::test]
async fn what_is_too_large_or_has_no_room_is_refused_before_it_is_sent() {
    let world = World::with(|config| {
        config.blob.max_bytes = 100;
        config.blob.quota_bytes = 150;
    })
    .await;
    let phone = Phone::of(&world, "ana").await;
    let large = phone.put(hash_of(b"large"), 0, 101, b"").await;
    assert_eq!((large.status, large.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "blob-too-large"));
    let bytes = [7; 100];
    assert_eq!(phone.put(hash_of(&bytes), 0, 100, &bytes[..10]).await.status, StatusCode::NO_CONTENT);
    let other = phone.put(hash_of(b"other"), 0, 60, b"").await;
    assert_eq!((other.status, other.code().as_str()), (StatusCode::INSUFFICIENT_STORAGE, "blob-quota"));
    assert_eq!(phone.put(hash_of(&bytes), 0, 100, &bytes).await.status, StatusCode::CREATED, "begun again counts once");
    assert_eq!(phone.put(hash_of(b"small"), 0, 5, b"small").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_nobody_names_goes_after_its_time_and_what_is_named_stays() {
    let mut world = World::new().await;
    let phone = Phone::of(&world, "ana").await;
    let (named, unnamed, begun) = (b"named".as_slice(), b"unnamed".as_slice(), b"begun".as_slice());
    account(&mut world, "Lugo", "ana", json!([file(named, "n.txt", "text/plain")])).await;
    for bytes in [named, unnamed] {
        phone.put(hash_of(bytes), 0, bytes.len(), bytes).await;
    }
    phone.put(hash_of(begun), 0, begun.len(), b"be").await;
    let swept = async |days: i64| {
        let (blobs, limits) = (world.app.blobs(), &world.app.config().blob);
        sweep(blobs, world.app.db(), limits, NOW_MS + days * DAY_MS + 1).await.expect("swept")
    };
    assert_eq!(swept(6).await, Swept::default());
    assert_eq!(swept(7).await, Swept { uploads: 3, blobs: 1, strays: 0 });
    assert_eq!(phone.head(hash_of(begun)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(phone.get(hash_of(named), &[]).await.body, named);
    world.change("Lugo", "account", json!({"attachments": null})).await;
    assert_eq!(phone.get(hash_of(named), &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(swept(89).await, Swept::default(), "it is kept as long as a deletion is remembered");
    assert_eq!(swept(90).await, Swept { uploads: 0, blobs: 1, strays: 0 });
    assert_eq!(world.value("SELECT count(*) || '' FROM blob").await, "0");
    world.change("Lugo", "account", json!({"attachments": [file(named, "n.txt", "text/plain")]})).await;
    assert_eq!(phone.get(hash_of(named), &[]).await.code(), "blob-pending");
    assert_eq!(phone.put(hash_of(named), 0, named.len(), named).await.status, StatusCode::CREATED, "it may come again");
}

#[tokio::test]
async fn bytes_that_a_crash_left_without_a_record_go_and_lost_ones_may_come_again() {
    let mut world = World::new().await;
    let phone = Phone::of(&world, "ana").await;
    let stray = hash_of(b"stray");
    world.app.blobs().store().put_bytes(stray, b"stray".as_slice().into()).await.expect("stored");
    let (blobs, limits) = (world.app.blobs(), &world.app.config().blob);
    // The store's times are the machine's; a hundred years on, all of them are long past.
    let swept = sweep(blobs, world.app.db(), limits, NOW_MS + 36_500 * DAY_MS).await.expect("swept");
    assert_eq!(swept.strays, 1);

    let bytes = b"lost by the disk";
    account(&mut world, "Lugo", "ana", json!([file(bytes, "n.txt", "text/plain")])).await;
    phone.put(hash_of(bytes), 0, bytes.len(), bytes).await;
    world.app.blobs().store().remove(hash_of(bytes)).await.expect("removed");
    let other = Phone::of(&world, "ana").await;
    assert_eq!(other.put(hash_of(bytes), 0, bytes.len(), bytes).await.status, StatusCode::CREATED);
    assert_eq!(phone.get(hash_of(bytes), &[]).await.body, bytes, "whoever sends it whole brings it back");
    world.app.blobs().store().remove(hash_of(bytes)).await.expect("removed");
    assert_eq!(phone.head(hash_of(bytes)).await.status, StatusCode::NOT_FOUND, "whoever has it is told to send it");
    assert_eq!(phone.put(hash_of(bytes), 0, bytes.len(), bytes).await.status, StatusCode::CREATED);
    world.app.blobs().store().remove(hash_of(bytes)).await.expect("removed");
    assert_eq!(phone.get(hash_of(bytes), &[]).await.code(), "blob-pending");
    assert_eq!(phone.put(hash_of(bytes), 0, bytes.len(), bytes).await.status, StatusCode::CREATED);
    assert_eq!(phone.get(hash_of(bytes), &[]).await.body, bytes);
}
