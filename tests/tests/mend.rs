//! A device and its server come apart by something that is nobody's doing, and only what differs travels.

use std::fs;
use std::path::Path;

use cartera_tests::{Company, Device, Person, Server, wait_until};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Enough that a whole download would stand out, and that one range is not all there is.
const ACCOUNTS: usize = 300;

fn sync(device: &Device) -> Value {
    let report = device.run(&["sync"]).ok();
    assert_eq!(report["in_step"], true, "{report}");
    report
}

fn count(report: &Value, what: &str) -> u64 {
    report[what].as_u64().unwrap_or_else(|| panic!("{what} in {report}"))
}

fn store_of(device: &Device) -> Connection {
    Connection::open(device.home().join("device.db")).expect("the device's file")
}

/// Changes one row of the device's file behind its back.
#[track_caller]
fn tamper(device: &Device, sql: &str) {
    assert_eq!(store_of(device).execute(sql, []).expect("the store is ours"), 1);
}

/// Id, sequence and fields of every record, as the device has them.
fn held(device: &Device) -> Vec<(Vec<u8>, i64, String)> {
    let store = store_of(device);
    let mut statement = store.prepare("SELECT id, seq, body FROM record ORDER BY id").expect("a statement");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

/// Makes many open accounts at once.
fn fill(server: &Server) {
    let rows: Vec<String> = (0..ACCOUNTS).map(|number| format!("Cuenta {number}")).collect();
    let file = server.data().with_file_name("accounts.csv");
    fs::write(&file, format!("name\n{}\n", rows.join("\n"))).expect("a file");
    let file = file.display().to_string();
    let _ = server.cartera(&["import", "account", &file]).ok();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

/// That the one device had to compare once, and why: it is noted beside the comparison.
fn until_the_administrator_sees(server: &Server, why: &str) {
    let wanted = json!([1, why]);
    wait_until("the list of devices says that it was mended once", || {
        let listed = server.cartera(&["device", "list"]).ok();
        let mended = &listed["devices"][0]["mended"];
        json!([mended["times"], mended["why"]]) == wanted
    });
}

#[test]
fn a_damaged_record_is_mended_by_itself() {
    let server = Server::start();
    let _company = Company::found(&server);
    fill(&server);
    let device = server.device(Company::ANA);
    let first = sync(&device);
    let before = held(&device);
    assert!(before.len() > ACCOUNTS, "{} records", before.len());

    tamper(&device, "DELETE FROM record WHERE num = (SELECT num FROM record WHERE seq > 40 LIMIT 1)");
    tamper(&device, "UPDATE record SET seq = seq - 1, body = '{}' WHERE num = (SELECT max(num) FROM record)");
    let report = sync(&device);

    assert_eq!(held(&device), before, "what was damaged is as it was");
    assert!(count(&report, "comparisons") > 0, "{report}");
    assert!(count(&report, "received") <= 2, "only what was damaged came: {report}, and {first} at first");
    let quiet = sync(&device);
    assert_eq!((count(&quiet, "comparisons"), count(&quiet, "received")), (0, 0), "{quiet}");
    until_the_administrator_sees(&server, "digest");
}

#[test]
fn contents_that_no_sequence_tells_of_are_compared_after_a_week_and_the_administrator_sees_what_was_wrong() {
    let server = Server::start();
    let _company = Company::found(&server);
    fill(&server);
    let device = server.device(Company::ANA);
    sync(&device);
    let before = held(&device);
    let compared_long_ago = "UPDATE position SET body = json_set(body, '$.compared_at_ms', 0)";
    tamper(&device, compared_long_ago);
    sync(&device);
    let listed = server.cartera(&["device", "list"]).ok();
    assert_eq!(listed["devices"][0]["mended"], Value::Null, "comparing alone is no news: {listed}");

    tamper(&device, compared_long_ago);
    tamper(&device, "UPDATE record SET body = json_remove(body, '$.name') WHERE num = (SELECT max(num) FROM record)");
    assert_ne!(held(&device), before);
    sync(&device);
    assert_eq!(held(&device), before, "what was damaged is as it was");
    until_the_administrator_sees(&server, "deep");
}

/// What a restore is about: two phones that wrote after the backup was made.
struct Scene {
    server: Server,
    company: Company,
    ana: Device,
    berta: Device,
    deal: String,
}

impl Scene {
    fn set() -> Self {
        let server = Server::start();
        let company = Company::found(&server);
        fill(&server);
        let deal = server.person(Company::ANA).create("opportunity", &company.deal("Grúas del puerto", &json!({})));
        let ana = server.device(Company::ANA);
        let berta = server.device(Company::BERTA);
        for device in [&ana, &berta] {
            let _ = sync(device);
        }
        Self { server, company, ana, berta, deal }
    }

    /// Goes back to the copy, as an operator does who has nothing else.
    fn restore(&mut self, backup: &Path) -> Value {
        self.server.kill();
        let data = self.server.data();
        fs::remove_dir_all(&data).expect("the folder goes");
        copy_folder(backup, &data);
        let declared = self.server.cartera(&["restored"]).ok();
        self.server.restart();
        declared
    }

    fn admin(&self) -> Person {
        self.server.person(cartera_tests::ADMIN)
    }
}

#[test]
fn after_a_restore_the_devices_bring_back_what_the_server_had_acknowledged() {
    let mut scene = Scene::set();
    let backup = tempfile::tempdir().expect("a folder");
    // One file that the backup knows of, and one that it does not; the bytes are in none.
    let attach = |scene: &Scene, name: &str| {
        let file = backup.path().with_extension(name);
        fs::write(&file, name).expect("a file");
        let _ = scene.ana.run(&["attach", "opportunity", &scene.deal, "attachments", &file.display().to_string()]).ok();
        let _ = sync(&scene.ana);
        fs::remove_file(&file).expect("the file goes");
        file.file_name().expect("a name").to_string_lossy().into_owned()
    };
    let known = attach(&scene, "known");
    scene.server.kill();
    copy_folder(&scene.server.data(), backup.path());
    scene.server.restart();

    let unknown = attach(&scene, "unknown");
    let account = scene.company.open_account.clone();
    let new = |device: &Device, name: &str| {
        let (name, account) = (format!("name={name}"), format!("account={account}"));
        device.run(&["new", "opportunity", &name, &account]).ok()
    };
    let _ = new(&scene.ana, "Cinta transportadora");
    let _ = scene.ana.run(&["set", "opportunity", &scene.deal, "next_step=Visita el lunes", "tags+=puerto"]).ok();
    let _ = sync(&scene.ana);
    let _ = sync(&scene.berta);
    let scales = new(&scene.berta, "Báscula")["id"].as_str().expect("an id").to_owned();
    let _ = sync(&scene.berta);
    let _ = scene.berta.run(&["set", "opportunity", &scales, "amount=1234.56 EUR"]).ok();
    let _ = sync(&scene.berta);
    let _ = sync(&scene.ana);
    let lost = scene.admin().get(&format!("/api/v1/opportunity/{}", scene.deal)).ok()["fields"].clone();
    // Not yet sent when the server goes back.
    let _ = scene.ana.run(&["set", "opportunity", &scene.deal, "tags+=urgente"]).ok();

    let declared = scene.restore(backup.path());
    assert!(count(&declared, "epoch") > 1, "{declared}");
    let reports = [sync(&scene.ana), sync(&scene.berta), sync(&scene.ana), sync(&scene.berta)];

    let deals = scene.admin().get("/api/v1/opportunity?limit=100").ok();
    let mut names: Vec<&str> =
        deals["items"].as_array().into_iter().flatten().filter_map(|deal| deal["fields"]["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Báscula", "Cinta transportadora", "Grúas del puerto"], "each is there once: {deals}");
    let back = scene.admin().get(&format!("/api/v1/opportunity/{}", scene.deal)).ok()["fields"].clone();
    assert_eq!(back["next_step"], lost["next_step"]);
    let scales = scene.admin().get(&format!("/api/v1/opportunity/{scales}")).ok()["fields"].clone();
    assert_eq!(scales["amount"], json!({"minor": 123_456, "currency": "EUR"}), "a change of what only it had made");
    assert_eq!(back["tags"], json!(["puerto", "urgente"]), "what had waited came too");
    for name in [known, unknown] {
        let file = scene.berta.home().join(&name);
        let fetch = ["fetch", "opportunity", &scene.deal, "attachments", "--name", &name, "-o"];
        let _ = scene.berta.run(&[&fetch[..], &[&file.display().to_string()]].concat()).ok();
        assert!(name.ends_with(&fs::read_to_string(&file).expect("the file is there")), "its bytes were sent again");
    }
    for report in &reports {
        assert_eq!(count(report, "attention"), 0, "nobody has to look at anything: {report}");
        assert!(count(report, "received") < 40, "no wholesale download: {report}");
    }
    for device in [&scene.ana, &scene.berta] {
        let shown = device.run(&["show", "opportunity", &scene.deal]).ok()["fields"].clone();
        assert_eq!((&shown["tags"], &shown["next_step"]), (&back["tags"], &back["next_step"]));
    }
}

#[test]
fn a_restore_that_nobody_declared_loses_nothing_and_is_told() {
    let mut scene = Scene::set();
    let backup = tempfile::tempdir().expect("a folder");
    scene.server.kill();
    copy_folder(&scene.server.data(), backup.path());
    scene.server.restart();
    let _ = scene.ana.run(&["set", "opportunity", &scene.deal, "next_step=Visita el lunes"]).ok();
    let _ = sync(&scene.ana);

    scene.server.kill();
    fs::remove_dir_all(scene.server.data()).expect("the folder goes");
    copy_folder(backup.path(), &scene.server.data());
    scene.server.restart();
    assert_eq!(scene.ana.run(&["sync"]).problem().code, "restore-undeclared");
    let busy = scene.server.cartera(&["restored"]).problem();
    assert!(busy.detail.unwrap_or_default().contains("another server"), "a running server has to stop first");

    scene.server.kill();
    let _ = scene.server.cartera(&["restored"]).ok();
    scene.server.restart();
    let _ = sync(&scene.ana);
    let back = scene.admin().get(&format!("/api/v1/opportunity/{}", scene.deal)).ok();
    assert_eq!(back["fields"]["next_step"], "Visita el lunes");
}

#[test]
fn a_device_that_was_away_beyond_the_horizon_compares_and_keeps_what_waits() {
    let mut scene = Scene::set();
    let gone = scene.admin().create("account", &json!({"name": "Cerrada", "owner": null}));
    scene.admin().set("account", &gone, &json!({"owner": null}));
    let _ = sync(&scene.ana);
    let _ = scene.ana.run(&["show", "account", &gone]).ok();
    let _ = scene.ana.run(&["set", "opportunity", &scene.deal, "next_step=Visita el lunes"]).ok();
    assert_eq!(scene.admin().delete(&format!("/api/v1/account/{gone}")).status, 204);
    scene.company.admin.set("account", &scene.company.open_account, &json!({"notes": "Cambió mientras tanto"}));

    scene.server.kill();
    let database = Connection::open(scene.server.data().join("cartera.db")).expect("the database");
    database
        .execute_batch(
            "UPDATE tenant SET horizon = head; DELETE FROM tombstone; DELETE FROM scope_entry WHERE state <> 0",
        )
        .expect("as the horizon does");
    drop(database);
    scene.server.restart();
    let before = held(&scene.ana).len();
    let report = sync(&scene.ana);

    assert_eq!(held(&scene.ana).len(), before - 1, "what was deleted has left");
    assert!(scene.ana.run(&["show", "account", &gone]).code != 0);
    assert_eq!(count(&report, "applied"), 1, "what waited was sent: {report}");
    assert!(count(&report, "received") < 20, "{report}");
    let back = scene.admin().get(&format!("/api/v1/opportunity/{}", scene.deal)).ok();
    assert_eq!(back["fields"]["next_step"], "Visita el lunes");
}
