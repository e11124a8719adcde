use std::collections::BTreeMap;

use super::tally::Tally;
use super::{BaseRecord, Batch, Journaled, LayOver, Names, Position, PutRow, Store, StoreOp, lay};
use crate::fault::{Fault, is_seeded};
use crate::id::{RecordId, Sequence};
use crate::wire::chunk::{Chunk, ChunkError};
use crate::wire::{FieldOperation, Fields, MutationKind, Operation};

/// Why a batch could not be applied; the host rolls its transaction back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError<E> {
    /// The storage failed.
    #[error("the device's storage failed")]
    Store(#[source] E),
    /// The server believes that the device holds a record which it does not: the device has to start over.
    #[error("the server sent a change of record {record}, which is not on this device: start over from the server")]
    BaseMissing {
        /// The record.
        record: RecordId,
    },
    /// A chunk has the bytes that its name stands for, and they are no chunk that this device understands.
    #[error("a chunk from the server is of no use: {0}; update this device")]
    Chunk(ChunkError),
}

impl<E> From<E> for ApplyError<E> {
    fn from(error: E) -> Self {
        Self::Store(error)
    }
}

/// Carries out a batch inside the host's transaction, which the host then commits.
///
/// # Errors
///
/// [`ApplyError`]; the host rolls back and hands the engine the failure.
pub fn apply<S: Store>(store: &mut S, batch: &Batch) -> Result<(), ApplyError<S::Error>> {
    let mut position = store.position()?;
    let mut tally = Tally::of(store);
    let store = &mut tally;
    for op in &batch.ops {
        position.follow(op);
        match op {
            StoreOp::OutboxAdd(mutation) => store.add_to_outbox(mutation)?,
            StoreOp::OutboxRemove { mutation, record } => {
                store.remove_from_outbox(*mutation)?;
                remove_if_needless(store, *record)?;
            }
            StoreOp::AttentionAdd(attention) => store.add_attention(attention)?,
            StoreOp::AttentionRemove { mutation } => store.remove_attention(*mutation)?,
            StoreOp::LayOver(over) => lay_over(store, over)?,
            StoreOp::Apply { operations } => apply_page(store, operations, &position)?,
            StoreOp::Stage { operations, .. } | StoreOp::StageMended { operations } => store.push_staged(operations)?,
            StoreOp::ApplyStaged => {
                while let Some(page) = store.pop_staged()? {
                    apply_page(store, &page, &position)?;
                }
            }
            StoreOp::Chunk { bytes, .. } => apply_chunk(store, bytes, position.run())?,
            StoreOp::Checkpoint { sweep, .. } => {
                store.clear_laid()?;
                // Even without a sweep: what this device made and no page has spoken of stands in no held scope.
                let run = if *sweep { position.run() } else { 1 };
                for id in store.bases_before(run)? {
                    leave(store, id)?;
                }
            }
            StoreOp::Reset => {
                store.clear_laid()?;
                while store.pop_staged()?.is_some() {}
            }
            StoreOp::BeginMend { .. } => {
                while store.pop_staged()?.is_some() {}
                doubt_laid(store)?;
                store.recount()?;
            }
            StoreOp::Journal(entry) => store.add_to_journal(entry)?,
            StoreOp::JournalTrim { safe, before_ms } => store.trim_journal(*safe, *before_ms)?,
            StoreOp::Reoffer { mutations, from } => {
                store.take_journal(*from)?;
                for mutation in mutations {
                    store.add_to_outbox(mutation)?;
                }
            }
            StoreOp::OutboxRename(mutation) => {
                store.remove_from_outbox(mutation.id)?;
                store.add_to_outbox(mutation)?;
            }
            StoreOp::Model { names, .. } => rename(store, names)?,
            StoreOp::Manifest { .. } | StoreOp::Compared { .. } | StoreOp::EndMend => {}
        }
    }
    store.put_position(&position)?;
    tally.write()?;
    Ok(())
}

/// The name under which [`Store::put_laid`] remembers that an outcome removed the whole record.
const REMOVED: &str = "";

