use std::fmt::Write as _;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write as _};

use axum::body::Body;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use super::job::FileReport;
use crate::app::App;
use crate::platform::http::ApiError;
use crate::platform::http::problem::{BODY_TOO_LARGE, UNREADABLE_BODY};

/// A file that came.
pub(super) struct Upload {
    /// Without a name: it is gone when nobody holds it any more.
    pub(super) file: File,
    /// Its size and hash.
    pub(super) report: FileReport,
}

/// Stores a request's body in the data folder as it comes.
pub(super) async fn receive(app: &App, mut body: Body) -> Result<Upload, ApiError> {
    let limit = app.config().limits.import_bytes;
    let folder = app.config().data_dir.clone();
    let mut file = tempfile::tempfile_in(folder).map_err(anyhow::Error::from)?;
    let mut hash = Sha256::new();
    let mut bytes = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| ApiError::new(UNREADABLE_BODY).detail(format!("The file broke off: {error}.")))?;
        let Ok(data) = frame.into_data() else { continue };
        bytes += data.len() as u64;
        if bytes > limit {
            return Err(ApiError::new(BODY_TOO_LARGE)
                .detail(format!("A file to import has at most {limit} bytes; split it, or raise limits.import_bytes."))
                .fact("limit_bytes", limit));
        }
        hash.update(&data);
        file = tokio::task::spawn_blocking(move || file.write_all(&data).map(|()| file))
            .await
            .map_err(anyhow::Error::from)?
            .map_err(anyhow::Error::from)?;
    }
    file.seek(SeekFrom::Start(0)).map_err(anyhow::Error::from)?;
    let mut sha256 = String::with_capacity(64);
    for byte in hash.finalize() {
        let _ = write!(sha256, "{byte:02x}");
    }
    Ok(Upload { file, report: FileReport { bytes, sha256, ..FileReport::default() } })
}
