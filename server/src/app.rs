//! The server as a whole: what every slice is handed, and the one place where slices are mounted.

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use crm::model::Model;
use tokio::sync::watch;

use crate::blob::{self, Blobs};
use crate::entitlement::{self, Entitlements};
use crate::exchange::FirstSyncs;
use crate::live::Live;
use crate::live_feed::{self, LiveFeed};
use crate::moves::Moves;
use crate::platform::auth::{Auth, LocalOperator};
use crate::platform::calendar::Calendar;
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::db::Db;
use crate::platform::entropy::Entropy;
use crate::platform::http::{self, BodyLimit};
use crate::platform::telemetry;
use crate::platform::telemetry::metrics::Metrics;
use crate::record::catalogue::Catalogue;
use crate::record::write::{Commit, Writer};
use crate::snapshot::{self, Chunks};
use crate::sync_rules::{self, SyncRules};
use crate::tenant::{self, Tenant};
use crate::user::directory::Directory;
use crate::wake::{self, Wakes};
use crate::{device, exchange, export, horizon, import, model, moves, openapi, record, user};

/// Handle to the running server; cheap to clone.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    db: Db,
    blobs: Blobs,
    live: Arc<Live>,
    live_feed: LiveFeed,
    first_syncs: FirstSyncs,
    writer: Writer,
    moves: Moves,
    sync_rules: SyncRules,
    wakes: Wakes,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
    auth: Auth,
    chunks: Arc<Chunks>,
}

impl App {
    /// Opens the data folder, creating what is missing, and starts the writer. The caller holds the folder's lock.
    ///
    /// # Errors
    /// When the folder or its database cannot be opened, or an overlay in it no longer fits the core model.
    pub async fn open(config: Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> anyhow::Result<Self> {
        let auth = Auth::new(&config.auth)?;
        let blobs = Blobs::open(&config)?;
        let db = Db::open(&config.data_dir.join("cartera.db"), &config.database).await?;
        let mut tx = db.write().await?;
        let (tenant, head) = tenant::open(&mut tx, clock.now_ms(), entropy.as_ref()).await?;
        let model = tenant::model(&mut tx).await?;
        let entitlements = Arc::new(entitlement::at_start(&config.operator));
        let snapshot = model::step::start(model, entitlements, clock.now_ms(), &mut tx).await?;
        exchange::recount_where_missing(&snapshot, &mut tx).await?;
        tx.commit().await?;
        let live = Arc::new(Live::new(snapshot, head));
        let metrics = Metrics::new();
        let folder = config.data_dir.join("chunks");
        let chunks = Arc::new(Chunks::open(&folder, config.snapshot.cache_bytes, metrics.clone())?);
        let calendar = Calendar::new(config.time_zone.clone());
        let queue_bytes = config.limits.writer_queue_bytes;
        let writer = Writer::start(
            db.clone(),
            live.clone(),
            (clock.clone(), calendar),
            entropy.clone(),
            metrics.clone(),
            queue_bytes,
        )
        .await?;
        let first_syncs = FirstSyncs::new(&config, entropy.clone(), metrics.clone());
        tokio::spawn(keep_log_short(db.clone(), writer.commits()));
        let (limits, commits) = (config.blob.clone(), writer.commits());
        tokio::spawn(blob::keep_swept(blobs.clone(), db.clone(), clock.clone(), limits, metrics.clone(), commits));
        let age = config.sync.horizon;
        tokio::spawn(horizon::keep(db.clone(), clock.clone(), age, chunks.clone(), metrics.clone(), writer.commits()));
        let live_feed =
            LiveFeed::start(db.clone(), live.clone(), &tenant, config.live.clone(), &auth.sessions, metrics.clone());
        let moves = Moves::start(db.clone(), live.clone(), writer.clone(), &config.moves, metrics.clone());
        let sync_rules = SyncRules::start(&db, &live, &writer, &clock, &config, &metrics);
        let wakes = Wakes::start(&config.wake, &db, &live, &live_feed, &clock, &entropy, &metrics).await?;
        let inner = Inner {
            config,
            db,
            blobs,
            live,
            live_feed,
            first_syncs,
            writer,
            moves,
            sync_rules,
            wakes,
            tenant,
            clock,
            entropy,
            metrics,
            auth,
            chunks,
        };
        let app = Self { inner: Arc::new(inner) };
        tenant::make_roles(&app).await?;
        Ok(app)
    }

    /// What was configured.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// Where files lie that records name.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// The one that writes records.
    #[must_use]
    pub fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    /// What is moved little by little.
    #[must_use]
    pub fn moves(&self) -> &Moves {
        &self.inner.moves
    }

    /// Which records devices carry.
    #[must_use]
    pub fn sync_rules(&self) -> &SyncRules {
        &self.inner.sync_rules
    }

    /// Devices that are not connected, and are woken.
    #[must_use]
    pub fn wakes(&self) -> &Wakes {
        &self.inner.wakes
    }

    /// Whose data this is.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.inner.tenant
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.inner.clock.as_ref()
    }

