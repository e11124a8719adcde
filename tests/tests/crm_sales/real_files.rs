use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cartera_tests::{ADMIN, PASSWORD, Person, Ran, Server, test_data};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// Files with what says how to read them, in the order in which they build on each other.
const FILES: [(&str, &str, &str); 4] = [
    ("account", "accounts.csv", "accounts.yaml"),
    ("product", "products.csv", "products.yaml"),
    ("user", "sales_teams.csv", "sales_teams.yaml"),
    ("opportunity", "sales_pipeline.csv", "sales_pipeline.yaml"),
];

/// 10,005,534.00, as everything adds it up.
const WON_MINOR: i64 = 1_000_553_400;
const WON: &str = "stage.kind == 'won'";

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

fn mapping(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crm-sales").join(name)
}

fn import(server: &Server, entity: &str, file: &Path, more: &[&str]) -> Ran {
    server.cartera(&[&["import", entity, text(file)], more].concat())
}

fn import_all(server: &Server, files: &[(&str, &str, &str)]) -> Vec<Value> {
    let folder = test_data("crm-sales");
    let import = |(entity, file, map): &(&str, &str, &str)| {
        import(server, entity, &folder.join(file), &["--map", text(&mapping(map))]).ok()
    };
    files.iter().map(import).collect()
}

/// The rows that have a problem in a field.
fn rows_with(report: &Value, severity: &str, field: &str) -> u64 {
    let groups = report["problems"].as_array().expect("a report has problems");
    let groups = groups.iter().filter(|group| group["severity"] == severity && group["field"] == field);
    groups.map(|group| group["rows"].as_u64().expect("a number of rows")).sum()
}

fn database(server: &Server) -> Connection {
    let file = server.data().join("cartera.db");
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the database opens for reading")
}

