//! A server that is killed between receiving a push and answering it: after the retry, each effect is there once.

mod load;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cartera_tests::{Company, Device, Message, Phone, Server};
use serde_json::{Value, json};
use sync_protocol::id::Sequence;
use sync_protocol::wire::{FieldOperation, Mutation, Outcome, Verdict};

/// Enough that some kills come before the commit and some after it.
const ROUNDS: usize = 20;

/// Where the waits until a kill start from: the same ones every time.
const SEED: u64 = 0x00ca_57e2;

/// The longest wait until a kill; a push takes less than that.
const LONGEST_WAIT_MICROS: u64 = 12_000;

/// When the server dies.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// So long after it was handed the whole push.
    AfterRequest(Duration),
    /// When the first byte of its answer has arrived, and gets no further.
    AtAnswer,
}

/// Waits that look random and never change (xorshift).
struct Waits {
    state: u64,
    longest_micros: u64,
}

impl Waits {
    fn up_to(longest_micros: u64) -> Self {
        Self { state: SEED, longest_micros }
    }
}

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        Some(Duration::from_micros(self.state % self.longest_micros))
    }
}

/// Every other kill at the answer, the others after some time.
fn kills() -> impl Iterator<Item = Kill> {
    let after = Waits::up_to(LONGEST_WAIT_MICROS).map(Kill::AfterRequest);
    after.flat_map(|kill| [kill, Kill::AtAnswer]).take(ROUNDS)
}

/// Sends a push through a proxy that kills the server on the way; the phone gets no answer.
fn push_into_a_kill(server: &mut Server, phone: &Phone, push: &Message, kill: Kill) {
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut through = phone.clone();
    through.url = format!("http://{}", proxy.local_addr().expect("it is bound"));
    thread::scope(|scope| {
        let sent = scope.spawn(move || through.send(push));
        let (device, _) = proxy.accept().expect("the phone connects");
        let request = read_request(&device);
        let mut upstream = TcpStream::connect(server.address()).expect("the server runs");
        upstream.write_all(&request).expect("the server takes the push");
        match kill {
            Kill::AfterRequest(wait) => thread::sleep(wait),
            Kill::AtAnswer => upstream.read_exact(&mut [0]).expect("the server begins to answer"),
        }
        server.kill();
        device.shutdown(Shutdown::Both).expect("the phone still waits");
        let sent = sent.join().expect("the phone does not panic");
        assert!(sent.is_err(), "the phone must not have heard of it: {sent:?}");
    });
}

/// One whole HTTP request, head and body, as it came.
fn read_request(device: &TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(device);
    let mut request = Vec::new();
    let mut body_bytes = 0;
    loop {
        let start = request.len();
        reader.read_until(b'\n', &mut request).expect("the phone sends a head");
        let line = String::from_utf8_lossy(&request[start..]).to_ascii_lowercase();
        if let Some(length) = line.strip_prefix("content-length:") {
            body_bytes = length.trim().parse().expect("a length is a number");
        }
        if line == "\r\n" {
            break;
        }
    }
    let head_bytes = request.len();
    request.resize(head_bytes + body_bytes, 0);
    reader.read_exact(&mut request[head_bytes..]).expect("the phone sends the body");
    request
}

/// What one round does to the account, in every way that could be done twice; and one account more.
fn mutations(phone: &mut Phone, account: &str, base: Sequence, round: usize) -> [Mutation; 3] {
    let made = phone.create("account", &json!({"name": format!("Cuenta {round}")}));
    let set = phone.update("account", account, base, &json!({"notes": format!("vuelta {round}")}));
    let mut operations = phone.update("account", account, base, &json!({}));
    let entry = json!({"at": 1_000 + round, "text": format!("llamada {round}")});
    operations.ops = vec![
        FieldOperation::Append { field: "key_dates".into(), values: vec![entry] },
        FieldOperation::Add { field: "tags".into(), values: vec![json!(format!("t{round:02}"))] },
    ];
    [made, set, operations]
}

#[test]
fn a_push_that_a_kill_interrupts_and_a_retry_repeats_takes_effect_once() {
    let mut server = Server::start();
    let company = Company::found(&server);
    let ana = server.person(Company::ANA);
    let account = ana.create("account", &json!({"name": "Conservas Ana"}));
    let mut phone = server.phone(Company::ANA);
    let base = phone.pull().head;

    let mut had_committed = 0;
    for (round, kill) in kills().enumerate() {
        let head = phone.exchange(&phone.request(&[])).ok()["head"].clone();
        let mutations = mutations(&mut phone, &account, base, round);
        let push = phone.request(&mutations);
        push_into_a_kill(&mut server, &phone, &Message::json(push.to_string()), kill);
        server.restart();

        let head_after = phone.exchange(&phone.request(&[])).ok()["head"].clone();
        let committed = head_after != head;
        had_committed += usize::from(committed);
        assert!(committed || matches!(kill, Kill::AfterRequest(_)), "round {round}: answered before it was durable");
        let outcomes = phone.push(&mutations);
        assert_all_applied(&outcomes, &mutations);
        let head_retried = phone.exchange(&phone.request(&[])).ok()["head"].clone();
        assert_eq!(committed, head_retried == head_after, "round {round}: a decided push is not decided again");
        assert_eq!(phone.push(&mutations), outcomes, "round {round}: every retry gets the same outcomes");
    }
    assert!(had_committed >= ROUNDS / 2, "{had_committed}");

    let now = ana.get(&format!("/api/v1/account/{account}")).ok()["fields"].clone();
    let each = |name: &dyn Fn(usize) -> Value| Value::from((0..ROUNDS).map(name).collect::<Vec<_>>());
    assert_eq!(now["notes"], json!(format!("vuelta {}", ROUNDS - 1)));
    assert_eq!(now["tags"], each(&|round| json!(format!("t{round:02}"))));
    let entry = |round| json!({"at": 1_000 + round, "text": format!("llamada {round}")});
    assert_eq!(now["key_dates"], each(&entry));
    for round in 0..ROUNDS {
        let filter = format!("/api/v1/account/summary?where=name%20%3D%3D%20%27Cuenta%20{round}%27");
        assert_eq!(ana.get(&filter).ok()["count"], 1, "Cuenta {round}");
    }
    assert_eq!(company.admin.count("account"), u64::try_from(ROUNDS).expect("few") + 2);

    let history = ana.get(&format!("/api/v1/account/{account}/history")).ok();
    let entries = history["items"].as_array().expect("a page of entries");
    for field in ["notes", "tags", "key_dates"] {
        let changes = entries.iter().filter(|entry| entry["field"] == field).count();
        assert_eq!(changes, ROUNDS, "one row of history for each change of {field}");
    }
    server.kill();
    assert_sound(&server);
}