/// Calls everything that the server said as a new model calls it. Sequences and scopes stay, and the digests with them.
fn rename<S: Store>(store: &mut Tally<S>, names: &Names) -> Result<(), S::Error> {
    if names.are_the_same() {
        return Ok(());
    }
    while store.pop_staged()?.is_some() {}
    let mut renamed = Vec::new();
    let mut entities: BTreeMap<RecordId, String> = BTreeMap::new();
    let laid = store.laid()?;
    store.each_base(&mut |id, record| {
        if let Some(now) = names.record(&record) {
            renamed.push((id, now));
        }
        if laid.contains_key(&id) {
            entities.insert(id, record.entity);
        }
    })?;
    for (id, record) in renamed {
        store.put(id, record)?;
    }
    // What is offered again to a server that lost it is offered by present names.
    for entry in store.journal(0)? {
        if let Some(mutation) = names.mutation(&entry.mutation) {
            store.add_to_journal(&Journaled { mutation, ..entry })?;
        }
    }
    store.clear_laid()?;
    for (id, fields) in laid {
        for (field, seq) in fields {
            let now = entities.get(&id).map_or_else(|| field.clone(), |entity| names.name(entity, &field));
            store.put_laid(id, &now, seq)?;
        }
    }
    Ok(())
}

/// A record that an outcome makes: no operation has said yet where it stands.
fn made(over: &LayOver) -> BaseRecord {
    BaseRecord {
        entity: over.entity.clone(),
        seq: over.seq,
        scopes: Vec::new(),
        fields: Fields::new(),
        hidden: false,
        generation: 0,
    }
}

fn lay_over<S: Store>(store: &mut Tally<S>, over: &LayOver) -> Result<(), S::Error> {
    if over.kind == MutationKind::Delete {
        store.remove(over.record)?;
        return store.put_laid(over.record, REMOVED, over.seq);
    }
    let known = store.base(over.record)?;
    let mut record = match (known, over.kind) {
        // What is older than its own making is what a restored server has lost: the record begins anew.
        (Some(record), MutationKind::Create) if record.seq < over.seq => made(over),
        (Some(record), _) => record,
        (None, MutationKind::Create) => made(over),
        (None, _) => return Ok(()),
    };
    lay(&mut record.fields, &over.set, &over.ops);
    lay(&mut record.fields, &over.server, &[]);
    store.put(over.record, record)?;
    let fields = over.set.keys().chain(over.server.keys()).map(String::as_str);
    for field in fields.chain(over.ops.iter().map(FieldOperation::field)) {
        store.put_laid(over.record, field, over.seq)?;
    }
    Ok(())
}

