//! What a device keeps, in one SQLite file and a folder of files beside it: the server's state of its records, the outbox laid over it, what needs
//! attention, how far it has come, the model, and whose device it is.
//!
//! SQL is here and nowhere else in this crate; whoever seals the store changes this folder only.

mod blobs;
mod error;
mod file;
mod identity;
mod json;
mod plan;
mod read;
mod words;
mod write;

use std::collections::BTreeMap;

use crm::model::Entity;
use rusqlite::{Connection, OptionalExtension, params};
use sync_protocol::id::RecordId;
use sync_protocol::store::{ApplyError, BaseRecord, Batch, Found, Query, Saved, StoreOp, View, apply, look_up};

use error::Attempt;
use write::{Durability, Writing};

pub use blobs::{BlobFiles, BlobFolder};
pub use error::StorageError;
pub use file::Home;
pub use identity::Identity;
pub use plan::{IndexPlan, Indexed, matches, query_words};
pub use read::Condition;

/// The model as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredModel {
    /// As the server names it.
    pub hash: String,
    /// As the server sent it.
    pub json: String,
    /// How records are found under it.
    pub plan: IndexPlan,
}

/// A device's store.
pub struct DeviceStore {
    connection: Connection,
    plan: IndexPlan,
    /// Held while the store is open; none for a store in memory.
    _home: Option<Home>,
}

impl DeviceStore {
    /// Opens the store in a folder, making it where there is none.
    ///
    /// # Errors
    /// When the file cannot be opened, or is of a later version.
    pub fn open(home: Home) -> Result<Self, StorageError> {
        let connection = home.connect()?;
        Self::over(connection, Some(home))
    }

    /// A store that lasts as long as the program.
    ///
    /// # Errors
    /// When its tables cannot be made.
    pub fn in_memory() -> Result<Self, StorageError> {
        let mut connection = Connection::open_in_memory().attempting("open")?;
        file::prepare(&mut connection)?;
        Self::over(connection, None)
    }

    fn over(connection: Connection, home: Option<Home>) -> Result<Self, StorageError> {
        let plan: Option<String> = connection
            .query_row("SELECT plan FROM model", [], |row| row.get(0))
            .optional()
            .attempting("read the index plan")?;
        let plan = plan.map_or_else(|| Ok(IndexPlan::default()), |plan| json::read(&plan, || "model.plan".into()))?;
        Ok(Self { connection, plan, _home: home })
    }

    /// Whose device this is; none before it is enrolled.
    ///
    /// # Errors
    /// When the storage fails; likewise in every other method here.
    pub fn identity(&self) -> Result<Option<Identity>, StorageError> {
        identity::read(&self.connection)
    }

    /// Makes this the device of somebody, or gives it the new token of the same user.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn enrol(&mut self, identity: &Identity) -> Result<(), StorageError> {
        identity::write(&self.connection, identity)
    }

    /// The model that the device holds.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn model(&self) -> Result<Option<StoredModel>, StorageError> {
        let row: Option<(String, String)> = self
            .connection
            .query_row("SELECT hash, json FROM model", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .attempting("read the model")?;
        Ok(row.map(|(hash, json)| StoredModel { hash, json, plan: self.plan.clone() }))
    }

    /// How records are found now.
    #[must_use]
    pub fn plan(&self) -> &IndexPlan {
        &self.plan
    }

    /// What the engine goes on from.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn saved(&self) -> Result<Saved, StorageError> {
        read::saved(&self.connection)
    }

    /// Answers a question of the engine.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn look_up(&self, query: &Query) -> Result<Found, StorageError> {
        look_up(&Writing::new(&self.connection, &self.plan), query)
    }

    /// Carries out a batch wholly or not at all; `model` goes with a batch that says that the device holds it.
    ///
    /// # Errors
    /// When the batch does not fit what the device holds, or the storage fails: nothing has changed then.
    pub fn commit(&mut self, batch: &Batch, model: Option<&StoredModel>) -> Result<(), ApplyError<StorageError>> {
        self.connection.execute_batch(Durability::of(batch).pragma()).attempting("choose its durability")?;
        let transaction = self.connection.transaction().attempting("begin a transaction")?;
        let named = batch.ops.iter().any(|op| matches!(op, StoreOp::Model { .. }));
        let model = model.filter(|_| named);
        let plan = model.map_or(&self.plan, |model| &model.plan);
        if let Some(model) = model {
            let sql = "INSERT OR REPLACE INTO model (only_row, hash, json, plan) VALUES (1, ?1, ?2, ?3)";
            let values = params![model.hash, model.json, json::write(&model.plan)];
            transaction.execute(sql, values).attempting("keep the model")?;
            if model.plan != self.plan {
                write::reindex(&transaction, plan)?;
            }
        }
        apply(&mut Writing::new(&transaction, plan), batch)?;
        transaction.commit().attempting("commit")?;
        if let Some(model) = model {
            self.plan = model.plan.clone();
        }
        Ok(())
    }

    /// The server's state of a record, hidden or not.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn base(&self, id: RecordId) -> Result<Option<BaseRecord>, StorageError> {
        read::base(&self.connection, id)
    }

    /// A record as the person sees it.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn view(&self, id: RecordId) -> Result<Option<View>, StorageError> {
        read::view(&self.connection, id)
    }

    /// The records that the outbox is about, as the person sees them.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn pending(&self) -> Result<Vec<View>, StorageError> {
        read::pending(&self.connection)
    }

    /// Hands each record of an entity that the outbox is not about to `each`, by title, at most `limit`.
    ///
    /// # Errors
    /// When the condition cannot be asked, the storage or `each` fails.
    pub fn settled(
        &self,
        entity: &Entity,
        condition: Option<Condition>,
        limit: Option<usize>,
        each: &mut dyn FnMut(View) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        read::settled(&self.connection, entity, condition, limit, each)
    }

    /// The records that the outbox is not about and that have words beginning so (see [`query_words`]).
    ///
    /// # Errors
    /// When the storage fails.
    pub fn search(&self, words: &[String], limit: usize) -> Result<Vec<View>, StorageError> {
        read::search(&self.connection, words, limit)
    }

    /// The records that the outbox is not about and whose folded title is this.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn titled(&self, entity: &str, folded: &str) -> Result<Vec<RecordId>, StorageError> {
        read::titled(&self.connection, entity, folded)
    }

    /// How large the device's data are.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn size_bytes(&self) -> Result<u64, StorageError> {
        read::size_bytes(&self.connection)
    }

    /// How many records there are of each entity that the outbox is not about.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>, StorageError> {
        read::counts(&self.connection)
    }
}