fn number(server: &Server, sql: &str) -> i64 {
    database(server).query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn ids(server: &Server, sql: &str) -> BTreeSet<String> {
    let database = database(server);
    let mut statement = database.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let rows = statement.query_map([], |row| row.get(0)).expect("a query");
    rows.map(|row| row.expect("a text")).collect()
}

/// With the overlay and all but the deals.
fn company() -> (Server, Person) {
    let server = Server::start();
    let _ = server.cartera(&["model", "apply", text(&mapping("overlay.yaml"))]).ok();
    let jobs = import_all(&server, &FILES[..3]);
    assert_eq!(jobs[0]["counts"]["created"], 85);
    assert_eq!(jobs[1]["counts"]["created"], 7);
    assert_eq!(jobs[2]["counts"]["made"], json!({"user": 41, "team": 6, "territory": 3}));
    let admin = server.person(ADMIN);
    (server, admin)
}

#[test]
fn a_dry_run_names_what_is_wrong_and_damaged_files_are_refused() {
    let (server, admin) = company();
    let folder = test_data("crm-sales");
    let deals = folder.join("sales_pipeline.csv");
    let head = number(&server, "SELECT head FROM tenant");

    let dry = import(&server, "opportunity", &deals, &["--currency", "USD", "--dry-run"]).ok();
    assert_eq!(rows_with(&dry, "error", "products"), 1_480);
    assert_eq!(rows_with(&dry, "error", "account"), 1_425);
    assert_eq!(rows_with(&dry, "warning", "close_date"), 2_089);
    assert_eq!(rows_with(&dry, "warning", "close_reason"), 2_473);
    let products = dry["problems"].as_array().into_iter().flatten().find(|group| group["field"] == "products");
    let case = &products.expect("its group")["cases"][0];
    assert_eq!((&case["value"], case["lines"].as_array().map(Vec::len)), (&json!("GTXPro"), Some(1_480)));
    assert_eq!(case["lines"][0], 3, "the first of them stands on the third line of the file");

    let refused = import(&server, "opportunity", &deals, &["--currency", "USD"]).problem();
    assert_eq!(refused.code, "import-refused", "without a mapping nothing comes in: {refused:?}");

    for (entity, name, map) in FILES {
        let whole = std::fs::read(folder.join(name)).expect("the file is read");
        let damaged = server.data().join(name);
        // A quotation mark that nothing closes, in the middle of the file.
        let middle = whole.len() / 2 + whole[whole.len() / 2..].iter().position(|byte| *byte == b'\n').expect("a line");
        let (head, tail) = whole.split_at(middle + 1);
        std::fs::write(&damaged, [head, b"\"", tail].concat()).expect("a copy");
        let refused = import(&server, entity, &damaged, &["--map", text(&mapping(map))]).problem();
        assert_eq!(refused.code, "import-refused", "{name}: {refused:?}");
        let line = head.split_inclusive(|byte| *byte == b'\n').count() + 1;
        let import = &refused.extra["import"];
        assert_eq!(import["refusals"][0]["line"], line, "{name}: {}", import["refusals"]);
        assert!(refused.detail.is_some_and(|detail| detail.contains(&format!("line {line}"))));
    }
    assert_eq!(number(&server, "SELECT head FROM tenant"), head, "nothing of all that changed anything");
    assert_eq!(admin.count("opportunity"), 0);
}

#[test]
fn all_of_it_comes_in_adds_up_everywhere_and_comes_in_once() {
    let (server, admin) = company();
    let jobs = import_all(&server, &FILES[3..]);
    assert_eq!((&jobs[0]["counts"]["created"], &jobs[0]["counts"]["rows_with_errors"]), (&8_800.into(), &0.into()));

    assert_eq!(number(&server, "SELECT count(*) FROM v_account WHERE parent IS NOT NULL"), 15, "those with a parent");
    assert_eq!(number(&server, "SELECT count(DISTINCT territory) FROM v_team"), 3);
    assert_eq!(number(&server, "SELECT count(*) FROM v_team WHERE manager IS NOT NULL"), 6);
    assert_eq!(number(&server, "SELECT count(*) FROM v_user WHERE team IS NOT NULL"), 35, "the agents");
    for (stage, count) in [("won", 4_238), ("lost", 2_473), ("engaging", 1_589), ("prospecting", 500)] {
        assert_eq!(number(&server, &format!("SELECT count(*) FROM v_opportunity WHERE stage = '{stage}'")), count);
    }
    assert_eq!(
        number(&server, "SELECT count(*) FROM v_opportunity WHERE owner IS NULL OR team IS NULL OR territory IS NULL"),
        0,
        "every deal stands with its agent, her team and its office"
    );

    let where_won = "stage.kind%20%3D%3D%20'won'";
    let summary = admin.get(&format!("/api/v1/opportunity/summary?where={where_won}&sum=amount")).ok();
    assert_eq!(summary["count"], 4_238);
    assert_eq!(summary["sum"]["amount"], json!([{"minor": WON_MINOR, "currency": "USD"}]));
    let in_sql = "SELECT sum(amount_minor) FROM v_opportunity WHERE stage_kind = 'won'";
    assert_eq!(number(&server, in_sql), WON_MINOR);
    let device = server.device(ADMIN);
    assert_eq!(device.run(&["sync"]).ok()["in_step"], true);
    let on_device = device.run(&["sum", "opportunity", "amount", "--where", WON]).ok();
    assert_eq!((&on_device["records"], &on_device["sums"]["USD"]), (&4_238.into(), &WON_MINOR.into()));

    let state = ["SELECT head FROM tenant", "SELECT max(num) FROM history", "SELECT count(*) FROM record"];
    let before = state.map(|sql| number(&server, sql));
    for job in import_all(&server, &FILES) {
        assert_eq!(job["counts"]["unchanged"], job["counts"]["rows"], "{}", job["file_name"]);
        assert_eq!((&job["counts"]["created"], &job["counts"]["updated"]), (&0.into(), &0.into()));
    }
    assert_eq!(state.map(|sql| number(&server, sql)), before, "importing again changes nothing");

    who_gets_what(&server, &admin);
}

/// An imported agent, her manager and an administrator sign in: what the exchange sends each of them.
fn who_gets_what(server: &Server, admin: &Person) {
    let email = |name: &str| format!("{}@maven.example", name.to_lowercase().replace(' ', "."));
    let (agent, manager) = ("Darcel Schlecht", "Melvin Marxen");
    for (name, role) in [(agent, "sales_rep"), (manager, "sales_manager")] {
        let added = server.cartera(&["user", "add", &email(name), "--role", role, "--name", name]).ok();
        assert_eq!(added["created"], false, "{name} was imported and becomes one who signs in: {added}");
    }
    let costly = ids(server, "SELECT id FROM v_opportunity WHERE number LIKE '%00007'").pop_first().expect("a deal");
    admin.set("opportunity", &costly, &json!({"cost": {"minor": 4_242_424_242_i64, "currency": "USD"}}));

    let of_user = |column: &str, name: &str| {
        let sql = format!(
            "SELECT o.id FROM v_opportunity AS o JOIN v_user AS u ON u.name = '{name}'
             JOIN v_team AS own ON own.id = u.team OR own.manager = u.id
             WHERE o.{column} = own.{}",
            if column == "team" { "id" } else { "territory" }
        );
        ids(server, &sql)
    };
    for _ in 0..2 {
        let pulled = server.phone(&email(agent)).pull();
        let got: BTreeSet<String> = pulled.put("opportunity").into_iter().collect();
        assert!(!got.is_empty());
        assert_eq!(got, of_user("team", agent), "an agent gets her team's deals on each of her devices");
        assert_eq!(pulled.put("account").len(), 85, "and the accounts that are nobody's");
        assert!(!pulled.text.contains("\"cost\"") && !pulled.text.contains("4242424242"), "not what deals cost");
    }
    let pulled = server.phone(&email(manager)).pull();
    let got: BTreeSet<String> = pulled.put("opportunity").into_iter().collect();
    assert_eq!(got, of_user("territory", manager), "her manager gets the office's");
    assert!(got.len() > of_user("team", manager).len(), "which has another team");
    assert_eq!(pulled.text.contains("4242424242"), got.contains(&costly));
    let pulled = server.phone(ADMIN).pull();
    assert_eq!(pulled.put("opportunity").len(), 8_800);
    assert!(pulled.text.contains("4242424242"));
    assert!(!pulled.text.contains(PASSWORD) && !pulled.text.contains("argon2"), "credentials are no records");
}

#[test]
fn nine_cards_come_in_with_all_that_they_say_and_cut_ones_not_at_all() {
    let server = Server::start();
    let folder = test_data("vcards");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("the folder is read").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert_eq!(files.len(), 4);
    for file in &files {
        let whole = std::fs::read(file).expect("the file is read");
        let cut = server.data().join("cut.vcf");
        std::fs::write(&cut, &whole[..whole.len() * 2 / 3]).expect("a copy");
        let refused = import(&server, "contact", &cut, &["--country", "US"]).problem();
        assert_eq!(refused.code, "import-refused", "{}: {refused:?}", file.display());
        assert!(refused.extra["import"]["refusals"][0]["line"].as_u64().is_some_and(|line| line > 1), "{refused:?}");
    }
    let admin = server.person(ADMIN);
    assert_eq!(admin.count("contact"), 0, "nothing of a damaged file comes in");

    for file in &files {
        let report = import(&server, "contact", file, &["--country", "US"]).ok();
        let codes = report["problems"].as_array().into_iter().flatten().map(|group| &group["code"]);
        // The photo of one card there lacks two characters of its data.
        let is_damaged = file.to_string_lossy().contains("android");
        assert_eq!(codes.into_iter().any(|code| code == "photo-not-kept"), is_damaged, "{}", file.display());
    }
    let contacts = admin.get("/api/v1/contact?limit=100").ok();
    let contacts: Vec<&Value> =
        contacts["items"].as_array().expect("a list").iter().map(|item| &item["fields"]).collect();
    assert_eq!(contacts.len(), 9);
    let photos: Vec<&Value> =
        contacts.iter().map(|contact| &contact["photo"]).filter(|photo| !photo.is_null()).collect();
    assert_eq!(photos.iter().map(|photo| photo["type"].as_str()).collect::<Vec<_>>(), [Some("image/jpeg"); 2]);
    for photo in photos {
        let hash = photo["hash"].as_str().expect("a photo has a hash");
        let stored = server.data().join("blobs/whole").join(&hash[..2]).join(hash);
        let bytes = std::fs::metadata(&stored).expect("its bytes are stored").len();
        assert_eq!(photo["size"], bytes, "{}", stored.display());
    }
    for file in &files {
        for (line, told) in said_in(file) {
            let found = contacts.iter().any(|contact| contact.to_string().contains(&told));
            assert!(found, "{}, line {line}: {told:?} is in no contact", file.display());
        }
    }
    assert!(contacts.iter().any(|contact| contact["notes"].as_str().is_some_and(|notes| notes.contains("Ñ Ñ Ñ"))));
    let phones: Vec<&Value> =
        contacts.iter().flat_map(|contact| contact["phones"].as_array().into_iter().flatten()).collect();
    assert!(phones.iter().all(|phone| phone["raw"].is_string()), "every number keeps what was written: {phones:?}");
    assert!(phones.iter().any(|phone| phone["e164"].is_null()), "not all of them have an international form");
}

/// The telephone numbers, addresses and notes that a file's lines say in clear, with the line.
fn said_in(file: &Path) -> Vec<(usize, String)> {
    let text = String::from_utf8_lossy(&std::fs::read(file).expect("the file is read")).into_owned();
    let mut said = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some((head, value)) = line.split_once(':').filter(|(head, _)| !head.contains("QUOTED-PRINTABLE")) else {
            continue;
        };
        // Apple puts a name that binds lines together before the property's.
        let property = head.split(';').next().unwrap_or_default().rsplit('.').next().unwrap_or_default();
        let parts: Vec<&str> = match property {
            "TEL" | "EMAIL" => vec![value],
            "ADR" => value.split([';', ',']).flat_map(|part| part.split("\\n")).collect(),
            // What follows on the next lines is folded, each as its program likes.
            "NOTE" => vec![value.split(['\\', ',']).next().unwrap_or_default()],
            _ => Vec::new(),
        };
        let parts = parts.into_iter().map(|part| part.trim_matches([' ', '\r', '\\']).to_owned());
        said.extend(parts.filter(|part| !part.is_empty()).map(|part| (at + 1, part)));
    }
    assert!(!said.is_empty(), "{} says nothing", file.display());
    said
}
