//! A person works without a network, and what she did meets the server's state later.

use crate::support::{BusyServer, FakeServer, ME, enrol, furnish, id, open};
use cartera_client::device::{Assignment, Checks, Device, DeviceError, Query};
use crm::model::Language;
use serde_json::{Value, json};

const DEAL: u128 = 0x500;

struct Phone {
    home: tempfile::TempDir,
    server: FakeServer,
}

impl Phone {
    /// In step with a furnished server.
    fn new() -> Self {
        let phone = Self { home: tempfile::tempdir().expect("a folder"), server: FakeServer::new("sales_rep") };
        furnish(&phone.server);
        enrol(phone.home.path());
        phone.sync();
        phone
    }

    fn device(&self) -> Device {
        open(self.home.path())
    }

    fn sync(&self) -> cartera_client::device::SyncReport {
        self.device().sync(&self.server, &mut |_| {}).expect("syncs")
    }

    fn set(&self, number: u128, changes: &[&str]) -> Result<cartera_client::device::Queued, DeviceError> {
        self.device().set("opportunity", &id(number).to_string(), &assignments(changes), Checks::Made)
    }

    fn deal(&self) -> Value {
        json!(self.device().show("opportunity", &id(DEAL).to_string()).expect("is there").fields)
    }
}

fn assignments(texts: &[&str]) -> Vec<Assignment> {
    texts.iter().map(|text| Assignment::parse(text).expect("is an assignment")).collect()
}

fn fields_of(error: &DeviceError) -> Vec<(String, String)> {
    let problem = error.problem(Language::Es);
    problem.fields.into_iter().map(|field| (field.field, field.code)).collect()
}

#[test]
fn an_edit_is_seen_at_once_survives_a_restart_and_reaches_the_server_with_the_next_sync() {
    let phone = Phone::new();
    let queued = phone.set(DEAL, &["amount=2000.50 EUR", "close_date=today+8", "stage=proposal", "tags+=vip"]);
    assert_eq!(queued.expect("is allowed").mutation, Some(1));
    let deal = phone.deal();
    assert_eq!(deal["amount"], json!({"currency": "EUR", "minor": 200_050}));
    assert_eq!(deal["close_date"], "2026-11-30");
    assert_eq!(deal["tags"], json!(["fair", "vip"]));
    assert_eq!((&deal["probability"], &deal["weighted"]["minor"]), (&json!(50), &json!(100_025)));

    let report = phone.sync();
    assert_eq!((report.sent, report.applied, report.waiting, report.in_step), (1, 1, 0, true));
    let stored = phone.server.fields(id(DEAL)).expect("is there");
    assert_eq!(stored["amount"]["minor"], 200_050);
    assert_eq!(stored["tags"], json!(["fair", "vip"]));
    assert!(phone.device().saved().outbox.is_empty());
}

#[test]
fn a_deal_is_not_lost_without_a_reason_here_nor_there() {
    let phone = Phone::new();
    let refused = phone.set(DEAL, &["stage=lost"]).expect_err("needs a reason");
    assert_eq!(fields_of(&refused), [("close_reason".to_owned(), "required".to_owned())]);
    let (es, en) = (refused.sentence().es, refused.sentence().en);
    assert!(es.contains("Motivo de cierre") && en.contains("Close reason"), "{es} {en}");
    assert!(phone.device().saved().outbox.is_empty(), "nothing is queued");

    let forced = assignments(&["stage=lost"]);
    let deal = id(DEAL).to_string();
    phone.device().set("opportunity", &deal, &forced, Checks::Skipped).expect("is queued");
    assert_eq!(phone.deal()["stage"], "lost");
    let report = phone.sync();
    assert_eq!((report.rejected, report.attention, report.in_step), (1, 1, true));
    assert_eq!(phone.deal()["stage"], "prospecting");
    let attention = phone.device().attention()[0].clone();
    assert_eq!(json!(attention.lost()), json!({"stage": "lost"}));

    assert!(phone.device().dismiss(1).expect("works"));
    assert!(!phone.device().dismiss(1).expect("works"), "it is gone");
    assert_eq!(phone.device().attention(), []);
}

#[test]
fn who_is_slower_is_told_and_keeps_what_nobody_else_changed() {
    let phone = Phone::new();
    phone.set(DEAL, &["amount=1 EUR", "next_step=llamar"]).expect("is allowed");
    phone.server.write("opportunity", id(DEAL), &json!({"amount": {"currency": "EUR", "minor": 777}}));
    let report = phone.sync();
    assert_eq!((report.merged, report.attention), (1, 1));
    let deal = phone.deal();
    assert_eq!((&deal["amount"]["minor"], &deal["next_step"]), (&json!(777), &json!("llamar")));
    let lost = phone.device().attention()[0].lost();
    assert_eq!(lost["amount"]["minor"], 100);
}