fn apply_page<S: Store>(
    store: &mut Tally<S>,
    page: &[Operation],
    position: &Position,
) -> Result<(), ApplyError<S::Error>> {
    let laid = store.laid()?;
    for operation in page {
        match operation {
            Operation::Put { entity, id, seq, scopes, partial, set } => {
                let newer = newer_than(&laid, *id, *seq);
                if newer.contains(&REMOVED) {
                    continue;
                }
                let fields = if *partial {
                    let known = store.base(*id)?.ok_or(ApplyError::BaseMissing { record: *id })?;
                    put_over(known.fields, set, &newer)
                } else if newer.is_empty() {
                    set.clone()
                } else {
                    let mut kept = store.base(*id)?.map(|known| known.fields).unwrap_or_default();
                    kept.retain(|field, _| newer.contains(&field.as_str()));
                    put_over(kept, set, &newer)
                };
                let record = BaseRecord {
                    entity: entity.clone(),
                    seq: *seq,
                    scopes: scopes.clone(),
                    fields,
                    hidden: false,
                    generation: position.run(),
                };
                store.put(*id, record)?;
            }
            Operation::Acknowledged { id, seq, scopes } => {
                if newer_than(&laid, *id, *seq).contains(&REMOVED) {
                    continue;
                }
                let known = store.base(*id)?.ok_or(ApplyError::BaseMissing { record: *id })?;
                let (seq, scopes, generation) = (*seq, scopes.clone(), position.run());
                store.put(*id, BaseRecord { seq, scopes, generation, hidden: false, ..known })?;
            }
            Operation::Delete { id, seq } => {
                if !is_made_after(store, *id, *seq)? {
                    store.remove(*id)?;
                }
            }
            Operation::Exit { id, seq } => {
                if !is_made_after(store, *id, *seq)? {
                    leave(store, *id)?;
                }
            }
            Operation::ScopeAdd { .. } => {}
            Operation::ScopeDrop { .. } if is_seeded(Fault::KeepDroppedScope) => {}
            Operation::ScopeDrop { scope } => {
                for id in store.bases_in_scope(*scope)? {
                    if let Some(mut record) = store.base(id)? {
                        record.scopes.retain(|held| held != scope);
                        let is_out = record.scopes.is_empty();
                        store.put(id, record)?;
                        if is_out {
                            leave(store, id)?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Puts a chunk's rows into the base: those of which this run has no later state. A record that stands in several
/// scopes comes with the chunks of each, and their scopes add up; where they differ, it changed since, and the
/// exchange after the chunks brings it whole.
fn apply_chunk<S: Store>(store: &mut Tally<S>, bytes: &[u8], run: u64) -> Result<(), ApplyError<S::Error>> {
    let chunk = Chunk::read(bytes).map_err(ApplyError::Chunk)?;
    let laid = store.laid()?;
    let Some((first, last)) = chunk.range() else { return Ok(()) };
    let mut standings = store.standings(first, last)?;
    for row in chunk.rows() {
        let newer = newer_than(&laid, row.id, row.seq);
        if newer.contains(&REMOVED) {
            continue;
        }
        let former = standings.remove(&row.id);
        let mut scopes = vec![chunk.scope];
        // What an earlier run left says nothing: it may have had other fields, of a server before its restore.
        if let Some(known) = former.as_ref().filter(|known| known.generation == run) {
            scopes.clone_from(&known.scopes);
            if !scopes.contains(&chunk.scope) {
                scopes.push(chunk.scope);
                scopes.sort_unstable();
            }
            if known.seq > row.seq {
                if let Some(record) = store.base(row.id)? {
                    store.put(row.id, BaseRecord { scopes, ..record })?;
                }
                continue;
            }
        }
        let is_new = former.is_none();
        let put = PutRow { entity: &chunk.entity, row, scopes: &scopes, generation: run, is_new };
        if newer.is_empty() {
            store.put_row(&put, former.as_ref())?;
        } else {
            put_beside(store, &put, &newer)?;
        }
    }
    Ok(())
}

/// Puts a row, but for the fields of which a later outcome has told.
fn put_beside<S: Store>(store: &mut Tally<S>, put: &PutRow<'_>, newer: &[&str]) -> Result<(), ApplyError<S::Error>> {
    let mut record = put.to_record().map_err(ApplyError::Chunk)?;
    let mut kept = store.base(put.row.id)?.map(|known| known.fields).unwrap_or_default();
    kept.retain(|field, _| newer.contains(&field.as_str()));
    record.fields = put_over(kept, &record.fields, newer);
    Ok(store.put(put.row.id, record)?)
}

/// Puts `set` over `fields`, except for what a later outcome has said: a page that was cut before it must not undo it.
fn put_over(mut fields: Fields, set: &Fields, newer: &[&str]) -> Fields {
    let older = set.iter().filter(|(field, _)| !newer.contains(&field.as_str()));
    lay(&mut fields, &older.map(|(field, value)| (field.clone(), value.clone())).collect(), &[]);
    fields
}

/// The fields of a record that an outcome laid at a later sequence than `seq`: the page was cut before it.
fn newer_than(laid: &BTreeMap<RecordId, BTreeMap<String, Sequence>>, record: RecordId, seq: Sequence) -> Vec<&str> {
    let fields = laid.get(&record).into_iter().flatten();
    fields.filter(|(_, laid)| **laid > seq).map(|(field, _)| field.as_str()).collect()
}

/// What an outcome laid over a record since the last checkpoint stands there under the record's former sequence, and a
/// restored server may have lost it: only an operation can say what the record is.
fn doubt_laid<S: Store>(store: &mut Tally<S>) -> Result<(), S::Error> {
    for id in store.laid()?.into_keys() {
        if let Some(record) = store.base(id)? {
            store.put(id, BaseRecord { generation: 0, ..record })?;
        }
    }
    store.clear_laid()
}

/// Whether an outcome has made the record since, on a restored server: it is not the one that left.
fn is_made_after<S: Store>(store: &Tally<S>, id: RecordId, seq: Sequence) -> Result<bool, S::Error> {
    Ok(store.base(id)?.is_some_and(|record| record.generation == 0 && record.seq > seq))
}

/// A record leaves the device: at once, or, while the outbox needs it, from sight.
fn leave<S: Store>(store: &mut Tally<S>, id: RecordId) -> Result<(), S::Error> {
    if !store.is_pending(id)? {
        return store.remove(id);
    }
    match store.base(id)? {
        Some(record) => store.put(id, BaseRecord { hidden: true, scopes: Vec::new(), ..record }),
        None => Ok(()),
    }
}

fn remove_if_needless<S: Store>(store: &mut Tally<S>, id: RecordId) -> Result<(), S::Error> {
    if store.base(id)?.is_some_and(|record| record.hidden) && !store.is_pending(id)? {
        store.remove(id)?;
    }
    Ok(())
}
