use serde_json::{Value, json};
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::digest::canonical;
use sync_protocol::id::RecordId;
use sync_protocol::wire::chunk::{Chunk, ChunkHash, MAX_CHUNK_BYTES};
use sync_protocol::wire::{ChunkEntry, MAX_CHUNKS_PER_REQUEST, ManifestResponse, MutationKind};
use ureq::http::Method;

use crate::check::{Check, Section, Seen, Unmet, broken, ensure};
use crate::http::Answer;
use crate::phone::{Phone, Told};
use crate::world::{World, expect_done};

pub const SECTION: Section = Section {
    name: "The snapshot",
    checks: &[
        Check {
            name: "a-manifest-begins-with-the-most-urgent",
            says: "the manifest names the chunks, the most urgent first, each of at most 16 MiB, and the model as in an exchange",
            run: a_manifest_begins_with_the_most_urgent,
        },
        Check {
            name: "chunks-are-as-the-manifest-says",
            says: "a chunk's name is the SHA-256 of its bytes before compression; it is one JSON object in canonical form and a \
                   line feed, of the entity, the scope, the rows and the length that the manifest says",
            run: chunks_are_as_the_manifest_says,
        },
        Check {
            name: "chunks-are-fetched-by-range",
            says: "with `Accept-Encoding: zstd` the answer is the stored bytes, with `ETag`, and takes `Range` with `If-Range`",
            run: chunks_are_fetched_by_range,
        },
        Check {
            name: "several-chunks-come-at-once",
            says: "`chunks` sends several, at most 64: their lines one after the other; those that are gone are left out",
            run: several_chunks_come_at_once,
        },
        Check {
            name: "a-foreign-chunk-is-as-good-as-none",
            says: "`chunk-gone` (410): the user may not fetch it, or there is none; no record that she may not see is in a chunk",
            run: a_foreign_chunk_is_as_good_as_none,
        },
        Check {
            name: "a-chunk-with-a-deleted-record-is-gone",
            says: "at the moment when a chunk goes out, no record that was deleted is in it: `chunk-gone`",
            run: a_chunk_with_a_deleted_record_is_gone,
        },
        Check {
            name: "the-exchange-after-the-chunks-tells-the-rest",
            says: "from the manifest's `cursor`, operations tell everything that happened to the records since they were put \
                   into chunks",
            run: the_exchange_after_the_chunks_tells_the_rest,
        },
        Check {
            name: "outcomes-come-while-chunks-arrive",
            says: "while chunks arrive, a device pushes with `limit_bytes` 0 and the manifest's cursor, and takes only outcomes",
            run: outcomes_come_while_chunks_arrive,
        },
    ],
};

fn manifest(phone: &Phone) -> Result<ManifestResponse, Unmet> {
    let answer = phone.post("/sync/v1/manifest", &json!({"protocol": PROTOCOL_VERSION}))?;
    if answer.status == 404 {
        return Err(Unmet::Unchecked("the server has no chunks: 404 to the manifest".into()));
    }
    serde_json::from_value(answer.ok()?).or_else(|error| broken(format!("the manifest cannot be read: {error}")))
}

fn fetch(phone: &Phone, hash: ChunkHash, headers: &[(&str, &str)]) -> Result<Answer, Unmet> {
    phone.ask(Method::GET, &format!("/sync/v1/chunk/{hash}"), headers, b"")
}

/// The bytes of a chunk that the manifest has just named.
fn bytes_of(phone: &Phone, entry: &ChunkEntry) -> Result<Vec<u8>, Unmet> {
    let answer = fetch(phone, entry.hash, &[("accept-encoding", "zstd")])?;
    ensure(answer.status == 200, || format!("a chunk of the manifest was answered with {}", answer.shown()))?;
    answer.decoded()
}

fn read(bytes: &[u8]) -> Result<Chunk<'_>, Unmet> {
    Chunk::read(bytes).or_else(|error| broken(format!("a chunk cannot be read: {error}")))
}

