//! Takes an import back, as far as nobody built on it: what it made is deleted and what it changed is as before.
//!
//! An import has its transaction to itself, so its rows in `history` say all that it did. Undoing reads them backwards,
//! the way a film runs back: a link that was set last is cleared first, and what was made last goes first.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crm::Fields;
use crm::model::{FieldKind, Language, MergeClass, Model};
use crm::rules::{Gaps, title};
use serde_json::Value;
use sqlx::{QueryBuilder, Sqlite};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{MutationKind, Verdict};
use uuid::Uuid;

use super::job::{ImportJob, Kept, State, UndoReport};
use crate::app::App;
use crate::record::catalogue::Catalogue;
use crate::record::write::{Author, BulkWrite, Change, Decision, WriteError};

/// Rows of history that are taken back at once.
const PAGE_ROWS: i64 = 1_000;

/// One thing that the import did.
#[derive(Debug, sqlx::FromRow)]
struct Effect {
    num: i64,
    record: Uuid,
    kind: String,
    field: String,
    old: Option<String>,
}

/// What is stored of a record.
struct Standing {
    entity: String,
    fields: Fields,
}

struct Undoing {
    bulk: BulkWrite,
    catalogue: Arc<Catalogue>,
    language: Language,
    /// History before which changes are not the undo's own.
    now: i64,
    /// The import's last row.
    to: i64,
    report: UndoReport,
    restored: HashSet<RecordId>,
}

/// Takes back the import whose rows of history lie after `from`, up to `to`.
///
/// # Errors
/// When nothing could be written; then nothing is taken back.
pub async fn undo(app: &App, author: Author, mut job: ImportJob, from: i64, to: i64) -> Result<ImportJob, WriteError> {
    let language = author.language;
    let mut bulk = app.writer().bulk(author, Gaps::Keep).await?;
    let now = super::run::last_history(&mut bulk).await?;
    let report = UndoReport::default();
    let catalogue = app.catalogue();
    let mut undoing = Undoing { bulk, catalogue, language, now, to, report, restored: HashSet::new() };
    let mut before = to + 1;
    loop {
        let page = undoing.page(from, before).await?;
        let Some(first) = page.last() else { break };
        before = first.num;
        undoing.take_back(page).await?;
    }
    let Undoing { mut bulk, mut report, restored, .. } = undoing;
    report.restored = restored.len() as u64;
    job.state = State::Undone;
    job.undo = Some(report);
    let stored = job.clone();
    bulk.run(move |connection| Box::pin(async move { stored.store(from, to, connection).await })).await?;
    bulk.commit().await?;
    Ok(job)
}

impl Undoing {
    /// What the import did last before `before`, the latest first.
    async fn page(&mut self, from: i64, before: i64) -> Result<Vec<Effect>, WriteError> {
        self.bulk
            .run(move |connection| {
                Box::pin(async move {
                    sqlx::query_as(
                        "SELECT num, record, kind, field, old FROM history
                         WHERE num > $1 AND num < $2 ORDER BY num DESC LIMIT $3",
                    )
                    .bind(from)
                    .bind(before)
                    .bind(PAGE_ROWS)
                    .fetch_all(connection)
                    .await
                })
            })
            .await
    }

    async fn take_back(&mut self, page: Vec<Effect>) -> Result<(), WriteError> {
        let records: BTreeSet<Uuid> = page.iter().map(|effect| effect.record).collect();
        let standing = self.standing(&records).await?;
        let later = self.changed_since(&records).await?;
        let model = self.catalogue.model.clone();
        let mut changes = Vec::new();
        for mut effect in page {
            let id = RecordId(effect.record);
            let Some(record) = standing.get(&id) else { continue };
            effect.field = now_called(&model, &record.entity, &effect.field);
            match effect.kind.as_str() {
                "made" if is_written_by_server(&model, &record.entity) => {}
                "made" => match later.get(&id).and_then(|fields| people_change(&model, record, fields)) {
                    Some(field) => self.keep(&model, id, record, Some(field), changed_since(self.language)),
                    None => changes.push(deletion(&record.entity, id)),
                },
                "changed" if is_people_field(&model, &record.entity, &effect.field) => {
                    if later.get(&id).is_some_and(|fields| {
                        names_of(&model, &record.entity, &effect.field).any(|name| fields.contains(name))
                    }) {
                        self.keep(&model, id, record, Some(effect.field), changed_since(self.language));
                    } else {
                        changes.push(restoration(&record.entity, id, effect));
                    }
                }
                _ => {}
            }
        }
        let asked: Vec<(MutationKind, RecordId)> = changes.iter().map(|change| (change.kind, change.record)).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let decisions = self.bulk.write(changes).await?;
        for ((kind, id), decision) in asked.into_iter().zip(decisions) {
            self.hear(&model, kind, id, decision, standing.get(&id));
        }
        Ok(())
    }

