//! What the server reaches, beside what a bare SQLite loop reaches with the same rows in the same run.
//!
//! `make bench` builds the release binaries and runs it; every figure of the server is one of the real binary over HTTP
//! with real authentication. Named parts alone are measured by, say, `cargo bench --bench load -- mutations crowd`; what
//! there is stands in `main`. Absolute figures depend on the machine, so each comes with its ratio to the bare loop.

#![expect(clippy::cast_precision_loss, reason = "figures for people: nobody reads the 16th digit")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a list that fits in memory"
)]

mod bare;
mod contacts;
mod crowd;
mod device;
mod fleet;
mod live;
mod phone;
mod report;
mod server;
mod snapshot;

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::Result;
use tempfile::TempDir;

use crate::device::Device;
use crate::server::Server;
use crate::snapshot::Fetcher;

/// Contacts in every measurement.
const CONTACTS: usize = 50_000;
/// Devices that push at once, and mutations in each of their batches.
const WRITERS: usize = 16;
const BATCH: usize = 50;
/// Batches that each writer sends; the first few are not counted.
const BATCHES: usize = 60;
const WARM_UP: usize = 5;
/// Whole pulls, of which the median counts.
const PULLS: usize = 5;
/// Devices that hold a live connection and do nothing.
const IDLE_DEVICES: usize = 10_000;
/// Devices that make their first sync at the same moment, and the contacts that each gets.
const CROWD: usize = 2_000;
const CROWD_CONTACTS: usize = 500;
/// Devices that fetch all contacts at the same time.
const WHOLE_PULLS: usize = 50;

fn main() -> Result<()> {
    if let Ok(task) = std::env::var(live::IDLE_LOAD) {
        return live::hold_idle(&task);
    }
    let wanted = Wanted::of(std::env::args().skip(1));
    let folder = TempDir::new()?;
    if wanted.any(&["contacts", "chunks", "exchange", "mutations", "live", "pulls", "device", "idle"]) {
        company(&wanted, folder.path())?;
    }
    if wanted.any(&["crowd"]) {
        rush(&folder.path().join("small"))?;
    }
    Ok(())
}

/// The parts that were named on the command line; all where none was.
struct Wanted(Vec<String>);

impl Wanted {
    fn of(arguments: impl Iterator<Item = String>) -> Self {
        // cargo says that this is a benchmark.
        Self(arguments.filter(|argument| argument != "--bench").collect())
    }

    fn any(&self, parts: &[&str]) -> bool {
        self.0.is_empty() || self.0.iter().any(|wanted| parts.contains(&wanted.as_str()))
    }
}

/// Everything that one server with all contacts is asked.
fn company(wanted: &Wanted, folder: &Path) -> Result<()> {
    let csv = folder.join("contacts.csv");
    contacts::write_csv(&csv, CONTACTS)?;

    let bodies = contacts::bodies(CONTACTS);
    let mut bare = bare::Bare::create(&folder.join("bare.db"))?;
    let bare_insert = rate(CONTACTS, || bare.insert(&bodies))?;
    let bare_scan = rate(CONTACTS, || bare.scan())?;
    let bare_update = rate(WRITERS * BATCHES * BATCH, || bare.update(WRITERS * BATCHES, BATCH))?;

    let data = folder.join("data");
    server::prepare(&data)?;
    let tokens = fleet::enrol(&data, IDLE_DEVICES)?;
    let server = Server::start(&data)?;
    report::line("cold start to first answer", &format!("{:.0} ms", server.started_in.as_secs_f64() * 1e3));
    report::line("idle, empty", &server.memory()?);

    let import = rate(CONTACTS, || server.import("contact", &csv))?;
    report::ratio("import of a CSV file", "rows/s", import, bare_insert);
    report::line("after the import", &server.memory()?);

    if wanted.any(&["chunks"]) {
        fetch(&server, &tokens[0], bare_scan, folder)?;
    }
    if wanted.any(&["exchange"]) {
        pull(&server, bare_scan)?;
    }
    if wanted.any(&["mutations"]) {
        push(&server, bare_update)?;
    }
    if wanted.any(&["live"]) {
        deltas(&server, &tokens)?;
    }
    if wanted.any(&["pulls"]) {
        let pulled = crowd::whole_pulls(&server, WHOLE_PULLS)?;
        let figure = format!("{pulled:.0} rows/s together");
        report::line(&format!("{WHOLE_PULLS} devices pull everything at once"), &figure);
        report::line("after them", &server.memory()?);
        let fetched = crowd::whole_fetches(&server, &tokens[..WHOLE_PULLS])?;
        let figure = format!("{fetched:.0} rows/s together");
        report::line(&format!("{WHOLE_PULLS} devices fetch all chunks at once"), &figure);
        report::line("after them", &server.memory()?);
    }
    if wanted.any(&["device"]) {
        let took = phone::first_sync(&server, &folder.join("phone"))?.as_secs_f64();
        report::ratio("cartera-device: first sync into its store", "rows/s", CONTACTS as f64 / took, bare_insert);
        report::line("  of all contacts", &format!("{took:.2} s"));
    }
    report::line("in the end", &server.memory()?);
    drop(server);
    if wanted.any(&["idle"]) {
        idle(&data)?;
    }
    Ok(())
}