#[test]
fn an_answer_lost_on_the_way_is_asked_for_again_and_nothing_happens_twice() {
    let phone = Phone::new();
    phone.set(DEAL, &["next_step=llamar"]).expect("is allowed");
    let before = phone.server.fields(id(DEAL)).expect("is there");
    phone.server.losses.set(1);
    let failed = phone.device().sync(&phone.server, &mut |_| {}).expect_err("no answer");
    assert_eq!(failed.problem(Language::En).code, "unreachable");
    assert_ne!(phone.server.fields(id(DEAL)).expect("is there"), before, "the server did it");
    assert_eq!(phone.device().saved().outbox.len(), 1, "the phone does not know");

    phone.set(DEAL, &["next_step=visitar"]).expect("is allowed");
    let report = phone.sync();
    assert_eq!((report.applied, report.attention, report.waiting), (2, 0, 0));
    assert_eq!(phone.deal()["next_step"], "visitar");
    assert_eq!(phone.server.fields(id(DEAL)).expect("is there")["next_step"], "visitar");
}

#[test]
fn a_new_record_has_its_defaults_and_can_be_worked_on_before_anybody_knows_it() {
    let phone = Phone::new();
    let new = ["name=Faros", "account=acme, s.l.", "amount=30"];
    let made = phone.device().create("opportunity", &assignments(&new), Checks::Made).expect("is allowed");
    assert_eq!(made.warnings.len(), 1, "an open deal without a close date");
    let record = made.record.to_string();
    let shown = phone.device().show("opportunity", &record).expect("is there");
    assert_eq!((shown.seq, &shown.fields["stage"]), (0, &json!("prospecting")));
    assert_eq!(shown.fields["account"], json!(id(0x300)));
    assert_eq!(shown.fields["amount"], json!({"currency": "EUR", "minor": 3000}));

    phone.device().set("opportunity", &record, &assignments(&["next_step=x"]), Checks::Made).expect("is allowed");
    assert_eq!(phone.device().saved().outbox[1].depends_on, Some(1));
    assert_eq!(phone.sync().applied, 2);
    assert_eq!(phone.server.fields(made.record).expect("is there")["next_step"], "x");
    phone.device().delete("opportunity", &record, Checks::Skipped).expect("is queued");
    assert!(phone.device().show("opportunity", &record).is_err());
    phone.sync();
    assert_eq!(phone.server.fields(made.record), None);
}

#[test]
fn a_link_takes_every_name_that_a_file_could_give() {
    let phone = Phone::new();
    let product = json!({"name": "Grúa pórtico", "sku": "G-1", "external_id": "ERP 77"});
    phone.server.write("product", id(0x600), &product);
    phone.server.write("product", id(0x601), &json!({"name": "G-1 (usada)", "external_id": "ERP 78"}));
    phone.server.write("product", id(0x602), &json!({"name": "ERP 78"}));
    phone.sync();
    phone.set(DEAL, &["owner=BETO@example.com"]).expect("a user's e-mail address is hers alone");
    assert_eq!(phone.deal()["owner"], json!(id(0x101)));
    for (name, number) in [("g-1", 0x600), ("erp 77", 0x600), ("grua portico", 0x600), ("ERP 78", 0x602)] {
        let set = format!("products={name}");
        let made = ["name=Faros", "account=acme, s.l.", &set];
        let made = phone.device().create("opportunity", &assignments(&made), Checks::Made).expect(name);
        let shown = phone.device().show("opportunity", &made.record.to_string()).expect("is there");
        assert_eq!(shown.fields["products"], json!([id(number)]), "{name}: a title goes before all else");
    }
    let nobody = phone.set(DEAL, &["owner=carla@example.com"]).expect_err("nobody has that address");
    assert_eq!(fields_of(&nobody), [("owner".to_owned(), "type".to_owned())]);
}

#[test]
fn what_the_user_may_not_do_is_refused_here() {
    let phone = Phone::new();
    let code = |error: DeviceError| error.problem(Language::En).code;
    let colleagues = phone.set(0x501, &["amount=1"]).expect_err("belongs to a colleague");
    assert_eq!(code(colleagues), "forbidden");
    let deal = id(DEAL).to_string();
    let deleted = phone.device().delete("opportunity", &deal, Checks::Made).expect_err("reps do not delete deals");
    assert_eq!(code(deleted), "forbidden");
    let derived = phone.set(DEAL, &["weighted=1"]).expect_err("is computed");
    assert_eq!(fields_of(&derived), [("weighted".to_owned(), "read-only".to_owned())]);
    let hidden = phone.set(DEAL, &["cost=1"]).expect_err("is for managers");
    assert_eq!(code(hidden), "unknown-field");
    let both = phone.set(DEAL, &["amount=x", "close_date=y"]).expect_err("are no values");
    assert_eq!(fields_of(&both).len(), 2, "everything wrong is said at once");
    assert!(phone.device().saved().outbox.is_empty());
}

