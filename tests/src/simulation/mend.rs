//! What makes devices compare: the server goes back to a backup, or forgets what left; and how they ask.

use std::collections::BTreeMap;
use std::hash::Hash as _;
use std::time::Duration;

use axum::http::{Method, StatusCode, header};
use cartera_server::horizon;
use sync_protocol::engine::Answer;
use sync_protocol::id::MutationId;
use sync_protocol::wire::{DigestRequest, DigestResponse, MendReason, Operation};
use tempfile::TempDir;

use super::check;
use super::fault::Fault;
use super::line::Parcel;
use super::office::{Office, Reply};
use super::oracle::Oracle;
use super::world::World;

/// A copy of the server's disk.
pub(super) struct Backup {
    folder: TempDir,
    /// How much of [`World::written`] it has.
    written: usize,
}

impl World {
    /// Somebody copies the server's disk.
    pub(super) fn back_up(&mut self) {
        self.tally.count("server: backed up");
        self.backup = Some(Backup { folder: self.office.photograph(), written: self.written.len() });
    }

    /// The server's disk is gone, and it goes on from the last copy.
    pub(super) async fn restore(&mut self) {
        let Some(backup) = &self.backup else { return };
        self.tally.count("server: restored");
        self.office.restore(&backup.folder).await;
        self.written.truncate(backup.written);
        // A restore takes longer than any request waits.
        self.late.clear();
        let last_mutations = self.office.last_mutations();
        for device in &mut self.devices {
            device.is_undone_after(last_mutations.get(&device.number).copied().unwrap_or(0));
        }
    }

    /// The server forgets what left so many days ago or earlier.
    pub(super) async fn forget(&mut self, days: u8) {
        self.tally.count("server: forgets what left");
        let app = &self.office.app;
        let age = Duration::from_hours(24 * u64::from(days));
        let passed = horizon::pass(app.db(), self.office.now_ms(), age, app.chunks(), app.metrics()).await;
        passed.expect("the database answers");
        for device in &mut self.devices {
            device.may_start_over = true;
        }
    }

    /// A device compares what it holds, with what goes wrong on the way.
    pub(super) async fn compare(&mut self, at: usize, request: &DigestRequest, fault: Option<Fault>) -> Answer {
        let json = serde_json::to_vec(request).expect("requests are JSON");
        let head = self.devices[at].request().method(Method::POST).uri("/sync/v1/digest");
        let parcel = Parcel::new(head.header(header::CONTENT_TYPE, "application/json"), json);
        let take = |world: &mut Self, reply: &Reply| world.take_comparison(at, request, reply);
        let reads = |bytes: &[u8]| serde_json::from_slice::<DigestResponse>(bytes).is_ok();
        let answer = self.ask("mending: a request goes wrong", fault, &parcel, take, reads).await;
        answer.unwrap_or_else(Answer::from)
    }

    fn take_comparison(&mut self, at: usize, request: &DigestRequest, reply: &Reply) -> Answer {
        let device = &self.devices[at];
        match request.why {
            None => {}
            Some(MendReason::Deep) => self.tally.count("mending: a week has passed"),
            Some(MendReason::Epoch) => self.tally.count("mending: the server was restored"),
            Some(MendReason::Horizon) => self.tally.count("mending: the device was away for long"),
            // Nothing is damaged here: a digest that differs is a fault of one of the two.
            Some(why) => panic!("{device} holds something else, {why:?}: {request:?}"),
        }
        reply.bytes.hash(&mut self.trace);
        let oracle = Oracle::read(&self.office);
        if reply.status != StatusCode::OK {
            let may_sign_in = oracle.viewer(self.devices[at].user).is_some();
            let problem = String::from_utf8_lossy(&reply.bytes);
            assert!(reply.status == StatusCode::UNAUTHORIZED && !may_sign_in, "{}: {problem}", self.devices[at]);
            let problem = serde_json::from_slice(&reply.bytes).expect("a problem");
            return Answer::Problem { problem, retry_after_ms: None };
        }
        let response: DigestResponse = serde_json::from_slice(&reply.bytes).expect("an answer to a digest request");
        let operations: Vec<Operation> = serde_json::from_str(response.operations.get()).expect("operations");
        let viewer = oracle.viewer(self.devices[at].user).expect("who may not sign in is not answered");
        // What exits may come again with a scope that the device has not heard of.
        for operation in &operations {
            check::is_for(&viewer, operation, &oracle);
        }
        if !operations.is_empty() {
            self.tally.count("mending: something differs");
        }
        Answer::Digest(Box::new(response))
    }
}

impl Office {
    /// The server is gone, and its operator starts another one on a copy of its disk.
    async fn restore(&mut self, backup: &TempDir) {
        let copy = Self::copy(backup.path());
        // A restore takes its time.
        self.wait_ms(60_000);
        Self::declare_restored(copy.path(), self.now_ms(), self.app.entropy()).await;
        self.rise_from(copy).await;
    }

    /// Each device's last mutation that was decided, by its number.
    fn last_mutations(&self) -> BTreeMap<i64, MutationId> {
        let database = self.database();
        let mut statement = database.prepare("SELECT num, last_mutation FROM device").expect("a statement");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())));
        rows.expect("a query").map(|row| row.expect("a row")).collect()
    }
}
