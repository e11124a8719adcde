//! A field that a role does not see: its value is in nothing that anybody of that role is ever sent.

use cartera_tests::{Company, Server};
use serde_json::json;

/// Values of hidden fields that stand nowhere else.
const COST: &str = "771301";
const MARGIN: &str = "128699";

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
    payloads.push(("device", follower.run(&["show", "opportunity", &deal]).ok().to_string()));

    for (path, payload) in &payloads {
        for hidden in
            [COST, MARGIN, "771302", "771303", "771304", "128698", "128697", "128696", "\"cost\"", "\"margin\""]
        {
            assert!(!payload.contains(hidden), "{path} tells {hidden}: {payload}");
        }
    }
    for (path, shown) in [
        ("exchange, a new record", "Grúa secreta"),
        ("export", "Grúa secreta"),
        ("export, a workbook", "Grúa secreta"),
        ("search", "Grúa secreta"),
        ("live, long poll", "Visitar a Nora"),
    ] {
        let payload = &payloads.iter().find(|(name, _)| *name == path).expect("it is in the table").1;
        assert!(payload.contains(shown), "{path} is looked at where there is something: {payload}");
    }
    let sees = company.admin.get(&one).body;
    assert!(sees.contains("771304") && sees.contains("\"margin\""), "who may, sees it: {sees}");
}