/// What stands between a device and its server, and lets no answer through while it is told so.
struct Line {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
}

impl Line {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = is_cut.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for device in listener.incoming() {
                let device = device.expect("a connection");
                let Ok(server) = TcpStream::connect(server) else { continue };
                if cut.load(Ordering::SeqCst) { swallow(&device, server) } else { carry(device, server) }
            }
        });
        Self { address, is_cut }
    }
}

/// The server gets the whole request and answers it; the device hears nothing.
fn swallow(device: &TcpStream, mut server: TcpStream) {
    let request = read_request(device);
    server.write_all(&request).expect("the server takes the request");
    server.read_exact(&mut [0]).expect("the server begins to answer");
    device.shutdown(Shutdown::Both).expect("the device still waits");
}

fn carry(device: TcpStream, server: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        move || {
            // Whichever side ends first, ends both.
            drop(std::io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Both));
        }
    };
    let twin = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    thread::spawn(copy(twin(&device), twin(&server)));
    thread::spawn(copy(server, device));
}

#[test]
fn a_device_that_heard_nothing_sends_again_and_nothing_happens_twice() {
    let mut server = Server::start();
    let _company = Company::found(&server);
    let ana = server.person(Company::ANA);
    let account = ana.create("account", &json!({"name": "Conservas Ana"}));
    let line = Line::to(server.address());
    let device = Device::enrol(&format!("http://{}", line.address), Company::ANA);
    let _ = device.run(&["sync"]).ok();
    let _ = device.run(&["set", "account", &account, "notes=una vez", "tags+=puerto", "key_dates+=llamada"]).ok();
    let made = device.run(&["new", "account", "name=Cuenta nueva"]).ok();

    line.is_cut.store(true, Ordering::SeqCst);
    let problem = device.run(&["sync"]).problem();
    assert_eq!(problem.code, "unreachable", "{problem:?}");
    assert_eq!(device.run(&["outbox"]).ok()["count"], 2, "what has no outcome is kept");
    server.restart();
    line.is_cut.store(false, Ordering::SeqCst);

    let told = device.run(&["sync"]).ok();
    assert_eq!(
        (&told["applied"], &told["attention"], &told["in_step"]),
        (&json!(2), &json!(0), &json!(true)),
        "{told}"
    );
    let here = device.run(&["show", "account", &account]).ok();
    let there = ana.get(&format!("/api/v1/account/{account}")).ok();
    assert_eq!(here["fields"], there["fields"], "both hold the same record");
    assert_eq!(there["fields"]["tags"], json!(["puerto"]));
    assert_eq!(there["fields"]["key_dates"].as_array().map(Vec::len), Some(1), "{there}");
    let history = ana.get(&format!("/api/v1/account/{account}/history")).ok();
    let entries = history["items"].as_array().expect("a page of entries");
    for field in ["notes", "tags", "key_dates"] {
        assert_eq!(entries.iter().filter(|entry| entry["field"] == field).count(), 1, "{field}: {history}");
    }
    let history = ana.get(&format!("/api/v1/account/{}/history", made["id"].as_str().expect("an id"))).ok();
    assert_eq!(history["items"].as_array().map(Vec::len), Some(1), "it was made once: {history}");
}

#[track_caller]
fn assert_all_applied(outcomes: &[Outcome], mutations: &[Mutation]) {
    assert_eq!(outcomes.len(), mutations.len());
    for (outcome, mutation) in outcomes.iter().zip(mutations) {
        assert_eq!((outcome.mutation, outcome.verdict), (mutation.id, Verdict::Applied), "{outcome:?}");
    }
}

/// The database as the last kill left it.
fn assert_sound(server: &Server) {
    let file = server.data().join("cartera.db");
    let database = rusqlite::Connection::open(file).expect("the database opens");
    let said: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("the check answers");
    assert_eq!(said, "ok");
    let twice: i64 = database
        .query_row("SELECT count(*) - count(DISTINCT device || '/' || mutation) FROM outcome", [], |row| row.get(0))
        .expect("the outcomes can be counted");
    assert_eq!(twice, 0, "one outcome for each mutation");
}