fn a_manifest_begins_with_the_most_urgent(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    world.make(&mut phone, &json!({}))?;
    let manifest = manifest(&phone)?;
    ensure(!manifest.chunks.is_empty(), || "there are records, and the manifest names no chunk".into())?;
    let priorities: Vec<u8> = manifest.chunks.iter().map(|entry| entry.priority).collect();
    let is_sorted = priorities.is_sorted() && priorities.iter().all(|priority| (1..=9).contains(priority));
    ensure(is_sorted, || format!("the priorities are {priorities:?}"))?;
    for entry in &manifest.chunks {
        let is_so = entry.rows > 0 && entry.bytes <= MAX_CHUNK_BYTES as u64 && entry.as_of <= manifest.head;
        ensure(is_so, || format!("at head {} the manifest names {}", manifest.head, json!(entry)))?;
    }
    let model: String = crate::phone::read(&phone.exchange(&phone.request(&[]))?.ok()?, "model")?;
    ensure(manifest.model == model, || format!("it names the model {}, an exchange {model}", manifest.model))?;
    Ok(format!("{} chunks of priorities {} to {}", priorities.len(), priorities[0], priorities[priorities.len() - 1]))
}

fn chunks_are_as_the_manifest_says(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    world.make(&mut phone, &json!({}))?;
    let chunks = manifest(&phone)?.chunks;
    for entry in &chunks {
        let answer = fetch(&phone, entry.hash, &[("accept-encoding", "zstd")])?;
        let bytes = answer.decoded()?;
        ensure(ChunkHash::of(&bytes) == entry.hash, || format!("the bytes of {} have another hash", entry.hash))?;
        let lengths = (bytes.len() as u64, answer.bytes.len() as u64);
        ensure(lengths == (entry.bytes, entry.packed_bytes), || {
            format!("{lengths:?} bytes came, plain and packed, of {}", json!(entry))
        })?;
        let chunk = read(&bytes)?;
        let is_so = (&*chunk.entity, chunk.scope, chunk.len() as u64) == (&*entry.entity, entry.scope, entry.rows);
        ensure(is_so, || {
            format!("{} records of {} in scope {} came of {}", chunk.len(), chunk.entity, chunk.scope, json!(entry))
        })?;
        let value: Value = serde_json::from_slice(&bytes).or_else(broken)?;
        ensure(format!("{}\n", canonical(&value)).into_bytes() == bytes, || {
            format!("{} is not in canonical form with a line feed behind it", entry.hash)
        })?;
        let plain = fetch(&phone, entry.hash, &[])?;
        ensure(plain.encoding.is_none() && plain.bytes == bytes, || {
            format!("without zstd, {} was answered with {}", entry.hash, plain.shown())
        })?;
    }
    let rows: u64 = chunks.iter().map(|entry| entry.rows).sum();
    Ok(format!("{rows} records in {} chunks, with zstd and without", chunks.len()))
}

fn chunks_are_fetched_by_range(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    world.make(&mut phone, &json!({}))?;
    let chunks = manifest(&phone)?.chunks;
    let Some(entry) = chunks.first() else { return broken("the manifest names no chunk") };
    let zstd = ("accept-encoding", "zstd");
    let whole = fetch(&phone, entry.hash, &[zstd])?;
    let (tag, length) = (whole.header("etag"), whole.bytes.len());
    ensure(whole.status == 200 && !tag.is_empty(), || format!("the chunk came with {} and no ETag", whole.status))?;
    for first in [1, length / 2, length - 1] {
        let range = format!("bytes={first}-");
        let rest = fetch(&phone, entry.hash, &[zstd, ("range", &range), ("if-range", &tag)])?;
        let said = rest.header("content-range");
        ensure(rest.status == 206 && said == format!("bytes {first}-{}/{length}", length - 1), || {
            format!("{range} was answered with {} and Content-Range {said:?}", rest.status)
        })?;
        ensure(rest.bytes == whole.bytes[first..], || format!("{range}: the bytes are others"))?;
    }
    let other = fetch(&phone, entry.hash, &[zstd, ("range", "bytes=1-"), ("if-range", "\"another\"")])?;
    ensure(other.status == 200 && other.bytes == whole.bytes, || {
        format!("a range of what has another tag was answered with {}", other.status)
    })?;
    fetch(&phone, entry.hash, &[zstd, ("range", &format!("bytes={length}-"))])?.refused(416, "bad-range")?;
    Ok(format!("of {length} bytes, from three places to the end, of another tag, and beyond"))
}

