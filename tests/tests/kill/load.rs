//! A server that is killed at random moments while sixteen phones push: what was acknowledged is there, nothing is there
//! twice, and the database is whole.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cartera_tests::{Company, Message, Phone, Server};
use rusqlite::Connection;
use serde_json::{Value, json};
use sync_protocol::wire::{ExchangeResponse, FieldOperation, Mutation, Outcome, Verdict};

use crate::{Waits, assert_sound};

/// Kills in `make test`; `KILL_ROUNDS` says how many in `make soak`.
const ROUNDS: usize = 50;

const WRITERS: usize = 16;

/// Mutations of one push.
const BATCH: usize = 5;

/// The kill comes after fewer pushes than this were answered, and then up to so long after.
const MOST_ANSWERS: u128 = 24;
const LONGEST_WAIT_MICROS: u64 = 20_000;

/// A phone, what it was told is done, and the push that it has no answer to.
struct Writer {
    phone: Phone,
    account: String,
    told: Vec<(Mutation, Outcome)>,
    open: Vec<Mutation>,
    pushes: usize,
}

impl Writer {
    fn new(server: &Server) -> Self {
        let mut phone = server.phone(Company::ANA);
        let made = phone.create("account", &json!({"name": format!("Cuenta de {}", phone.device)}));
        let account = made.record.to_string();
        let mut writer = Self { phone, account, told: vec![], open: vec![made], pushes: 0 };
        assert!(writer.push(), "nobody kills the server yet");
        writer
    }

    /// New accounts, and an entry more in the log of the writer's own.
    fn batch(&mut self) -> Vec<Mutation> {
        self.pushes += 1;
        let name = |n: usize, writer: &Self| json!({"name": format!("{} {} {n}", writer.phone.device, writer.pushes)});
        let mut batch: Vec<Mutation> = Vec::with_capacity(BATCH);
        for n in 1..BATCH {
            let name = name(n, self);
            batch.push(self.phone.create("account", &name));
        }
        let account = self.account.clone();
        let mut log = self.phone.update("account", &account, 0, &json!({}));
        let entry = json!({"at": self.pushes, "text": format!("entrada {}", self.pushes)});
        log.ops = vec![FieldOperation::Append { field: "key_dates".into(), values: vec![entry] }];
        batch.push(log);
        batch
    }

    /// Sends what is open, or something new; whether there was an answer.
    fn push(&mut self) -> bool {
        if self.open.is_empty() {
            self.open = self.batch();
        }
        let push = Message::json(self.phone.request(&self.open).to_string());
        let Ok(answer) = self.phone.send(&push) else { return false };
        let outcomes = answer.read::<ExchangeResponse>().outcomes;
        assert_eq!(outcomes.len(), self.open.len(), "one outcome for each mutation");
        for (mutation, outcome) in std::mem::take(&mut self.open).into_iter().zip(outcomes) {
            assert_eq!((outcome.mutation, outcome.verdict), (mutation.id, Verdict::Applied), "{outcome:?}");
            self.told.push((mutation, outcome));
        }
        true
    }

    /// What was told last is told again.
    fn assert_told_the_same(&self) {
        let last = self.told.len().saturating_sub(BATCH);
        let (mutations, outcomes): (Vec<_>, Vec<_>) = self.told[last..].iter().cloned().unzip();
        assert_eq!(self.phone.push(&mutations), outcomes, "every retry gets the same outcomes");
    }
}

