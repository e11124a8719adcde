//! The whole tenant in one ZIP archive: every entity's records as CSV, the model, the overlays, and a manifest.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::csv::Lines;
use super::rows::Rows;
use super::{ExportQuery, Links};
use crate::app::App;
use crate::user::rights::Rights;

/// Writes the archive; what it holds of each entity is one state of the database.
pub(super) async fn write(app: App, rights: Arc<Rights>, file: File) -> anyhow::Result<File> {
    let overlays: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT position, name, yaml FROM model_layer ORDER BY position")
            .fetch_all(app.db().readers())
            .await?;
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut archive = Archive { zip: ZipWriter::new(file), runtime };
        let mut entities = Vec::new();
        for entity in rights.view.model.entities.values() {
            entities.push(archive.entity(&app, &rights, &entity.name)?);
        }
        archive.file("model.json", app.model().to_json().as_bytes())?;
        for (position, name, yaml) in overlays {
            archive.file(&format!("overlays/{position:03}-{name}.yaml"), yaml.as_bytes())?;
        }
        let manifest = json!({
            "format": 1,
            "tenant": app.tenant().id,
            "exported_ms": app.clock().now_ms(),
            "head": app.live().head(),
            "model": app.model().hash,
            "entities": entities,
        });
        archive.file("manifest.json", serde_json::to_string_pretty(&manifest)?.as_bytes())?;
        let mut file = archive.zip.finish()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    })
    .await?
}

struct Archive {
    zip: ZipWriter<File>,
    runtime: Handle,
}

impl Archive {
    fn file(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.zip.start_file(name, SimpleFileOptions::default().large_file(true))?;
        self.zip.write_all(bytes)?;
        Ok(())
    }

    /// Writes an entity's records and returns what the manifest says of them.
    fn entity(&mut self, app: &App, rights: &Arc<Rights>, name: &str) -> anyhow::Result<Value> {
        let Some(entity) = rights.view.model.entity(name) else { return Ok(Value::Null) };
        let query = ExportQuery { links: Links::Ids, ..ExportQuery::default() };
        let opened = Rows::open(app, rights.clone(), entity, &query, true);
        let mut rows = self.runtime.block_on(opened)?;
        let path = format!("records/{name}.csv");
        let lines = Lines::new(rows.style());
        let mut hash = Sha256::new();
        let mut count = 0;
        let head = lines.head(rows.columns())?;
        hash.update(&head);
        self.file(&path, &head)?;
        while let Some(page) = self.runtime.block_on(rows.next())? {
            count += page.len();
            let bytes = lines.rows(&page)?;
            hash.update(&bytes);
            self.zip.write_all(&bytes)?;
        }
        let sha256 = hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        Ok(json!({"entity": name, "file": path, "records": count, "sha256": sha256}))
    }
}