fn together(phone: &Phone, hashes: &[ChunkHash]) -> Result<Answer, Unmet> {
    phone.post("/sync/v1/chunks", &json!({"chunks": hashes}))
}

fn several_chunks_come_at_once(world: &mut World) -> Seen {
    const SMALL: u64 = 64 << 10;
    let mut phone = world.phone()?;
    world.make(&mut phone, &json!({}))?;
    let mut chunks = manifest(&phone)?.chunks;
    chunks.sort_by_key(|entry| entry.bytes);
    chunks.retain(|entry| entry.bytes <= SMALL);
    chunks.truncate(3);
    if chunks.is_empty() {
        return Err(Unmet::Unchecked("no chunk of the manifest is small".into()));
    }
    let mut hashes: Vec<ChunkHash> = chunks.iter().map(|entry| entry.hash).collect();
    let mut lines = Vec::new();
    for entry in &chunks {
        lines.extend(bytes_of(&phone, entry)?);
    }
    hashes.insert(1, ChunkHash::of(b"what no server has"));
    let answer = together(&phone, &hashes)?;
    ensure(answer.is_ok() && answer.decoded()? == lines, || {
        format!("of {} chunks and one that there is not came {}", chunks.len(), answer.shown())
    })?;
    let too_many = vec![hashes[0]; MAX_CHUNKS_PER_REQUEST + 1];
    together(&phone, &too_many)?.refused(422, "too-many-chunks")?;
    Ok(format!("{} lines, of a chunk that there is not none; 65 are too many", chunks.len()))
}

fn a_foreign_chunk_is_as_good_as_none(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let (record, _) = world.make(&mut phone, &json!({}))?;
    let (mut other, _) = world.other_in_step()?;
    let hers = manifest(&other)?.chunks;
    let mut sent = Vec::new();
    for entry in &hers {
        let bytes = bytes_of(&other, entry)?;
        sent.extend(read(&bytes)?.rows().map(|row| row.id));
    }
    other.pull()?;
    let hidden = sent.iter().find(|id| !other.records.contains_key(id));
    ensure(hidden.is_none(), || format!("a chunk has {hidden:?}, which no exchange tells its user of"))?;
    let mut foreign = manifest(&phone)?.chunks;
    foreign.retain(|entry| hers.iter().all(|known| known.hash != entry.hash));
    if other.records.contains_key(&record) || foreign.is_empty() {
        return Err(Unmet::Unchecked("the other person sees every record that the first one makes".into()));
    }
    // Each refusal has a number of its own; what it says is what counts.
    let refusal = |hash| -> Result<_, Unmet> {
        let problem = fetch(&other, hash, &[])?.refused(410, "chunk-gone")?;
        Ok((problem.title, problem.detail))
    };
    let absent = refusal(ChunkHash::of(b"what no server has"))?;
    for entry in &foreign {
        let said = refusal(entry.hash)?;
        ensure(said == absent, || format!("a foreign chunk is {said:?}, one that there is not {absent:?}"))?;
    }
    Ok(format!("{} of the first user: each as one that there is not", foreign.len()))
}

/// Chunks of the manifest, each with a record of these that it has.
fn chunks_with(phone: &Phone, records: &[RecordId]) -> Result<Vec<(ChunkEntry, RecordId)>, Unmet> {
    let mut found = Vec::new();
    for entry in manifest(phone)?.chunks {
        let bytes = bytes_of(phone, &entry)?;
        let row = read(&bytes)?.rows().map(|row| row.id).find(|id| records.contains(id));
        found.extend(row.map(|id| (entry, id)));
    }
    Ok(found)
}

fn a_chunk_with_a_deleted_record_is_gone(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let phone = world.phone()?;
    let subject = world.subject().clone();
    // A server may name chunks from before: then they have records of earlier checks.
    world.make(&mut author, &json!({}))?;
    author.pull()?;
    for (entry, record) in chunks_with(&phone, &world.made_of(&subject.entity))? {
        let Some(seq) = author.records.get(&record).map(|told| told.seq) else { continue };
        let mutation = author.mutation(MutationKind::Delete, &subject.entity, record, seq, &json!({}));
        if expect_done(&author.push_one(&mutation)?).is_err() {
            continue;
        }
        fetch(&phone, entry.hash, &[])?.refused(410, "chunk-gone")?;
        if let Some((entry, _)) = chunks_with(&phone, &[record])?.first() {
            return broken(format!("a new manifest has {record}, which was deleted, in {}", entry.hash));
        }
        return Ok(format!("deleted, it took its chunk of {} records along", entry.rows));
    }
    Err(Unmet::Unchecked("no chunk has a record that the suite made and could delete".into()))
}