/// All push until the server is killed; how many pushes were answered.
fn push_into_a_kill(server: &mut Server, writers: &mut [Writer], wait: Duration) -> usize {
    let enough = usize::try_from(wait.as_micros() % MOST_ANSWERS).expect("few");
    let begin = Barrier::new(writers.len());
    let answered = AtomicUsize::new(0);
    let work = |writer: &mut Writer| {
        begin.wait();
        while writer.push() {
            answered.fetch_add(1, Ordering::SeqCst);
        }
    };
    thread::scope(|scope| {
        let work = &work;
        for writer in writers.iter_mut() {
            scope.spawn(move || work(writer));
        }
        while answered.load(Ordering::SeqCst) < enough {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(wait);
        server.kill();
    });
    answered.into_inner()
}

/// Every mutation that somebody was told of, from each writer's `from`th on, is in the database with its outcome.
fn assert_nothing_is_lost(server: &Server, writers: &[Writer], from: &[usize]) {
    let database = Connection::open(server.data().join("cartera.db")).expect("the database opens");
    let sql = "SELECT o.body FROM record r, outcome o, device d
               WHERE r.id = ?1 AND d.id = ?2 AND o.device = d.num AND o.mutation = ?3";
    let mut find = database.prepare(sql).expect("a statement");
    for (writer, from) in writers.iter().zip(from) {
        let device: uuid::Uuid = writer.phone.device.parse().expect("an id");
        for (mutation, outcome) in &writer.told[*from..] {
            let key = (mutation.record.0.as_bytes(), device.as_bytes(), mutation.id.cast_signed());
            let stored: String = find.query_row(key, |row| row.get(0)).unwrap_or_else(|error| {
                panic!("{error}: mutation {} of {device} was acknowledged and is not there", mutation.id)
            });
            let stored: Outcome = serde_json::from_str(&stored).expect("an outcome");
            assert_eq!(&stored, outcome, "mutation {} of {device}", mutation.id);
        }
    }
}

/// What the server keeps of digests from commit to commit is what a device finds in all the records that it was given; and
/// the device says that it has compared.
fn assert_digests_agree(server: &Server, company: &Company) {
    let told = server.device(Company::ANA).run(&["sync"]).ok();
    assert_eq!((&told["in_step"], &told["comparisons"]), (&json!(true), &json!(0)), "digests agree: {told}");
    let devices = company.admin.get("/api/v1/devices").ok();
    // The writers' phones say nothing of themselves.
    let reports = devices["devices"].as_array().into_iter().flatten().filter_map(|device| device.get("report"));
    let found: Vec<&Value> = reports.map(|report| &report["digest"]).collect();
    assert_eq!(found, [&json!("same")], "the device compared its digest with the server's: {devices}");
}

#[test]
fn sixteen_phones_push_into_kills_at_random_moments_and_nothing_acknowledged_is_lost() {
    let rounds = std::env::var("KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let mut server = Server::start();
    let company = Company::found(&server);
    let mut writers: Vec<Writer> = (0..WRITERS).map(|_| Writer::new(&server)).collect();
    let mut answered = 0;
    for wait in Waits::up_to(LONGEST_WAIT_MICROS).take(rounds) {
        let known: Vec<usize> = writers.iter().map(|writer| writer.told.len()).collect();
        answered += push_into_a_kill(&mut server, &mut writers, wait);
        server.restart();
        assert_nothing_is_lost(&server, &writers, &known);
        assert_sound(&server);
        for writer in &mut writers {
            assert!(writer.open.is_empty() || writer.push(), "the server is back");
        }
        writers.iter().for_each(Writer::assert_told_the_same);
    }
    assert_nothing_is_lost(&server, &writers, &[0; WRITERS]);
    assert!(answered >= 3 * rounds, "hardly a push was answered: {answered}");

    assert_digests_agree(&server, &company);

    // Each effect once: as many accounts as were made, and in each log every entry once and in order.
    let made: usize = writers.iter().map(|writer| 1 + writer.pushes * (BATCH - 1)).sum();
    assert_eq!(company.admin.count("account"), made as u64 + 1);
    for writer in &writers {
        let account = company.admin.get(&format!("/api/v1/account/{}", writer.account)).ok();
        let entry = |push: usize| json!({"at": push, "text": format!("entrada {push}")});
        let all: Vec<Value> = (1..=writer.pushes).map(entry).collect();
        let log = account["fields"]["key_dates"].as_array().cloned().unwrap_or_default();
        assert_eq!(log, all, "the log of {}", writer.account);
    }
}
