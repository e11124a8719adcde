//! The same over a bucket, at a server that speaks S3: `make s3` starts one and says where it is.

use axum::http::StatusCode;
use serde_json::json;

use super::{DAY_MS, Phone, account, file, hash_of};
use crate::blob::{Swept, sweep};
use crate::platform::config::Config;
use crate::record::fixture::{NOW_MS, World};

/// A prefix of its own for each test: they share the bucket.
fn bucket(prefix: &'static str) -> impl FnOnce(&mut Config) {
    let said = |name: &str| Some(std::env::var(name).expect("make s3 says where the bucket is"));
    move |config| {
        config.blob.s3_bucket = said("CARTERA_BLOB_S3_BUCKET");
        config.blob.s3_endpoint = said("CARTERA_BLOB_S3_ENDPOINT");
        config.blob.s3_region = Some("eu-south-2".to_owned());
        config.blob.s3_prefix = Some(prefix.to_owned());
    }
}

/// How many files lie where they would without a bucket.
fn in_folder(world: &World) -> usize {
    std::fs::read_dir(world.app.config().data_dir.join("blobs")).expect("a folder").flatten().count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs a server that speaks S3: make s3"]
async fn a_bucket_takes_small_and_large_files_and_gives_their_parts() {
    let mut world = World::with(bucket("sent/here")).await;
    let phone = Phone::of(&world, "ana").await;
    // One that goes in one piece, one in several, and one without a byte.
    let large: Vec<u8> = (0..251_u8).cycle().take((20 << 20) + 7).collect();
    let files = [b"small".as_slice(), &large, b""];
    let named = files.map(|bytes| file(bytes, "f.bin", "application/octet-stream"));
    account(&mut world, "Lugo", "ana", json!(named)).await;
    for bytes in files {
        let hash = hash_of(bytes);
        let half = bytes.len() / 2;
        if half > 0 {
            let cut = phone.put_cut(hash, 0, bytes.len(), &bytes[..half]).await;
            assert_eq!(cut.status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(phone.get(hash, &[]).await.code(), "blob-pending");
        assert_eq!(phone.put(hash, half, bytes.len(), &bytes[half..]).await.status, StatusCode::CREATED);
        let whole = phone.get(hash, &[]).await;
        assert!(whole.status == StatusCode::OK && whole.body == bytes, "{} bytes come back", bytes.len());
    }
    // Across the border of two pieces of the upload.
    let part = phone.get(hash_of(&large), &[("range", format!("bytes={}-{}", (8 << 20) - 3, (8 << 20) + 2))]).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, &large[(8 << 20) - 3..=(8 << 20) + 2]);
    assert_eq!(in_folder(&world), 1, "nothing lies beside the parts of uploads");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs a server that speaks S3: make s3"]
async fn a_bucket_is_swept_and_what_it_lost_may_come_again() {
    let mut world = World::with(bucket("swept")).await;
    let phone = Phone::of(&world, "ana").await;
    let (named, unnamed, stray) = (b"named".as_slice(), b"unnamed".as_slice(), b"stray".as_slice());
    account(&mut world, "Lugo", "ana", json!([file(named, "n.txt", "text/plain")])).await;
    for bytes in [named, unnamed] {
        assert_eq!(phone.put(hash_of(bytes), 0, bytes.len(), bytes).await.status, StatusCode::CREATED);
    }
    let (blobs, limits) = (world.app.blobs(), &world.app.config().blob);
    blobs.store().put_bytes(hash_of(stray), stray.into()).await.expect("stored");
    // The store's times are the machine's; a hundred years on, all of them are long past.
    let swept = sweep(blobs, world.app.db(), limits, NOW_MS + 36_500 * DAY_MS).await.expect("swept");
    assert_eq!(swept, Swept { uploads: 2, blobs: 1, strays: 1 });
    let left = blobs.store().older_than(i64::MAX).await.expect("listed");
    assert_eq!(left, [hash_of(named)]);

    blobs.store().remove(hash_of(named)).await.expect("removed");
    blobs.store().remove(hash_of(named)).await.expect("once more is no error");
    assert_eq!(phone.get(hash_of(named), &[]).await.code(), "blob-pending");
    assert_eq!(phone.put(hash_of(named), 0, named.len(), named).await.status, StatusCode::CREATED);
    assert_eq!(phone.get(hash_of(named), &[]).await.body, named);
}
