use serde_json::Value;

use super::super::world::{World, rows_with};

const FILES: [&str; 4] =
    ["john-doe-android.vcf", "john-doe-gmail.vcf", "john-doe-iphone.vcf", "john-doe-ms-outlook.vcf"];

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(crate::import::test_data("vcards").join(name)).expect("the file is read")
}

async fn import(world: &World, name: &str) -> Value {
    world.import("contact", name, bytes_of(name), "{country: US}", false).await
}

fn texts(contacts: &[Value], list: &str, key: &str) -> Vec<String> {
    let members = contacts.iter().flat_map(|contact| contact[list].as_array().into_iter().flatten());
    members.filter_map(|member| member[key].as_str()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_real_cards_become_nine_contacts_with_all_their_numbers() {
    let world = World::new().await;
    for name in FILES {
        let job = import(&world, name).await;
        assert_eq!(job["state"], "done", "{name}: {job:#}");
        let is_told = job["problems"].as_array().into_iter().flatten().any(|group| group["code"] == "photo-not-kept");
        assert_eq!(is_told, name.contains("android"), "{name}: one photo there lacks two characters of its data");
    }
    let contacts = world.records("contact").await;
    assert_eq!(contacts.len(), 9);
    let phones = texts(&contacts, "phones", "raw");
    assert_eq!(phones.len(), 18, "{phones:?}");
    assert!(phones.contains(&"(905) 666-1234".to_owned()) && phones.contains(&"905-222-1234".to_owned()));
    assert!(texts(&contacts, "phones", "label").contains(&"assistant phone".to_owned()));
    let emails = texts(&contacts, "emails", "address");
    assert_eq!(emails.len(), 7, "{emails:?}");
    assert_eq!(texts(&contacts, "addresses", "street").len(), 5);
    assert_eq!(contacts.iter().filter(|contact| contact["notes"].is_string()).count(), 4);
    let sizes: Vec<&Value> =
        contacts.iter().map(|contact| &contact["photo"]["size"]).filter(|size| !size.is_null()).collect();
    assert_eq!(sizes, [32_531, 860]);
    assert_eq!(world.number("SELECT sum(bytes) FROM blob WHERE unnamed_ms IS NULL").await, 32_531 + 860);
    for name in FILES {
        let job = import(&world, name).await;
        assert_eq!((&job["counts"]["created"], &job["counts"]["updated"]), (&0.into(), &0.into()), "{name}: {job:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_get_their_international_form_and_keep_their_raw_text() {
    let world = World::new().await;
    import(&world, "john-doe-ms-outlook.vcf").await;
    let contacts = world.records("contact").await;
    assert_eq!(contacts[0]["phones"][0]["raw"], "(905) 555-1234");
    let android = world.import("contact", "a.vcf", bytes_of(FILES[0]), "{country: ES}", false).await;
    assert_eq!(rows_with(&android, "error", "x", "x"), 0);
    let raw_only = world.records("contact").await;
    let without = raw_only.iter().flat_map(|contact| contact["phones"].as_array().into_iter().flatten());
    assert!(without.filter(|phone| phone["e164"].is_null()).any(|phone| phone["raw"] == "123456"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_card_is_refused_with_line_and_reason_and_nothing_comes_in() {
    let world = World::new().await;
    for name in FILES {
        let whole = bytes_of(name);
        let cut = whole[..whole.len() * 2 / 3].to_vec();
        let job = world.import("contact", name, cut, "{}", false).await;
        assert_eq!(job["state"], "refused", "{name}");
        assert!(job["refusals"][0]["line"].as_u64().is_some_and(|line| line > 1), "{name}: {}", job["refusals"]);
        assert!(!job["refusals"][0]["message"].as_str().unwrap_or_default().is_empty());
    }
    assert_eq!(world.count("contact").await, 0);
}