#[test]
fn what_is_so_already_is_not_sent() {
    let phone = Phone::new();
    let queued = phone.set(DEAL, &["amount=1200", "tags=fair"]).expect("is allowed");
    assert_eq!(queued.mutation, None);
    let widened = phone.set(DEAL, &["tags=vip,fair"]).expect("is allowed");
    assert_eq!(widened.mutation, Some(1));
    let sent = json!(phone.device().saved().outbox[0]);
    assert_eq!(sent["ops"], json!([{"op": "add", "field": "tags", "values": ["vip"]}]));
}

#[test]
fn lists_searches_and_sums_see_unsent_changes() {
    let phone = Phone::new();
    phone.set(DEAL, &["amount=7000", "name=Áncoras grandes"]).expect("is allowed");
    let device = phone.device();
    let list = |condition| {
        let query = Query { condition: Some(condition), limit: None };
        let records = device.list("opportunity", query).expect("lists");
        records.into_iter().map(|record| record.title).collect::<Vec<_>>()
    };
    assert_eq!(list("amount > 0"), ["Áncoras grandes", "Tornillos"]);
    assert_eq!(list("amount >= 700000"), ["Áncoras grandes"]);
    assert_eq!(list("owner == me && stage.kind == 'open'"), ["Áncoras grandes"]);
    assert_eq!(list("amount == 120000"), Vec::<String>::new());
    let sum = device.sum("opportunity", "amount", None).expect("adds");
    assert_eq!((sum.filled, sum.sums["EUR"]), (2, 705_000));

    let found = |text| {
        let records = device.search(text, 10).expect("searches");
        records.into_iter().map(|record| record.title).collect::<Vec<_>>()
    };
    assert_eq!(found("ancora"), ["Áncoras grandes"]);
    assert_eq!(found("grúas"), Vec::<String>::new());
    assert_eq!(found("jose NUÑ"), ["José Núñez"]);
    assert_eq!(found("600123"), ["José Núñez"]);
    assert_eq!(found("+34 600 12 34 56"), ["José Núñez"]);
    assert_eq!(found("jose@acme.es"), ["José Núñez"]);
    assert_eq!(found("\" OR *"), Vec::<String>::new());

    let wrong = device.list("opportunity", Query { condition: Some("amount >"), limit: None }).expect_err("is none");
    assert_eq!(wrong.problem(Language::En).code, "invalid-expression");
    let query = Query { condition: Some("1000 / (amount - 5000) > 0"), limit: None };
    let divided = device.list("opportunity", query).expect_err("divides by zero");
    assert_eq!(divided.problem(Language::En).code, "invalid-expression");
    let said = |condition, language| {
        let query = Query { condition: Some(condition), limit: None };
        let problem = device.list("opportunity", query).expect_err(condition).problem(language);
        assert_eq!(problem.code, "invalid-expression", "{condition}");
        problem.detail.expect("it says what is wrong")
    };
    for (condition, es, en) in [
        ("1000 / (amount - 5000) > 0", "hay una división por cero.", "there is a division by zero."),
        ("amount * 9000000000000000 > 0", "un resultado no cabe en 64 bits.", "a result does not fit 64 bits."),
        ("name", "no es verdadera ni falsa", "neither true nor false"),
        ("amount >", "hay un error en el carácter ", "at character "),
    ] {
        for (language, wanted) in [(Language::Es, es), (Language::En, en)] {
            let said = said(condition, language);
            assert!(said.contains(wanted) && !said.contains("JSON path"), "{condition}: {said}");
        }
    }
}

#[test]
fn a_long_first_sync_is_staged_and_shows_nothing_half() {
    let home = tempfile::tempdir().expect("a folder");
    let server = FakeServer::new("sales_rep");
    furnish(&server);
    enrol(home.path());
    server.page.set(3);
    let mut seen = Vec::new();
    let report = open(home.path()).sync(&server, &mut |progress| seen.push(progress.received)).expect("syncs");
    assert_eq!((report.received, report.in_step, report.model_changed), (7, true, true));
    assert!(report.exchanges >= 3 && seen.windows(2).all(|pair| pair[0] <= pair[1]));
    let counts = open(home.path()).counts().expect("counts");
    assert_eq!((counts["opportunity"], counts["user"], counts["contact"]), (2, 2, 1));
    assert_eq!(open(home.path()).identity().user, id(ME));
}

#[test]
fn a_busy_server_is_left_alone_after_some_patience_and_the_outbox_waits() {
    let phone = Phone::new();
    phone.set(DEAL, &["next_step=llamar"]).expect("is allowed");
    let busy = phone.device().sync(&BusyServer, &mut |_| {}).expect_err("is busy");
    assert_eq!(busy.problem(Language::En).code, "busy");
    assert_eq!(phone.device().saved().outbox.len(), 1);
}
