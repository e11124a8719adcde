//! Photos that a file carries become blobs: stored before the records that name them, and gone again when those are
//! not kept.

use crm::model::{Entity, FieldKind};
use sync_protocol::wire::BlobHash;

use super::super::mapping::Layout;
use super::super::plan::RowProblem;
use super::super::read::{Cell, InnerFile, Row};
use super::super::value::Trouble;
use crate::app::App;
use crate::blob::{self, StoreError};
use crate::record::write::{BulkWrite, WriteError};

/// The column of a file of cards that has them.
const COLUMN: &str = "photo";

/// What becomes of the photos of one import.
pub(super) struct Photos {
    app: App,
    /// A dry run stores nothing.
    is_dry: bool,
    /// The most bytes that one may have; none where they go nowhere.
    limit_bytes: Option<u64>,
    /// How many bytes there is room for; none before the first photo.
    room_bytes: Option<u64>,
    stored: Vec<BlobHash>,
}

impl Photos {
    pub(super) fn new(app: &App, entity: &Entity, layout: &Layout, is_dry: bool) -> Self {
        let is_wanted = layout.columns.iter().any(|plan| plan.name == COLUMN && !plan.targets.is_empty());
        let limits = entity.fields.values().filter_map(|field| match field.kind {
            FieldKind::Blob { max, .. } | FieldKind::Blobs { max, .. } => Some(max),
            _ => None,
        });
        let limit_bytes = limits.min().filter(|_| is_wanted).map(|limit| limit.min(app.config().blob.max_bytes));
        Self { app: app.clone(), is_dry, limit_bytes, room_bytes: None, stored: Vec::new() }
    }

    /// Stores the photos of a row; takes those out of it that are not kept, and says why.
    pub(super) async fn take(&mut self, row: &mut Row, bulk: &mut BulkWrite) -> Result<Vec<RowProblem>, WriteError> {
        let mut told = Vec::new();
        let Some(limit_bytes) = self.limit_bytes else { return Ok(told) };
        for cell in &mut row.cells {
            let Cell::Blob(file) = cell else { continue };
            let refused = if file.bytes.len() as u64 > limit_bytes {
                Some(too_large(limit_bytes))
            } else {
                self.keep(file, bulk).await?
            };
            if let Some(trouble) = refused {
                told.push(RowProblem::error(trouble, Some(COLUMN), COLUMN, &file.name).into_warning());
                *cell = Cell::Empty;
            }
        }
        Ok(told)
    }

    async fn keep(&mut self, file: &InnerFile, bulk: &mut BulkWrite) -> Result<Option<Trouble>, WriteError> {
        let (hash, bytes) = (file.hash, file.bytes.len() as u64);
        let (known, total) = bulk
            .run(move |connection| {
                Box::pin(async move {
                    let known = blob::stored_bytes(&mut *connection, hash).await?;
                    Ok((known.is_some(), blob::total_bytes(connection).await?))
                })
            })
            .await?;
        if known || self.stored.contains(&hash) {
            return Ok(None);
        }
        let quota_bytes = self.app.config().blob.quota_bytes;
        // A dry run writes nothing that the next photo would find.
        let room_bytes = self.room_bytes.unwrap_or_else(|| quota_bytes.saturating_sub(total));
        let Some(room_bytes) = room_bytes.checked_sub(bytes) else { return Ok(Some(no_room())) };
        self.room_bytes = Some(room_bytes);
        self.stored.push(hash);
        if self.is_dry {
            return Ok(None);
        }
        self.app.blobs().store().put_bytes(hash, file.bytes.clone()).await.map_err(unstored)?;
        let now_ms = self.app.clock().now_ms();
        bulk.run(move |connection| Box::pin(blob::note_stored(connection, hash, bytes, now_ms))).await?;
        Ok(None)
    }

    /// Removes what was stored for records that are not kept.
    pub(super) async fn take_back(self) -> Result<(), WriteError> {
        if self.is_dry {
            return Ok(());
        }
        for hash in self.stored {
            let removed = blob::remove_unrecorded(self.app.blobs(), self.app.db(), hash).await;
            if let Err(error) = removed {
                let error = crate::platform::error_chain(&error);
                tracing::warn!(error, blob.hash = %hash, "a photo of a refused import stays until blobs are swept");
            }
        }
        Ok(())
    }
}

fn unstored(error: StoreError) -> WriteError {
    sqlx::Error::Io(std::io::Error::other(error)).into()
}

fn too_large(limit_bytes: u64) -> Trouble {
    Trouble::new(
        "photo-not-kept",
        format!("La foto es demasiado grande y no se guarda: {limit_bytes} bytes como mucho."),
        format!("The photo is too large and is not kept: at most {limit_bytes} bytes."),
    )
}

fn no_room() -> Trouble {
    Trouble::new(
        "photo-not-kept",
        "No queda sitio para la foto: un administrador puede subir blob.quota_bytes.",
        "There is no room for the photo: an administrator can raise blob.quota_bytes.",
    )
}
