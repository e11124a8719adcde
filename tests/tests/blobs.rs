//! Files that records name, from device to device over the real server: cut, killed, offline, and kept from whom they
//! do not concern.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cartera_tests::{Company, Device, Phone, Server};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sync_protocol::wire::BlobHash;

/// Bytes that compress badly and look like nothing; the same for the same seed (xorshift).
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A file in a folder that goes with the server's.
fn file(server: &Server, name: &str, bytes: &[u8]) -> PathBuf {
    let path = server.data().with_file_name(name);
    std::fs::write(&path, bytes).expect("the folder takes files");
    path
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// A line that breaks behind so many bytes from the device, each time it is used.
fn breaking_line(server: std::net::SocketAddr, after: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    // Ends with the test's process.
    thread::spawn(move || {
        for device in listener.incoming() {
            let mut device = device.expect("a connection");
            let Ok(mut upstream) = TcpStream::connect(server) else { continue };
            let mut back = (upstream.try_clone().expect("a handle"), device.try_clone().expect("a handle"));
            thread::spawn(move || {
                drop(std::io::copy(&mut back.0, &mut back.1));
                drop(back.1.shutdown(Shutdown::Both));
            });
            let after = after.clone();
            thread::spawn(move || {
                let mut left = after.load(Ordering::SeqCst);
                let mut buffer = [0; 4096];
                while let Ok(count) = device.read(&mut buffer) {
                    let count = count.min(left);
                    if count == 0 || upstream.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                    left -= count;
                }
                drop(upstream.shutdown(Shutdown::Both));
                drop(device.shutdown(Shutdown::Both));
            });
        }
    });
    url
}

#[test]
fn a_file_that_is_attached_offline_reaches_a_colleague_over_a_line_that_keeps_breaking() {
    let server = Server::start();
    let company = Company::found(&server);
    let after = Arc::new(AtomicUsize::new(usize::MAX));
    let ana = Device::enrol(&breaking_line(server.address(), after.clone()), Company::ANA);
    let berta = server.device(Company::BERTA);
    let _ = ana.run(&["sync"]).ok();
    let made = ana.run(&["new", "account", "name=Conservas Ana"]).ok();
    let account = made["id"].as_str().expect("an id").to_owned();
    let plan = bytes(7, 900_000);
    let path = file(&server, "plano del muelle.pdf", &plan);
    let attached = ana.run(&["attach", "account", &account, "attachments", text(&path)]).ok();
    assert_eq!((&attached["blob"]["type"], &attached["blob"]["size"]), (&json!("application/pdf"), &json!(900_000)));

    // The change itself fits through; the file does not, and gets a little further each time.
    after.store(150_000, Ordering::SeqCst);
    let mut syncs = 0;
    while ana.run(&["sync"]).code != 0 {
        syncs += 1;
        assert!(syncs < 20, "the file does not get through");
        if syncs == 1 {
            let _ = berta.run(&["sync"]).ok();
            let here = berta.run(&["fetch", "account", &account, "attachments", "-o", text(&path)]).problem();
            assert_eq!(here.code, "blob-pending", "{here:?}");
        }
    }
    let _ = berta.run(&["sync"]).ok();
    let copy = server.data().with_file_name("copy.pdf");
    let fetched = berta.run(&["fetch", "account", &account, "attachments", "-o", text(&copy)]).ok();
    assert_eq!(fetched["fetched"], true, "{fetched}");
    assert!(std::fs::read(&copy).expect("the copy is there") == plan, "the bytes are the same");

    let sara = server.device(Company::SARA);
    let _ = sara.run(&["sync"]).ok();
    let hash = attached["blob"]["hash"].as_str().expect("a hash");
    let foreign = server.person(Company::SARA).get(&format!("/sync/v1/blob/{hash}")).problem();
    assert_eq!((foreign.status, foreign.code.as_str()), (404, "not-found"), "she may not even know");

    // The account becomes hers: whoever loses it loses its file too, the one who attached it as well.
    after.store(usize::MAX, Ordering::SeqCst);
    let owner = server.person(Company::SARA).user;
    let place = json!({"owner": owner, "team": company.sevilla, "territory": company.sur});
    company.admin.set("account", &account, &place);
    for device in [&ana, &berta] {
        let _ = device.run(&["sync"]).ok();
        let left = std::fs::read_dir(device.home().join("blobs")).expect("the folder is there").flatten();
        assert_eq!(left.map(|entry| entry.file_name()).collect::<Vec<_>>(), Vec::<std::ffi::OsString>::new());
    }
    let _ = sara.run(&["sync"]).ok();
    let _ = sara.run(&["fetch", "account", &account, "attachments", "-o", text(&copy)]).ok();
}

#[test]
fn a_server_that_is_killed_in_mid_upload_goes_on_and_shows_nothing_half() {
    let mut server = Server::start();
    let company = Company::found(&server);
    let phone = server.phone(Company::ANA);
    let content = bytes(11, 3_000_000);
    let path = file(&server, "video.mp4", &content);
    let device = server.device(Company::ANA);
    let _ = device.run(&["sync"]).ok();
    let account = company.open_account.clone();
    let mine = device.run(&["new", "account", "name=Propia"]).ok()["id"].as_str().expect("an id").to_owned();
    let attached = device.run(&["attach", "account", &mine, "attachments", text(&path)]).ok();
    let hash = attached["blob"]["hash"].as_str().expect("a hash").to_owned();
    assert_ne!(account, mine);

    let head = |offset: usize| {
        format!(
            "PUT /sync/v1/blob/{hash} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nupload-offset: {offset}\r\n\
             upload-length: {}\r\ncontent-length: {}\r\n\r\n",
            phone.token,
            content.len(),
            content.len() - offset
        )
    };
    let mut offset = 0;
    for round in 1..=4 {
        let mut connection = TcpStream::connect(server.address()).expect("the server runs");
        connection.write_all(head(offset).as_bytes()).expect("the head is taken");
        connection.write_all(&content[offset..round * 700_000]).expect("the bytes are taken");
        // What has reached the part's file is what a kill cannot take back: wait for some of this round's bytes.
        while part_bytes(&server) <= offset as u64 {
            thread::yield_now();
        }
        server.kill();
        let kept = part_bytes(&server);
        server.restart();
        let seen = reached(&server, &phone.token, &hash);
        assert_eq!(seen, Some(kept), "what came before the kill counts, and no more");
        offset = usize::try_from(kept).expect("small");
        assert!(offset <= round * 700_000);
        let person = server.person(Company::ANA);
        assert_eq!(person.get(&format!("/sync/v1/blob/{hash}")).status, 404, "nothing half is seen");
    }
    let mut connection = TcpStream::connect(server.address()).expect("the server runs");
    connection.write_all(head(offset).as_bytes()).expect("the head is taken");
    connection.write_all(&content[offset..]).expect("the bytes are taken");
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 201", "whole, with the right hash");

    // The other device of hers finds that the bytes are here as soon as its record names them, and sends none.
    let synced = device.run(&["sync"]).ok();
    assert_eq!(synced["blobs"]["sent"], 1, "{synced}");
    let received = server.person(cartera_tests::ADMIN).get("/metrics").body;
    let line = received.lines().find(|line| line.starts_with("cartera_blob_received_bytes_total"));
    let count: usize =
        line.and_then(|line| line.rsplit(' ').next()).and_then(|count| count.parse().ok()).expect("a count");
    assert!(count <= content.len(), "since the last start: {count}");
}

/// How many bytes lie in the one part that there is.
fn part_bytes(server: &Server) -> u64 {
    let parts = std::fs::read_dir(server.data().join("blobs/parts")).expect("the folder is there");
    parts.filter_map(|part| part.ok()?.metadata().ok()).map(|part| part.len()).sum()
}

/// What the server says by `HEAD`.
fn reached(server: &Server, token: &str, hash: &str) -> Option<u64> {
    let mut connection = TcpStream::connect(server.address()).expect("the server runs");
    let head = format!(
        "HEAD /sync/v1/blob/{hash} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).expect("the head is taken");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    let line = answer.lines().find_map(|line| line.strip_prefix("upload-offset: "))?;
    line.trim().parse().ok()
}

#[test]
fn photos_travel_with_a_sync_that_is_asked_for_them_and_files_that_are_none_are_refused_at_once() {
    let server = Server::start();
    let _company = Company::found(&server);
    let (ana, berta) = (server.device(Company::ANA), server.device(Company::BERTA));
    let _ = ana.run(&["sync"]).ok();
    let contact = ana.run(&["new", "contact", "name=José Núñez"]).ok()["id"].as_str().expect("an id").to_owned();
    let page = file(&server, "jose.html", b"<script>alert(1)</script>");
    let refused = ana.run(&["attach", "contact", &contact, "photo", text(&page)]).problem();
    assert_eq!((refused.code.as_str(), refused.fields[0].code.as_str()), ("invalid", "file-type"), "{refused:?}");
    let picture = file(&server, "jose.jpg", &bytes(3, 5_000));
    let _ = ana.run(&["attach", "contact", &contact, "photo", text(&picture)]).ok();
    let told = ana.run(&["sync"]).ok();
    assert_eq!((&told["in_step"], &told["blobs"]["sent"]), (&json!(true), &json!(1)), "{told}");

    let told = berta.run(&["sync", "--photos"]).ok();
    assert_eq!(told["blobs"]["fetched"], 1, "{told}");
    drop(server);
    let copy = berta.home().join("copy.jpg");
    let here: Value = berta.run(&["fetch", "contact", &contact, "photo", "-o", text(&copy)]).ok();
    assert_eq!(here["fetched"], false, "without a server: {here}");
    assert!(std::fs::read(&copy).expect("the copy is there") == bytes(3, 5_000));
}

/// An answer about a blob: its status, its headers in lower case, its bytes.
struct Blob {
    status: u16,
    headers: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Asks as that phone, with exactly these headers and bytes.
fn ask(server: &Server, phone: &Phone, method: &str, hash: &str, headers: &str, body: &[u8]) -> Blob {
    let mut connection = TcpStream::connect(server.address()).expect("the server runs");
    let head = format!(
        "{method} /sync/v1/blob/{hash} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
         content-length: {}\r\n{headers}\r\n",
        phone.token,
        body.len()
    );
    connection.write_all(&[head.as_bytes(), body].concat()).expect("the request is taken");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let headers = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Blob { status, headers, bytes: answer.split_off(end + 4) }
}

fn hash_of(bytes: &[u8]) -> String {
    BlobHash(Sha256::digest(bytes).into()).to_string()
}

fn named(bytes: &[u8], name: &str, media_type: &str) -> Value {
    json!({"hash": hash_of(bytes), "name": name, "size": bytes.len(), "type": media_type})
}

#[test]
fn bytes_that_are_others_than_their_name_says_are_refused_and_nothing_of_them_stays() {
    let server = Server::start();
    let _company = Company::found(&server);
    let phone = server.phone(Company::ANA);
    let plan = bytes(5, 40_000);
    let hash = hash_of(&plan);
    let fields = json!({"name": "Propia", "attachments": [named(&plan, "plan.pdf", "application/pdf")]});
    let _ = server.person(Company::ANA).create("account", &fields);
    let mut damaged = plan.clone();
    damaged[39_999] ^= 1;
    let refused = ask(&server, &phone, "PUT", &hash, "upload-length: 40000\r\n", &damaged);
    assert_eq!((refused.status, refused.code().as_str()), (422, "blob-hash"));
    assert_eq!(part_bytes(&server), 0);
    let whole = std::fs::read_dir(server.data().join("blobs/whole")).expect("the folder is there");
    assert_eq!(whole.count(), 0, "nothing of it is stored");
    assert_eq!(ask(&server, &phone, "GET", &hash, "", b"").code(), "blob-pending");
    let goes_on = ask(&server, &phone, "PUT", &hash, "upload-length: 40000\r\nupload-offset: 39999\r\n", b"x");
    assert_eq!((goes_on.status, goes_on.header("upload-offset")), (409, Some("0")), "it begins at its first byte");
    let sent = ask(&server, &phone, "PUT", &hash, "upload-length: 40000\r\n", &plan);
    assert_eq!(sent.status, 201, "{}", sent.headers);

    // What is here now is fetched whole or in part, and nobody's browser runs it.
    let whole = ask(&server, &phone, "GET", &hash, "", b"");
    assert!(whole.status == 200 && whole.bytes == plan);
    assert_eq!(whole.header("content-type"), Some("application/pdf"));
    assert_eq!(whole.header("content-disposition"), Some("attachment; filename=\"plan.pdf\""));
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(whole.header("content-security-policy"), Some("sandbox; default-src 'none'"));
    let part = ask(&server, &phone, "GET", &hash, "range: bytes=1000-1999\r\naccept-encoding: gzip, zstd\r\n", b"");
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 1000-1999/40000")));
    assert!(part.bytes == plan[1_000..2_000]);
    assert_eq!(ask(&server, &phone, "GET", &hash, "range: bytes=40000-\r\n", b"").status, 416);
}

#[test]
fn a_file_that_a_field_names_is_for_those_who_see_the_field() {
    let server = Server::start();
    let company = Company::found(&server);
    let contract = b"what only managers see";
    let hash = hash_of(contract);
    let ana = server.phone(Company::ANA);
    let fields = json!({"name": "Propia", "attachments": [named(contract, "contrato.txt", "text/plain")]});
    let account = server.person(Company::ANA).create("account", &fields);
    let sent = ask(&server, &ana, "PUT", &hash, &format!("upload-length: {}\r\n", contract.len()), contract);
    assert_eq!(sent.status, 201, "{}", sent.headers);
    assert_eq!(ask(&server, &ana, "GET", &hash, "", b"").bytes, contract);

    let yaml = "entity: account\nfields:\n  attachments: {level: 1}\n";
    let _ = company.admin.post("/api/v1/model/layers", &json!({"name": "discreet", "yaml": yaml})).ok();
    let marta = server.phone(Company::MARTA);
    assert_eq!(ask(&server, &marta, "GET", &hash, "", b"").bytes, contract, "managers see fields of level 1");
    let refused = ask(&server, &ana, "GET", &hash, "", b"");
    assert_eq!((refused.status, refused.code().as_str()), (404, "not-found"), "who sees the record, but not the field");
    let _ = company.admin.delete(&format!("/api/v1/account/{account}"));
    assert_eq!(ask(&server, &marta, "GET", &hash, "", b"").status, 404, "with its record it is gone");
}

#[test]
fn the_photo_of_an_imported_card_arrives_on_a_phone() {
    let server = Server::start();
    let company = Company::found(&server);
    // What begins as a JPEG does, in base64, on lines as address books fold them.
    let encoded = format!("/9j/{}", "AbCd0123".repeat(600));
    let folded: Vec<&str> =
        encoded.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let card = format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Núñez;José;;;\r\nFN:José Núñez\r\nPHOTO;ENCODING=b;TYPE=JPEG:{}\r\nEND:VCARD\r\n",
        folded.join("\r\n ")
    );
    let import = company.admin.post("/api/v1/imports", &json!({"entity": "contact", "file_name": "agenda.vcf"})).ok();
    let import = format!("/api/v1/imports/{}", import["id"].as_str().expect("an id"));
    let sent = company.admin.put_file(&format!("{import}/file"), card.as_bytes());
    assert!(sent.status < 300, "{sent:?}");
    cartera_tests::wait_until("the import ends", || company.admin.get(&import).ok()["state"] == "done");

    let phone = server.device(cartera_tests::ADMIN);
    let told = phone.run(&["sync", "--photos"]).ok();
    assert_eq!(told["blobs"]["fetched"], 1, "{told}");
    let contact = phone.run(&["list", "contact"]).ok()["records"][0]["id"].as_str().expect("an id").to_owned();
    let copy = phone.home().join("copy.jpg");
    let _ = phone.run(&["fetch", "contact", &contact, "photo", "-o", text(&copy)]).ok();
    let photo = std::fs::read(&copy).expect("the copy is there");
    assert!(photo.starts_with(&[0xff, 0xd8, 0xff]) && photo.len() == 3 + 600 * 6, "{} bytes", photo.len());
}
