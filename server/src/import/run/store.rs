//! What an import reads and writes in its transaction beside records.

use std::collections::{BTreeSet, HashMap};

use crm::Fields;
use crm::model::{Entity, FieldKind, Model};
use crm::rules::Place;
use sqlx::{QueryBuilder, Sqlite};
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::super::job::ImportJob;
use super::super::mapping::{Goal, Layout, Target};
use super::super::plan::Index;
use crate::app::App;
use crate::record::write::{Author, BulkWrite, WriteError};

/// Records that are read at once.
const PAGE_ROWS: i64 = 1_000;

/// The last row of `history` that this transaction sees.
pub(in crate::import) async fn last_history(bulk: &mut BulkWrite) -> Result<i64, WriteError> {
    bulk.run(|connection| {
        Box::pin(
            async move { sqlx::query_scalar("SELECT coalesce(max(num), 0) FROM history").fetch_one(connection).await },
        )
    })
    .await
}

/// Stores the import and makes it durable with all that it wrote.
pub(super) async fn commit(mut bulk: BulkWrite, job: &ImportJob, from: i64) -> Result<(), WriteError> {
    let to = last_history(&mut bulk).await?;
    let job = job.clone();
    bulk.run(move |connection| Box::pin(async move { job.store(from, to, connection).await })).await?;
    bulk.commit().await?;
    Ok(())
}

/// The indexes of the imported entity and of every entity that a column links to, of the records that the author may
/// read.
pub(super) async fn indexes(
    bulk: &mut BulkWrite,
    app: &App,
    author: &Author,
    model: &Model,
    layout: &Layout,
) -> Result<HashMap<String, Index>, WriteError> {
    let catalogue = app.catalogue();
    let mut indexes = HashMap::new();
    for name in entities(model, layout) {
        let (Some(entity), Some((_, code))) = (model.entity(&name), catalogue.entity(&name)) else { continue };
        let mut index = Index::default();
        let mut after = 0;
        loop {
            let page = page(bulk, code, after).await?;
            let Some(last) = page.last() else { break };
            after = last.0;
            for (_, id, fields) in &page {
                if author.rights.sees(&name, &Place::of(fields)) {
                    index.add(entity, *id, fields);
                }
            }
        }
        indexes.insert(name, index);
    }
    Ok(indexes)
}

async fn page(bulk: &mut BulkWrite, entity: i64, after: i64) -> Result<Vec<(i64, RecordId, Fields)>, WriteError> {
    let rows: Vec<(i64, Uuid, String)> = bulk
        .run(move |connection| {
            Box::pin(async move {
                sqlx::query_as("SELECT seq, id, body FROM record WHERE entity = $1 AND seq > $2 ORDER BY seq LIMIT $3")
                    .bind(entity)
                    .bind(after)
                    .bind(PAGE_ROWS)
                    .fetch_all(connection)
                    .await
            })
        })
        .await?;
    rows.into_iter().map(|(seq, id, body)| Ok((seq, RecordId(id), fields(&body)?))).collect()
}

/// What is stored of these records.
pub(super) async fn bodies(
    bulk: &mut BulkWrite,
    ids: BTreeSet<RecordId>,
) -> Result<HashMap<RecordId, Fields>, WriteError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Uuid, String)> = bulk
        .run(move |connection| {
            Box::pin(async move {
                let mut query = QueryBuilder::<Sqlite>::new("SELECT id, body FROM record WHERE id IN (");
                let mut values = query.separated(", ");
                for id in ids {
                    values.push_bind(id.0);
                }
                query.push(")");
                query.build_query_as().persistent(false).fetch_all(connection).await
            })
        })
        .await?;
    rows.into_iter().map(|(id, body)| Ok((RecordId(id), fields(&body)?))).collect()
}

fn fields(body: &str) -> Result<Fields, WriteError> {
    serde_json::from_str(body).map_err(|error| sqlx::Error::Decode(error.into()).into())
}

/// The imported entity, and all that columns and constants link to.
fn entities(model: &Model, layout: &Layout) -> BTreeSet<String> {
    let mut names = BTreeSet::from([layout.entity.clone()]);
    let Some(root) = model.entity(&layout.entity) else { return names };
    let columns = layout.columns.iter().flat_map(|plan| &plan.targets);
    for target in columns.chain(layout.constants.iter().map(|(target, _)| target)) {
        names.extend(linked_by(root, model, target));
    }
    names
}

fn linked_by(root: &Entity, model: &Model, target: &Target) -> Vec<String> {
    let mut names = Vec::new();
    let mut entity = root;
    let last = match &target.goal {
        Goal::Link { field } => Some(field),
        Goal::Field { .. } | Goal::Id => None,
    };
    for link in target.path.iter().chain(last) {
        let targets = match entity.field(link).map(|field| &field.kind) {
            Some(FieldKind::Link { to }) => to.clone(),
            Some(FieldKind::Links { to }) => vec![to.clone()],
            _ => Vec::new(),
        };
        let next = targets.first().and_then(|name| model.entity(name));
        names.extend(targets);
        match next {
            Some(next) => entity = next,
            None => break,
        }
    }
    names
}
