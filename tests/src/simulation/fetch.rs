//! A manifest and its chunks on their way to a device, and the model.

use std::hash::Hash as _;
use std::sync::Arc;

use axum::http::{Method, StatusCode, header};
use cartera_client::device::names;
use crm::model::Model;
use sync_protocol::engine::{Answer, Fetch, Input};
use sync_protocol::wire::chunk::{Chunk, ChunkHash};
use sync_protocol::wire::{ChunksRequest, ManifestResponse, Problem};

use super::device::Device;
use super::fault::Fault;
use super::line::Parcel;
use super::office::Reply;
use super::oracle::Oracle;
use super::world::World;

impl World {
    /// Something that a device fetches, with what goes wrong on the way.
    pub(super) async fn fetch(&mut self, at: usize, fetch: &Fetch, fault: Option<Fault>) -> Answer {
        let parcel = parcel(&self.devices[at], fetch);
        let take = |world: &mut Self, reply: &Reply| world.take_fetched(at, fetch, reply);
        let reads = |bytes: &[u8]| match fetch {
            Fetch::Manifest(_) => serde_json::from_slice::<ManifestResponse>(bytes).is_ok(),
            Fetch::Chunks(chunks) => ChunkHash::of(bytes) == chunks[0].hash,
        };
        let answer = self.ask("first sync: a fetch goes wrong", fault, &parcel, take, reads).await;
        answer.unwrap_or_else(Answer::from)
    }

    fn take_fetched(&mut self, at: usize, fetch: &Fetch, reply: &Reply) -> Answer {
        if reply.status != StatusCode::OK {
            return self.take_refusal(at, fetch, reply);
        }
        reply.bytes.hash(&mut self.trace);
        match fetch {
            Fetch::Manifest(_) => {
                self.tally.count("first sync: manifest");
                let manifest: ManifestResponse = serde_json::from_slice(&reply.bytes).expect("a manifest");
                self.devices[at].may_start_over |= lacks_a_scope(&self.devices[at], &manifest);
                Answer::Manifest(Box::new(manifest))
            }
            Fetch::Chunks(_) => {
                self.tally.count("first sync: chunk");
                let oracle = Oracle::read(&self.office);
                is_for(&self.devices[at], &reply.bytes, &oracle);
                Answer::Chunks(vec![Arc::from(&reply.bytes[..])])
            }
        }
    }

    fn take_refusal(&mut self, at: usize, fetch: &Fetch, reply: &Reply) -> Answer {
        let problem: Problem = serde_json::from_slice(&reply.bytes).expect("a problem");
        let is_gone = reply.status == StatusCode::GONE && matches!(fetch, Fetch::Chunks(_));
        if is_gone {
            self.tally.count("first sync: chunk gone");
        } else {
            let may_sign_in = Oracle::read(&self.office).viewer(self.devices[at].user).is_some();
            assert!(reply.status == StatusCode::UNAUTHORIZED && !may_sign_in, "{}: {problem:?}", self.devices[at]);
        }
        Answer::Problem { problem: Box::new(problem), retry_after_ms: None }
    }

    /// The model that a device was told of, with what goes wrong on the way.
    pub(super) async fn fetch_model(&mut self, at: usize, hash: String, fault: Option<Fault>) -> Input {
        self.tally.count("device: fetches a model");
        let get = self.devices[at].request().uri(format!("/sync/v1/model/{hash}"));
        let parcel = Parcel::new(get, Vec::new());
        let take = |_: &mut Self, reply: &Reply| take_model(&hash, reply);
        let reads = |bytes: &[u8]| str::from_utf8(bytes).is_ok_and(|json| Model::from_json(json).is_ok());
        let goes_wrong = "device: the fetch of a model goes wrong";
        let Ok(Some(model)) = self.ask(goes_wrong, fault, &parcel, take, reads).await else {
            return Input::ModelFailed;
        };
        // Without one nothing is held that could be called otherwise.
        let held = self.devices[at].store.saved().position.model;
        let before = held.and_then(|held| self.models.get(&held));
        let names = before.map(|before| names(before, &model)).unwrap_or_default();
        self.models.insert(hash.clone(), model);
        // The second since its last checkpoint makes it begin anew.
        self.devices[at].may_start_over |= self.devices[at].store.saved().position.has_let_go;
        self.devices[at].model = Some(hash.clone());
        Input::ModelStored { hash, names }
    }
}

/// None where another model is in force since, or she may not sign in.
fn take_model(hash: &str, reply: &Reply) -> Option<Model> {
    match reply.status {
        StatusCode::OK => {
            let json = str::from_utf8(&reply.bytes).expect("a model is text");
            Some(Model::from_json(json).expect("a model"))
        }
        StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED => None,
        status => panic!("model {hash}: {status}"),
    }
}

/// Whether a manifest names nothing of a scope of which the device still waits for chunks: its user lost it meanwhile.
fn lacks_a_scope(device: &Device, manifest: &ManifestResponse) -> bool {
    let bootstrap = device.store.saved().position.bootstrap;
    let mut waiting = bootstrap.iter().flat_map(|bootstrap| &bootstrap.waiting);
    waiting.any(|waits| manifest.chunks.iter().all(|chunk| chunk.scope != waits.scope))
}

/// The request for a manifest; for the first of the chunks alone, or for it among others, by turns: of the chunks asked
/// for one comes, so that anything may happen between two.
fn parcel(device: &Device, fetch: &Fetch) -> Parcel {
    let (path, json) = match fetch {
        Fetch::Manifest(manifest) => ("/sync/v1/manifest", serde_json::to_vec(manifest)),
        Fetch::Chunks(chunks) if chunks.len() > 1 => {
            ("/sync/v1/chunks", serde_json::to_vec(&ChunksRequest { chunks: vec![chunks[0].hash] }))
        }
        Fetch::Chunks(chunks) => {
            return Parcel::new(device.request().uri(format!("/sync/v1/chunk/{}", chunks[0].hash)), Vec::new());
        }
    };
    let head = device.request().method(Method::POST).uri(path).header(header::CONTENT_TYPE, "application/json");
    Parcel::new(head, json.expect("requests are JSON"))
}

/// Nothing leaves the server that the device's user may not see at this moment.
fn is_for(device: &Device, bytes: &[u8], oracle: &Oracle) {
    let chunk = Chunk::read(bytes).expect("a chunk");
    let viewer = oracle.viewer(device.user).unwrap_or_else(|| panic!("{device} may not sign in, and is sent a chunk"));
    for row in chunk.rows() {
        let held = oracle.record(row.id).unwrap_or_else(|| panic!("{device}: {} in a chunk is gone", row.id));
        assert_eq!(chunk.entity, held.entity, "{device}: {}", row.id);
        assert!(
            oracle.scopes_of(&viewer, held).contains(&chunk.scope),
            "{device}: {} is in a chunk of scope {}, where it is not or not seen",
            row.id,
            chunk.scope
        );
        for (field, _) in row.values() {
            assert!(oracle.shows(&viewer, &held.entity, field), "{device}: {field} of {} is in a chunk", row.id);
        }
    }
}