/// What a change costs on the wire, and how soon connected devices know of one.
fn deltas(server: &Server, tokens: &[String]) -> Result<()> {
    let writer = Device::enrol(server, "writer of deltas")?;
    let reader = Device::enrol(server, "reader of deltas")?;
    writer.pull_all()?;
    reader.pull_all()?;
    let records = writer.contacts()?;
    for record in &records[..100] {
        writer.change(record)?;
    }
    let (bytes, operations) = reader.pull_changes()?;
    anyhow::ensure!(operations == 100, "{operations} operations came for 100 changes");
    report::line("one-field change, in a page of 100 (zstd)", &format!("{} bytes", bytes / 100));
    for devices in [500, 1_000] {
        // A record of its own each time: what another device has changed since it was read here would stay as it is.
        let (since_request, since_answer) = live::fan_out(server, &tokens[..devices], &records[devices])?;
        let figure = format!(
            "{:.1} ms after the request, {:.1} ms after its answer",
            since_request.as_secs_f64() * 1e3,
            since_answer.as_secs_f64() * 1e3
        );
        report::line(&format!("the last of {devices} connected devices knows"), &figure);
    }
    Ok(())
}

/// The server after a start with all contacts, alone and with thousands of idle live connections.
fn idle(data: &Path) -> Result<()> {
    let server = Server::start(data)?;
    report::line("cold start with all contacts", &format!("{:.0} ms", server.started_in.as_secs_f64() * 1e3));
    report::line("idle, with all contacts", &server.memory()?);
    let load = live::IdleLoad::start(&server, IDLE_DEVICES)?;
    report::line(&format!("{IDLE_DEVICES} idle live connections"), &server.memory()?);
    drop(load);
    Ok(())
}

/// A company's devices with equal rights, all new at the same moment.
fn rush(data: &Path) -> Result<()> {
    server::prepare(data)?;
    let tokens = fleet::enrol(data, CROWD)?;
    let server = Server::start(data)?;
    let csv = data.join("contacts.csv");
    contacts::write_csv(&csv, CROWD_CONTACTS)?;
    server.import("contact", &csv)?;
    let took = crowd::first_syncs(&server, &tokens)?;
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64();
    let figure = format!("p50 {:.2} s, p95 {:.2} s, last {:.2} s", at(50), at(95), at(100));
    report::line(&format!("{CROWD} devices fetch {CROWD_CONTACTS} contacts at once"), &figure);
    report::line("after them", &server.memory()?);
    Ok(())
}

