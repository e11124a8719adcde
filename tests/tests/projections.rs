//! A field that a role does not see: its value is in nothing that anybody of that role is ever sent.

use cartera_tests::{Company, Device, Server};
use serde_json::json;

/// Names of hidden fields, and values of them that stand nowhere else: as JSON has them, and as a table does.
const HIDDEN: [&str; 12] = [
    "\"cost\"",
    "\"margin\"",
    "771301",
    "771302",
    "771303",
    "771304",
    "128699",
    "128698",
    "128697",
    "128696",
    "7713.0",
    "1286.9",
];

fn hidden_in(payload: &str) -> Option<&'static str> {
    HIDDEN.into_iter().find(|hidden| payload.contains(hidden))
}

/// Everything that a device keeps, as its files have it.
fn text_of_files(device: &Device) -> String {
    let mut text = String::new();
    for file in std::fs::read_dir(device.home()).expect("the device's folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("it can be read");
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    text
}

/// All that the parts of a workbook say.
fn text_of_workbook(bytes: &[u8]) -> String {
    let mut parts = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a workbook is a ZIP archive");
    let mut text = String::new();
    for at in 0..parts.len() {
        let mut part = parts.by_index(at).expect("a part");
        std::io::Read::read_to_string(&mut part, &mut text).expect("its parts are text");
    }
    text
}

#[test]
fn a_hidden_field_is_in_no_payload_on_any_path() {
    let server = Server::start();
    let company = Company::found(&server);
    // A role that may take lists away and sees no costs.
    let yaml = "
entity: opportunity
permissions:
  analyst: {read: all, export: true, levels: [0]}
---
entity: account
permissions:
  analyst: {read: all, export: true, levels: [0]}
---
entity: user
permissions:
  analyst: {read: all, levels: [0]}
";
    let _ = company.admin.post("/api/v1/model/layers", &json!({"name": "analysts", "yaml": yaml})).ok();
    let email = "nora@puertos.example";
    let nora = json!({"email": email, "name": "Nora Paz", "role": "analyst", "password": cartera_tests::PASSWORD});
    let _ = company.admin.post("/api/v1/users", &nora).ok();
    let mut phone = server.phone(email);
    let _ = phone.pull();

    let money = |minor: i64| json!({"minor": minor, "currency": "EUR"});
    let deal = company.admin.create(
        "opportunity",
        &company.deal("Grúa secreta", &json!({"amount": money(900_000), "cost": money(771_301)})),
    );
    let follower = server.device(email);
    let nora = server.person(email);
    let one = format!("/api/v1/opportunity/{deal}");
    let mut payloads = vec![
        ("exchange, a new record", phone.pull().text),
        ("REST get", nora.get(&one).body),
        ("REST list", nora.get("/api/v1/opportunity").body),
        ("search", nora.get("/api/v1/search?q=secreta").body),
        ("history", nora.get(&format!("{one}/history")).body),
        ("export", nora.get("/api/v1/opportunity/export?format=csv").body),
        ("export, a workbook", text_of_workbook(&nora.get_bytes("/api/v1/opportunity/export?format=xlsx"))),
        ("summary", nora.get("/api/v1/opportunity/summary?sum=amount").body),
        ("model", nora.get("/api/v1/model").body),
        ("OpenAPI", nora.get("/api/v1/openapi.json").body),
    ];
    company.admin.set("opportunity", &deal, &json!({"cost": money(771_302), "next_step": "Llamar a Nora"}));
    payloads.push(("exchange, a change", phone.pull().text));
    payloads.push((
        "live, long poll",
        phone.live(|| {
            company.admin.set("opportunity", &deal, &json!({"cost": money(771_303), "next_step": "Visitar a Nora"}));
        }),
    ));
    company.admin.set("opportunity", &deal, &json!({"cost": money(771_304)}));
    payloads.push(("exchange, a hidden change", phone.pull().text));
    payloads.push(("history of the changes", nora.get(&format!("{one}/history")).body));
    let _ = follower.run(&["sync"]).ok();
    payloads.push(("device", text_of_files(&follower)));

    for (path, payload) in &payloads {
        assert_eq!(hidden_in(payload), None, "{path}: {payload}");
    }
    for (path, shown) in [
        ("exchange, a new record", "Grúa secreta"),
        ("export", "Grúa secreta"),
        ("export, a workbook", "Grúa secreta"),
        ("search", "Grúa secreta"),
        ("device", "Grúa secreta"),
        ("live, long poll", "Visitar a Nora"),
    ] {
        let payload = &payloads.iter().find(|(name, _)| *name == path).expect("it is in the table").1;
        assert!(payload.contains(shown), "{path} is looked at where there is something: {payload}");
    }
    let admin = &company.admin;
    let device = server.device(cartera_tests::ADMIN);
    let _ = device.run(&["sync"]).ok();
    for (path, payload) in [
        ("REST get", admin.get(&one).body),
        ("history", admin.get(&format!("{one}/history")).body),
        ("export", admin.get("/api/v1/opportunity/export?format=csv").body),
        ("export, a workbook", text_of_workbook(&admin.get_bytes("/api/v1/opportunity/export?format=xlsx"))),
        ("device", text_of_files(&device)),
    ] {
        assert!(hidden_in(&payload).is_some(), "{path}: who may, sees it: {payload}");
    }
}
