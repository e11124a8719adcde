//! Records that leave as files and come as files: who may, and what happens to what comes twice.

use std::time::{Duration, Instant};

use cartera_tests::{ADMIN, Company, Person, Server};
use serde_json::{Value, json};

const PRODUCTS: &str = "sku,name\nG-1,Grúa pórtico\nG-2,Grúa móvil\nG-3,Polipasto\n";

/// How long an import of a few rows may take on a machine that has much else to do.
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// Asks for an import of products; returns its path.
#[track_caller]
fn ask(person: &Person) -> String {
    let asked = person.post("/api/v1/imports", &json!({"entity": "product", "file_name": "products.csv"})).ok();
    format!("/api/v1/imports/{}", asked["id"].as_str().expect("an import has an id"))
}

/// The import when it has ended.
#[track_caller]
fn ended(person: &Person, import: &str) -> Value {
    let asked = Instant::now();
    loop {
        let job = person.get(import).ok();
        if !["waiting", "running"].contains(&job["state"].as_str().unwrap_or_default()) {
            return job;
        }
        assert!(asked.elapsed() < ENDS_WITHIN, "the import does not end: {job}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_seller_takes_no_list_away_and_an_administrator_does() {
    let server = Server::start();
    let company = Company::found(&server);
    let seller = server.person(Company::ANA);
    let _ = seller.create("account", &json!({"name": "Conservas Ana"}));

    for entity in ["account", "contact", "opportunity", "activity"] {
        for format in ["csv", "xlsx"] {
            let refused = seller.get(&format!("/api/v1/{entity}/export?format={format}"));
            assert!(!refused.body.contains("Conservas"), "{entity}: nothing of a list is in the refusal");
            let problem = refused.problem();
            assert_eq!((problem.status, problem.code.as_str()), (403, "forbidden"), "{entity}: {problem:?}");
            let detail = problem.detail.expect("it says what to do");
            assert!(detail.contains("exportar") && detail.contains("administrador"), "{entity}: {detail}");
        }
    }
    assert_eq!(seller.get("/api/v1/exports/all").problem().code, "forbidden");
    assert_eq!(seller.count("account"), 2, "she reads what she may not take away");

    let list = company.admin.get("/api/v1/account/export");
    assert_eq!((list.status, list.content_type.as_str()), (200, "text/csv; charset=utf-8"));
    assert!(list.body.contains("Conservas Ana") && list.body.contains("Astilleros Ría"), "{}", list.body);
}

#[test]
fn a_seller_brings_no_list_in() {
    let server = Server::start();
    let _ = Company::found(&server);
    let seller = server.person(Company::ANA);
    let refused = seller.post("/api/v1/imports", &json!({"entity": "account", "file_name": "a.csv"})).problem();
    assert_eq!((refused.status, refused.code.as_str()), (403, "forbidden"), "{refused:?}");
    assert_eq!(seller.get("/api/v1/imports").ok()["imports"], json!([]), "nothing waits for a file");
}

#[test]
fn the_same_file_brought_twice_at_the_same_time_makes_each_record_once() {
    let server = Server::start();
    let _ = Company::found(&server);
    let admin = server.person(ADMIN);
    let imports = [ask(&admin), ask(&admin)];
    // Neither waits for the other to end; the second begins when the first is stored.
    for import in &imports {
        let sent = admin.put_file(&format!("{import}/file"), PRODUCTS.as_bytes());
        assert_eq!(sent.status, 202, "{sent:?}");
    }
    let jobs = imports.each_ref().map(|import| ended(&admin, import));
    let mut counts: Vec<(u64, u64)> = jobs
        .iter()
        .map(|job| {
            assert_eq!(job["state"], "done", "{job}");
            let count = |what: &str| job["counts"][what].as_u64().unwrap_or_else(|| panic!("{what} in {job}"));
            (count("created"), count("unchanged"))
        })
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [(0, 3), (3, 0)], "one made them, the other found them as they are");
    assert_eq!(admin.count("product"), 3);

    let before = admin.get("/api/v1/product").ok();
    let third = ask(&admin);
    assert_eq!(admin.put_file(&format!("{third}/file"), PRODUCTS.as_bytes()).status, 202);
    assert_eq!(ended(&admin, &third)["counts"]["unchanged"], 3);
    assert_eq!(admin.get("/api/v1/product").ok(), before, "the same file once more changes nothing");
}

#[test]
fn an_import_takes_one_file_and_is_taken_back_once() {
    let server = Server::start();
    let _ = Company::found(&server);
    let admin = server.person(ADMIN);
    let import = ask(&admin);
    let file = format!("{import}/file");
    assert_eq!(admin.put_file(&file, PRODUCTS.as_bytes()).status, 202);
    let second = admin.put_file(&file, b"sku,name\nG-9,Otra\n").problem();
    assert_eq!((second.status, second.code.as_str()), (409, "conflict"), "while it runs: {second:?}");
    assert_eq!(ended(&admin, &import)["state"], "done");
    let second = admin.put_file(&file, b"sku,name\nG-9,Otra\n").problem();
    assert_eq!((second.status, second.code.as_str()), (409, "conflict"), "when it has ended: {second:?}");
    assert_eq!(admin.count("product"), 3, "the second file is nowhere");

    let undo = format!("{import}/undo");
    assert_eq!(admin.post(&undo, &json!({})).ok()["state"], "undone");
    assert_eq!(admin.count("product"), 0);
    assert_eq!(admin.post(&undo, &json!({})).problem().code, "conflict", "there is nothing left to take back");
}