    /// Random bytes.
    #[must_use]
    pub fn entropy(&self) -> &dyn Entropy {
        self.inner.entropy.as_ref()
    }

    /// Measurements.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Passwords and sessions.
    #[must_use]
    pub fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    /// What new devices fetch first.
    #[must_use]
    pub fn chunks(&self) -> &Chunks {
        &self.inner.chunks
    }

    /// Model, people, scopes and head, as of the last commit.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.inner.live
    }

    /// What connected devices are told.
    #[must_use]
    pub fn live_feed(&self) -> &LiveFeed {
        &self.inner.live_feed
    }

    /// The lane of devices that do not have anything yet.
    #[must_use]
    pub fn first_syncs(&self) -> &FirstSyncs {
        &self.inner.first_syncs
    }

    /// The model in force, with entity codes and role views.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.live().snapshot().catalogue
    }

    /// The model in force.
    #[must_use]
    pub fn model(&self) -> Arc<Model> {
        self.catalogue().model.clone()
    }

    /// What the tenant is entitled to.
    #[must_use]
    pub fn entitlements(&self) -> Arc<Entitlements> {
        self.catalogue().entitlements.clone()
    }

    /// Who is who.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.live().snapshot().directory
    }

    /// Closes the database; nothing may be asked of the server afterwards.
    pub async fn close(&self) {
        self.live_feed().close();
        self.moves().close();
        self.sync_rules().close();
        self.wakes().close();
        self.inner.db.close().await;
    }
}

/// The whole server as one service.
pub fn router(app: &App) -> Router {
    let timed = http::with_timeout(routes(), app.config().http.request_timeout);
    let routes = timed.merge(untimed_routes()).merge(telemetry::routes::guarded());
    finish(app, routes.route_layer(from_fn_with_state(app.clone(), entitlement::refuse_changes)))
}

/// The whole server for callers within the process, who act as the operator of the machine.
pub fn operator_router(app: &App) -> Router {
    router(app).layer(Extension(LocalOperator::new()))
}

/// What `telemetry.listen` answers: whether the server works and what it measures, without credentials; and to who has
/// the operator's token, how it is.
pub fn telemetry_router(app: &App) -> Router {
    finish(app, telemetry::routes::open().merge(entitlement::routes(&app.config().operator)))
}

/// Every slice's routes.
fn routes() -> Router<App> {
    Router::new()
        .merge(exchange::routes())
        .merge(snapshot::routes())
        .merge(user::routes::routes())
        .merge(device::routes())
        .merge(model::routes::routes())
        .merge(moves::routes())
        .merge(wake::routes())
        .merge(openapi::routes::routes())
        .merge(record::routes::routes())
}

/// Routes that send or receive whole files, or wait for what comes: they may take as long as they take.
fn untimed_routes() -> Router<App> {
    Router::new()
        .merge(live_feed::routes())
        .merge(sync_rules::routes())
        .merge(blob::routes())
        .merge(import::routes::routes())
        .merge(export::routes::routes())
}

fn finish(app: &App, routes: Router<App>) -> Router {
    let limit = Extension(BodyLimit(app.config().limits.body_bytes));
    http::layers(routes.with_state(app.clone()).layer(limit), app.metrics().clone())
}

/// Looks after each commit whether the database's log has grown; ends with the writer.
async fn keep_log_short(db: Db, mut commits: watch::Receiver<Commit>) {
    while commits.changed().await.is_ok() {
        if let Err(error) = db.checkpoint_when_due().await {
            tracing::warn!(%error, "could not copy the database's log back; it grows until the next commit");
        }
    }
}
