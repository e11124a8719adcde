//! Who may have a blob: whoever may see a field that names it.

use serde_json::Value;
use sqlx::SqliteConnection;
use sync_protocol::wire::BlobHash;

use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::ApiError;
use crate::record::read::Reader;
use crate::record::routes::refuse;

/// What a field says of the blob that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The file's name.
    pub(super) name: String,
    /// Its media type, of those that blobs may have.
    pub(super) media_type: String,
}

/// What a field that the caller may see says of the blob; `None` when no such field names it.
///
/// Whoever knows a blob's hash can name it in a record of her own and then fetch it. A hash is as long as a key and
/// stands nowhere but in fields that name it, so she has seen one of those, or has the bytes.
pub(super) async fn named(
    app: &App,
    caller: &Caller,
    hash: BlobHash,
    connection: &mut SqliteConnection,
) -> Result<Option<Named>, ApiError> {
    let fields: Vec<(i64, String)> = sqlx::query_as(
        "SELECT DISTINCT r.entity, u.field FROM blob_use u JOIN record r ON r.id = u.record WHERE u.hash = $1
         ORDER BY r.entity, u.field",
    )
    .bind(&hash.0[..])
    .fetch_all(&mut *connection)
    .await?;
    let catalogue = app.catalogue();
    let reader = Reader::new(catalogue.clone(), caller.rights.clone(), app.clock().now_ms());
    for (entity, field) in fields {
        let Some(entity) = catalogue.name_of(entity) else { continue };
        let record = reader.first_naming_blob(connection, entity, &field, &hash.0).await;
        let Some(record) = record.map_err(|error| refuse(error, caller.language))? else { continue };
        let fields = record.parsed().map_err(ApiError::internal)?;
        if let Some(named) = fields.get(&field).and_then(|value| of_value(value, hash)) {
            return Ok(Some(named));
        }
    }
    Ok(None)
}

fn of_value(value: &Value, hash: BlobHash) -> Option<Named> {
    let files = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let hash = hash.to_string();
    let file = files.iter().find(|file| file["hash"] == hash)?;
    Some(Named { name: file["name"].as_str()?.to_owned(), media_type: file["type"].as_str()?.to_owned() })
}
