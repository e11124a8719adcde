//! `cartera restored`

use clap::Args;
use serde::Serialize;

use super::Context;
use super::output::{Answer, Failure};
use crate::platform::clock::{Clock as _, SystemClock};
use crate::platform::db::Db;
use crate::platform::entropy::SystemEntropy;
use crate::serve::data_folder::DataFolder;
use crate::tenant;

/// Says that the data folder was restored from a backup, before its server starts again
#[derive(Args, Debug)]
#[command(
    long_about = "Says that the data folder was restored from a backup, before its server starts again.\n\nDevices then compare what they hold with the restored data, and offer again what it has lost. Without it they would \
                  meet the same numbers for other changes. Refused while a server works on the folder.",
    after_help = "Example:\n  cartera restored --data ./cartera-data"
)]
pub(super) struct Arguments {}

#[derive(Serialize)]
struct Declared {
    epoch: u64,
    restored_head: u64,
    head: u64,
}

pub(super) async fn run(_arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    let folder = DataFolder::lock(&context.config.data_dir).map_err(anyhow::Error::from)?;
    let path = folder.path().join("cartera.db");
    let db = Db::open(&path, &context.config.database).await.map_err(anyhow::Error::from)?;
    let declared = tenant::declare_restored(&db, SystemClock.now_ms(), &SystemEntropy).await;
    db.close().await;
    let tenant::Restored { epoch, restored_head, head } = declared?;
    let text = format!(
        "{} is of epoch {epoch} now: what was lost after sequence {restored_head} is offered again by the devices that have it. \
         Start the server.",
        context.config.data_dir.display()
    );
    Ok(Answer::new(Declared { epoch, restored_head, head }, text))
}
