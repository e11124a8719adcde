//! Photos on cards become blobs of their contacts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::World;

/// A card with a photo of these bytes, folded as address books fold.
fn card(name: &str, photo: &[u8]) -> String {
    let data = STANDARD.encode(photo);
    let lines: Vec<&str> =
        data.as_bytes().chunks(60_000).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;{name};;;\r\nFN:{name}\r\nPHOTO;ENCODING=b;TYPE=JPEG:{}\r\nEND:VCARD\r\n",
        lines.join("\r\n ")
    )
}

fn jpeg(size: usize) -> Vec<u8> {
    [0xff, 0xd8, 0xff].into_iter().chain((0..=255).cycle()).take(size).collect()
}

/// How many files lie in the store.
fn stored(world: &World) -> usize {
    let whole = world.app.config().data_dir.join("blobs/whole");
    let folders = std::fs::read_dir(whole).expect("the store is a folder");
    folders.map(|folder| std::fs::read_dir(folder.expect("an entry").path()).expect("a folder").count()).sum()
}

fn photos_told(job: &Value) -> u64 {
    let groups = job["problems"].as_array().into_iter().flatten();
    groups.filter(|group| group["code"] == "photo-not-kept").filter_map(|group| group["rows"].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_stores_nothing_and_the_import_each_photo_once() {
    let world = World::new().await;
    let file = format!("{}{}{}", card("Ana", &jpeg(5_000)), card("Berta", &jpeg(5_000)), card("Carla", &jpeg(400)));
    let dry = world.import("contact", "c.vcf", file.clone().into_bytes(), "{}", true).await;
    assert_eq!((&dry["state"], photos_told(&dry)), (&json!("checked"), 0), "{dry:#}");
    assert_eq!((stored(&world), world.number("SELECT count(*) FROM blob").await), (0, 0));

    let job = world.import("contact", "c.vcf", file.into_bytes(), "{}", false).await;
    assert_eq!(job["state"], "done", "{job:#}");
    assert_eq!((stored(&world), world.number("SELECT count(*) FROM blob").await), (2, 2));
    let contacts = world.records("contact").await;
    let photo = &contacts[0]["photo"];
    assert_eq!(
        (&photo["name"], &photo["size"], &photo["type"]),
        (&json!("photo.jpg"), &json!(5_000), &json!("image/jpeg"))
    );
    let path = format!("/sync/v1/blob/{}", photo["hash"].as_str().expect("a hash"));
    assert_eq!(world.fetch(&path, None).await.1, jpeg(5_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_is_too_large_is_told_and_its_card_comes_in() {
    let world = World::new().await;
    let job = world.import("contact", "c.vcf", card("Ana", &jpeg((5 << 20) + 1)).into_bytes(), "{}", false).await;
    assert_eq!((&job["state"], photos_told(&job)), (&json!("done"), 1), "{job:#}");
    let contacts = world.records("contact").await;
    assert_eq!((contacts.len(), contacts[0]["photo"].is_null(), stored(&world)), (1, true, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_of_an_import_that_is_refused_are_not_kept() {
    let world = World::new().await;
    // Two cards of one person contradict each other in her birthday.
    let other = card("Ana", &jpeg(300)).replace("END:VCARD", "BDAY:1990-01-01\r\nEND:VCARD");
    let file = format!("{}{other}", card("Ana", &jpeg(500)).replace("END:VCARD", "BDAY:1980-01-01\r\nEND:VCARD"));
    let job = world.import("contact", "c.vcf", file.into_bytes(), "{}", false).await;
    assert_eq!(job["state"], "refused", "{job:#}");
    assert_eq!((stored(&world), world.number("SELECT count(*) FROM blob").await), (0, 0));
}