    fn hear(&mut self, model: &Model, kind: MutationKind, id: RecordId, decision: Decision, record: Option<&Standing>) {
        let is_done = !matches!(decision.verdict, Verdict::Rejected | Verdict::Deferred);
        match (is_done, kind) {
            (true, MutationKind::Delete) => {
                self.report.deleted += 1;
                self.restored.remove(&id);
            }
            (true, _) => drop(self.restored.insert(id)),
            (false, _) => {
                let Some((reason, record)) = decision.reason.zip(record) else { return };
                // It went with another that was deleted.
                if reason.code != "not-found" {
                    self.keep(model, id, record, None, reason.message);
                }
            }
        }
    }

    fn keep(&mut self, model: &Model, id: RecordId, record: &Standing, field: Option<String>, reason: String) {
        let title = model.entity(&record.entity).map(|entity| title(entity, &record.fields)).unwrap_or_default();
        self.report.kept.push(Kept { entity: record.entity.clone(), id, title, field, reason });
    }

    async fn standing(&mut self, records: &BTreeSet<Uuid>) -> Result<HashMap<RecordId, Standing>, WriteError> {
        let rows: Vec<(Uuid, i64, String)> =
            self.among("SELECT id, entity, body FROM record WHERE id IN (", ")", records).await?;
        let mut standing = HashMap::new();
        for (id, entity, body) in rows {
            let fields = serde_json::from_str(&body).map_err(|error| sqlx::Error::Decode(error.into()))?;
            let entity = self.catalogue.name_of(entity).unwrap_or_default().to_owned();
            standing.insert(RecordId(id), Standing { entity, fields });
        }
        Ok(standing)
    }

    /// By record: the fields that were changed after the import.
    async fn changed_since(
        &mut self,
        records: &BTreeSet<Uuid>,
    ) -> Result<HashMap<RecordId, BTreeSet<String>>, WriteError> {
        let end = format!(") AND num > {} AND num <= {} AND kind = 'changed'", self.to, self.now);
        let rows: Vec<(Uuid, String)> =
            self.among("SELECT record, field FROM history WHERE record IN (", &end, records).await?;
        let mut later: HashMap<RecordId, BTreeSet<String>> = HashMap::new();
        for (record, field) in rows {
            later.entry(RecordId(record)).or_default().insert(field);
        }
        Ok(later)
    }

    async fn among<T>(&mut self, start: &'static str, end: &str, ids: &BTreeSet<Uuid>) -> Result<Vec<T>, WriteError>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin + 'static,
    {
        let (ids, end) = (ids.clone(), end.to_owned());
        self.bulk
            .run(move |connection| {
                Box::pin(async move {
                    let mut query = QueryBuilder::<Sqlite>::new(start);
                    let mut values = query.separated(", ");
                    for id in ids {
                        values.push_bind(id);
                    }
                    query.push(end);
                    query.build_query_as().persistent(false).fetch_all(connection).await
                })
            })
            .await
    }
}

fn deletion(entity: &str, record: RecordId) -> Change {
    let entity = entity.to_owned();
    Change { kind: MutationKind::Delete, entity, record, base: None, set: Fields::new(), ops: Vec::new() }
}

fn restoration(entity: &str, record: RecordId, effect: Effect) -> Change {
    let old = effect.old.and_then(|old| serde_json::from_str(&old).ok()).unwrap_or(Value::Null);
    let entity = entity.to_owned();
    let set = Fields::from([(effect.field, old)]);
    Change { kind: MutationKind::Update, entity, record, base: None, set, ops: Vec::new() }
}

/// What a field of the import's time is called now.
fn now_called(model: &Model, entity: &str, field: &str) -> String {
    model.entity(entity).and_then(|entity| entity.now_called(field)).unwrap_or(field).to_owned()
}

/// All that a field is or was called: the history has each change under the name of its time.
fn names_of<'m>(model: &'m Model, entity: &str, field: &'m str) -> impl Iterator<Item = &'m str> {
    let was = model.entity(entity).and_then(|entity| entity.field(field)).map_or(&[][..], |field| &field.was);
    std::iter::once(field).chain(was.iter().map(String::as_str))
}

/// Records that the server makes beside others, such as passages of stages: they go with those.
fn is_written_by_server(model: &Model, entity: &str) -> bool {
    let fields = model.entities.values().flat_map(|entity| entity.fields.values());
    fields
        .into_iter()
        .any(|field| matches!(&field.kind, FieldKind::Stage { history: Some(history), .. } if history == entity))
}

/// Whether people change the field: the others follow by themselves.
fn is_people_field(model: &Model, entity: &str, field: &str) -> bool {
    model
        .entity(entity)
        .and_then(|entity| entity.field(field))
        .is_some_and(|field| field.expr.is_none() && !matches!(field.merge, MergeClass::Server | MergeClass::Derived))
}

fn people_change(model: &Model, record: &Standing, fields: &BTreeSet<String>) -> Option<String> {
    let now = fields.iter().map(|field| now_called(model, &record.entity, field));
    now.into_iter().find(|field| is_people_field(model, &record.entity, field))
}

fn changed_since(language: Language) -> String {
    match language {
        Language::Es => "Se cambió después de la importación.".into(),
        Language::En => "It was changed after the import.".into(),
    }
}