/// Puts the rows of a chunk into the base of a device that begins.
fn take(phone: &mut Phone, bytes: &[u8]) -> Result<(), Unmet> {
    let chunk = read(bytes)?;
    for row in chunk.rows() {
        let fields = row.fields().or_else(|error| broken(format!("a row cannot be read: {error}")))?;
        let told =
            phone.records.entry(row.id).or_insert_with(|| Told { seq: 0, scopes: Vec::new(), fields: fields.clone() });
        told.scopes.push(chunk.scope);
        if row.seq >= told.seq {
            (told.seq, told.fields) = (row.seq, fields);
        }
    }
    Ok(())
}

/// What a device holds, in an order in which two can be compared.
fn held(phone: &Phone) -> Vec<(RecordId, Told)> {
    let sorted = |(id, told): (&RecordId, &Told)| {
        let mut told = told.clone();
        told.scopes.sort_unstable();
        (*id, told)
    };
    phone.records.iter().map(sorted).collect()
}

fn the_exchange_after_the_chunks_tells_the_rest(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let subject = world.subject().clone();
    let (changed, seq) = world.make(&mut author, &json!({}))?;
    let (deleted, deleted_seq) = world.make(&mut author, &json!({}))?;
    let (early, early_seq) = world.make(&mut author, &json!({}))?;
    let mut phone = world.phone()?;
    let manifest = manifest(&phone)?;
    // Whatever goes between manifest and chunk takes that chunk along: what is deleted later was taken in before.
    for entry in &manifest.chunks {
        let bytes = bytes_of(&phone, entry)?;
        take(&mut phone, &bytes)?;
    }
    let rows = phone.records.len();
    let title = subject.fields(&world.name(), &json!({}));
    let mutations = [
        author.mutation(MutationKind::Update, &subject.entity, changed, seq, &title),
        author.mutation(MutationKind::Delete, &subject.entity, deleted, deleted_seq, &json!({})),
    ];
    for outcome in author.push(&mutations)? {
        expect_done(&outcome)?;
    }
    let (new, new_seq) = world.make(&mut author, &json!({}))?;
    phone.cursor = Some(manifest.cursor);
    let told = phone.pull()?;
    ensure(!phone.records.contains_key(&deleted), || format!("{deleted} was deleted since, and no operation says so"))?;
    for (record, seq) in [(early, early_seq), (new, new_seq)] {
        let known = phone.records.get(&record).map(|told| told.seq);
        ensure(known == Some(seq), || format!("{record} is at {seq}, the device has {known:?}"))?;
    }
    let mut anew = world.phone()?;
    anew.pull()?;
    phone.pull()?;
    let (chunked, exchanged) = (held(&phone), held(&anew));
    let other = chunked
        .iter()
        .find(|one| !exchanged.contains(one))
        .or_else(|| exchanged.iter().find(|one| !chunked.contains(one)));
    ensure(other.is_none(), || format!("a device with chunks and one without differ in {other:?}"))?;
    Ok(format!("{rows} records in chunks, then {} operations: as a first sync by exchanges", told.len()))
}

fn outcomes_come_while_chunks_arrive(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let subject = world.subject().clone();
    let cursor = manifest(&phone)?.cursor;
    phone.cursor = Some(cursor.clone());
    let (name, record) = (world.name(), world.new_record(&subject.entity));
    let mutation = phone.mutation(MutationKind::Create, &subject.entity, record, 0, &subject.fields(&name, &json!({})));
    let answer = phone.exchange(&phone.request(&[mutation]))?.ok()?;
    let outcomes: Vec<sync_protocol::wire::Outcome> = crate::phone::read(&answer, "outcomes")?;
    outcomes.first().map_or_else(|| broken("the mutation has no outcome"), expect_done)?;
    ensure(answer["cursor"] == cursor && answer["operations"] == json!([]), || {
        format!("outcomes alone were asked for, this came: {answer}")
    })?;
    Ok("the outcome came, without operations, and the cursor stayed".into())
}