fn rate(count: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// First syncs by chunks: nobody asked for any before, then they lie there; the client reads them and keeps nothing.
fn fetch(server: &Server, token: &str, bare: f64, folder: &Path) -> Result<()> {
    let fetcher = Fetcher::new(server, token);
    let cold = fetcher.fetch()?;
    anyhow::ensure!(cold.rows as usize >= CONTACTS, "only {} rows came, of {CONTACTS}", cold.rows);
    report::ratio("chunks: first sync, cold", "rows/s", cold.rows as f64 / cold.took.as_secs_f64(), bare);
    let fields = cold.contact_fields()?;
    anyhow::ensure!(fields >= contacts::FIELDS, "a contact has only {fields} fields");
    let (bytes, rows) = cold.contacts;
    report::line("chunks: on the wire (zstd)", &format!("{:.0} bytes/contact", bytes as f64 / rows as f64));
    let warm = fetcher.fetch()?;
    report::ratio("chunks: first sync, warm", "rows/s", warm.rows as f64 / warm.took.as_secs_f64(), bare);
    let files = folder.join("files");
    std::fs::create_dir(&files)?;
    let (own, theirs) = (fetcher.warm(&warm)?, snapshot::from_files(&warm, &files)?);
    let (own, theirs, ratio) = (own / 1e6, theirs / 1e6, own / theirs);
    report::line("chunks: warm", &format!("{own:.0} MB/s, static file server {theirs:.0} MB/s, ratio {ratio:.2}"));
    Ok(())
}

/// First syncs of a device that may see everything: the answers are read to their end, not applied.
fn pull(server: &Server, bare: f64) -> Result<()> {
    let device = Device::enrol(server, "puller")?;
    let mut rates = Vec::new();
    let mut bytes_per_row = 0.0;
    for _ in 0..PULLS {
        let start = Instant::now();
        let pulled = device.pull_all()?;
        rates.push(pulled.rows as f64 / start.elapsed().as_secs_f64());
        bytes_per_row = pulled.compressed_bytes as f64 / pulled.rows as f64;
        anyhow::ensure!(pulled.rows >= CONTACTS, "only {} rows came, of {CONTACTS}", pulled.rows);
    }
    rates.sort_by(f64::total_cmp);
    report::ratio("exchange: first sync", "rows/s", rates[PULLS / 2], bare);
    report::line("exchange: first sync, on the wire (zstd)", &format!("{bytes_per_row:.0} bytes/row"));
    report::line("after the pulls", &server.memory()?);

    let idle = rate(2_000, || (0..2_000).try_for_each(|_| device.pull_nothing()))?;
    report::line("idle pull, one device after another's answer", &format!("{idle:.0}/s"));
    Ok(())
}

/// Devices that change contacts at once, each batch durable before the next.
fn push(server: &Server, bare: f64) -> Result<()> {
    let records = Device::enrol(server, "reader")?.contacts()?;
    let devices: Vec<Device> =
        (0..WRITERS).map(|n| Device::enrol(server, &format!("writer {n}"))).collect::<Result<_>>()?;
    let begin = Barrier::new(WRITERS);
    let results: Vec<Result<(Duration, Vec<Duration>)>> = std::thread::scope(|scope| {
        let writers: Vec<_> = devices
            .iter()
            .enumerate()
            .map(|(n, device)| {
                let (begin, records) = (&begin, &records[n * records.len() / WRITERS..]);
                scope.spawn(move || device.push_batches(records, BATCHES, BATCH, WARM_UP, begin))
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).collect()
    });
    let results: Vec<(Duration, Vec<Duration>)> = results.into_iter().collect::<Result<_>>()?;
    let longest = results.iter().map(|(whole, _)| *whole).max().unwrap_or_default();
    let counted = WRITERS * (BATCHES - WARM_UP) * BATCH;
    let mut latencies: Vec<Duration> = results.into_iter().flat_map(|(_, latencies)| latencies).collect();
    latencies.sort_unstable();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    report::ratio("durable mutations, 16 writers × 50", "mutations/s", counted as f64 / longest.as_secs_f64(), bare);
    report::line("  of a batch", &format!("p50 {:.0} ms, p99 {:.0} ms", at(0.5), at(0.99)));
    Ok(())
}
