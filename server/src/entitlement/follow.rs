//! Follows the files: a volume of Kubernetes puts a new one in the place of the old one, and tells nobody.

use std::path::Path;
use std::sync::Arc;

use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use super::{Entitlements, first_administrator};
use crate::app::App;
use crate::live::Snapshot;
use crate::platform::config;
use crate::platform::error_chain;
use crate::record::catalogue::Catalogue;

/// Follows the files until it is dropped.
#[derive(Debug)]
pub struct Following(Option<AbortHandle>);

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// What holds when the server starts. A file that cannot be read then takes nothing away: the operator sees by the
/// server's health that it is not obeyed.
#[must_use]
pub fn at_start(operator: &config::Operator) -> Entitlements {
    let Some(path) = &operator.entitlements_file else { return Entitlements::default() };
    Entitlements::read(path).unwrap_or_else(|error| {
        tracing::error!(error = %error_chain(&error), "the server starts without entitlements: everything is on");
        Entitlements::default()
    })
}

/// Starts to follow the files that are configured.
#[must_use]
pub fn follow(app: &App) -> Following {
    let operator = &app.config().operator;
    let is_there = operator.entitlements_file.is_some() || operator.first_administrator_dir.is_some();
    warn_of_unknown_modules(&app.catalogue());
    Following(is_there.then(|| tokio::spawn(keep_looking(app.clone())).abort_handle()))
}

async fn keep_looking(app: App) {
    let operator = app.config().operator.clone();
    let (mut entitlements, mut administrator) = (Complaint::default(), Complaint::default());
    let mut looks = tokio::time::interval(operator.look_every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Some(file) = &operator.entitlements_file {
            let obeyed = obey(&app, file).await;
            app.metrics().entitlements_unread(obeyed.is_err());
            entitlements.hear("new entitlements are not obeyed; those of before are", obeyed);
        }
        if let Some(folder) = &operator.first_administrator_dir {
            let made = first_administrator::make_where_nobody_signs_in(&app, folder).await;
            administrator.hear("the first administrator could not be made", made);
        }
    }
}

/// Puts the entitlements of the file in force, where they are others than those that are.
async fn obey(app: &App, file: &Path) -> anyhow::Result<()> {
    let read = Entitlements::read(file)?;
    if *app.entitlements() == read {
        return Ok(());
    }
    // A commit under way would put what it knew back in the place of what is known now.
    let pause = app.writer().pause().await?;
    let snapshot = app.live().snapshot();
    let catalogue = Arc::new(snapshot.catalogue.entitled_to(Arc::new(read)));
    app.live().publish(Snapshot { catalogue: catalogue.clone(), ..snapshot }, app.live().head(), []);
    drop(pause);
    let in_force = &catalogue.entitlements;
    tracing::info!(entitlements.sha256 = in_force.sha256, power = ?in_force.power, "new entitlements are in force");
    warn_of_unknown_modules(&catalogue);
    Ok(())
}

fn warn_of_unknown_modules(catalogue: &Catalogue) {
    for module in catalogue.entitlements.unknown_modules(&catalogue.model) {
        tracing::warn!(module, "the entitlements name a module that this release does not have; it is ignored");
    }
}

/// Says in the log what goes wrong, and not again at every look while it stays the same.
#[derive(Debug, Default)]
struct Complaint(Option<String>);

impl Complaint {
    fn hear(&mut self, what: &'static str, looked: anyhow::Result<()>) {
        let error = looked.err().map(|error| format!("{error:#}"));
        if let Some(error) = error.as_ref().filter(|_| error != self.0) {
            tracing::error!(error, "{what}");
        }
        self.0 = error;
    }
}
