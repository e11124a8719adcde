//! The loop: what was heard of is reconciled, each tenant once at a time, a limited number together, and only those whose
//! shard this replica leads.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::cluster::Kind;
use crate::cluster::queue::Queue;
use crate::cluster::retry::pause_before_reconcile;
use crate::cluster::shards::{Shards, shard_of};
use crate::cluster::watch::{Heard, Watches};
use crate::telemetry::{Outcome, Pulse};
use crate::tenant::{Context, Next, reconcile};
use crate::{plan, platform, rollout};

/// Reconciles under way at a time.
const CONCURRENCY: usize = 32;
/// News of one tenant that come within this time are one.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How soon a plan's count of tenants follows: a thousand new tenants are not a thousand writes.
const COUNT_DELAY: Duration = Duration::from_secs(5);
/// How long one reconcile may take in all.
const RECONCILE_LIMIT: Duration = Duration::from_mins(2);

/// How the loop stands with its replica's leader lease.
pub struct Leading {
    /// The shards that this replica may act on.
    pub leads: watch::Receiver<Shards>,
    /// Those that it acts on.
    pub acts: watch::Sender<Shards>,
}

/// Runs until `stop` ends; reconciles that are under way may finish.
pub async fn run(
    context: Arc<Context>,
    namespace: String,
    leading: Leading,
    pulse: Arc<Pulse>,
    stop: impl Future<Output = ()>,
) {
    let (heard_by_all, heard) = mpsc::unbounded_channel();
    let watches = Watches::new(context.cluster.client(), context.index.clone(), heard_by_all);
    let mut running = Controller {
        context,
        watches,
        queue: Queue::default(),
        failures: HashMap::new(),
        tasks: JoinSet::new(),
        running: HashMap::new(),
        watching: HashMap::new(),
        leading,
        pulse,
    };
    running.watch(&namespace);
    tokio::pin!(stop);
    tokio::select! {
        () = running.work(heard) => {}
        () = &mut stop => {}
    }
    running.finish().await;
}

struct Controller {
    context: Arc<Context>,
    watches: Watches,
    queue: Queue<Heard>,
    failures: HashMap<Heard, u32>,
    tasks: JoinSet<Ended>,
    running: HashMap<Heard, AbortHandle>,
    watching: HashMap<Kind, AbortHandle>,
    leading: Leading,
    pulse: Arc<Pulse>,
}

impl Controller {
    fn watch(&mut self, namespace: &str) {
        tokio::spawn(self.watches.clone().definitions());
        tokio::spawn(self.watches.clone().platform(namespace.to_owned()));
        tokio::spawn(self.watches.clone().plans(namespace.to_owned()));
        tokio::spawn(self.watches.clone().rollouts(namespace.to_owned()));
        tokio::spawn(self.watches.clone().tenants(namespace.to_owned()));
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_watched() && !kind.is_foreign()) {
            tokio::spawn(self.watches.clone().children(kind));
        }
    }

    async fn work(&mut self, mut heard: mpsc::UnboundedReceiver<Heard>) {
        // Nothing is reconciled before everything is known: what was not seen yet would look as if it were missing.
        self.watches.ready().await;
        while let Ok(news) = heard.try_recv() {
            self.hear(news);
        }
        self.watches.ready().await;
        self.follow_leadership();
        loop {
            self.start_due();
            self.measure();
            let until_next = self.until_next();
            tokio::select! {
                news = heard.recv() => match news {
                    Some(news) => self.hear(news),
                    None => return,
                },
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => self.end(done),
                changed = self.leading.leads.changed() => match changed {
                    Ok(()) => self.follow_leadership(),
                    Err(_) => return,
                },
                () = tokio::time::sleep(until_next) => {}
            }
        }
    }

    fn measure(&self) {
        let now = self.context.clock.now();
        self.pulse.turn(now);
        let (length, first) = self.queue.overdue(now);
        let oldest = first.map(|first| now.duration_since(first).unsigned_abs()).unwrap_or_default();
        self.context.cluster.metrics().queued(length, oldest);
    }

    fn until_next(&self) -> Duration {
        if self.tasks.len() >= CONCURRENCY {
            return DEBOUNCE;
        }
        let now = self.context.clock.now();
        self.queue.next().map_or(RECONCILE_LIMIT, |when| when.duration_since(now).try_into().unwrap_or_default())
    }

    fn hear(&mut self, news: Heard) {
        let now = self.context.clock.now();
        match news {
            Heard::Tenant(_) | Heard::Rollout(_) => self.queue.add(news, now + DEBOUNCE),
            Heard::Plan(_) => self.queue.add(news, now + COUNT_DELAY),
            Heard::Platform => {
                self.queue.add(Heard::Platform, now);
                self.all_tenants();
                self.all_rollouts();
            }
            Heard::Kind(kind, exists) => {
                self.follow_kind(kind, exists);
                self.queue.add(Heard::Platform, now);
                self.all_tenants();
            }
        }
    }

    fn all_tenants(&mut self) {
        let soon = self.context.clock.now() + DEBOUNCE;
        for tenant in self.context.index.tenants() {
            if let Some(uid) = tenant.uid() {
                self.queue.add(Heard::Tenant(uid), soon);
            }
        }
    }

    fn all_rollouts(&mut self) {
        let now = self.context.clock.now();
        for rollout in self.context.index.rollouts() {
            self.queue.add(Heard::Rollout(rollout.name_any()), now);
        }
    }

    fn follow_kind(&mut self, kind: Kind, exists: bool) {
        if !self.context.note_capability(kind, exists) {
            return;
        }
        if exists {
            let watching = tokio::spawn(self.watches.clone().children(kind));
            self.watching.insert(kind, watching.abort_handle());
        } else {
            if let Some(watching) = self.watching.remove(&kind) {
                watching.abort();
            }
            self.context.index.retain_children(kind, &std::collections::HashSet::new());
        }
    }

    /// What is no longer led is stopped before anybody is told that it is free.
    fn follow_leadership(&mut self) {
        let leads = *self.leading.leads.borrow_and_update();
        let before = *self.leading.acts.borrow();
        for (_, task) in self.running.iter().filter(|(key, _)| !leads.has(shard(key))) {
            task.abort();
        }
        self.leading.acts.send_replace(leads);
        self.context.cluster.metrics().leads(leads);
        if leads != before {
            tracing::info!(shard.count = leads.count(), "leads other shards now");
            self.queue.add(Heard::Platform, self.context.clock.now());
            for plan in self.context.index.plans() {
                self.queue.add(Heard::Plan(plan.name_any()), self.context.clock.now());
            }
            self.all_rollouts();
            self.all_tenants();
        }
    }

    fn start_due(&mut self) {
        let leads = *self.leading.acts.borrow();
        while self.tasks.len() < CONCURRENCY {
            let Some((key, _)) = self.queue.take(self.context.clock.now()) else { return };
            if !leads.has(shard(&key)) {
                self.queue.done(&key);
                continue;
            }
            let work = work_on(self.context.clone(), key.clone());
            let task = self.tasks.spawn(work);
            self.running.insert(key, task);
        }
    }

    fn end(&mut self, done: Result<Ended, tokio::task::JoinError>) {
        let (key, result) = match done {
            Ok(done) => done,
            Err(error) => {
                // Aborted with its shard, or a mistake of ours: whoever leads it then tries it again.
                let id = error.id();
                let Some(key) = self.running.iter().find(|(_, task)| task.id() == id).map(|(key, _)| key.clone())
                else {
                    return;
                };
                (key, Err(error.into()))
            }
        };
        self.running.remove(&key);
        self.queue.done(&key);
        let now = self.context.clock.now();
        match result {
            Ok(Next::After(pause)) => {
                self.failures.remove(&key);
                self.queue.add(key, now + pause);
            }
            Ok(Next::WhenChanged) => {
                self.failures.remove(&key);
            }
            Err(error) => {
                let failures = self.failures.entry(key.clone()).or_default();
                let pause = pause_before_reconcile(*failures);
                *failures += 1;
                tracing::warn!(what = ?key, error = format!("{error:#}"), pause_secs = pause.as_secs(), "a reconcile failed; it is tried again");
                self.queue.add(key, now + pause);
            }
        }
    }

    async fn finish(mut self) {
        while let Some(done) = self.tasks.join_next().await {
            self.end(done);
        }
    }
}

fn shard(key: &Heard) -> u32 {
    match key {
        Heard::Tenant(uid) => shard_of(uid),
        Heard::Plan(name) | Heard::Rollout(name) => shard_of(name),
        Heard::Platform | Heard::Kind(..) => 0,
    }
}

/// What was worked on, and what came of it.
type Ended = (Heard, Result<Next, anyhow::Error>);

async fn work_on(context: Arc<Context>, key: Heard) -> Ended {
    let began = context.clock.now();
    let work = async {
        match &key {
            Heard::Tenant(uid) => reconcile(&context, uid).await,
            Heard::Plan(name) => plan::reconcile(&context, name).await,
            Heard::Rollout(name) => rollout::reconcile(&context, name).await,
            Heard::Platform | Heard::Kind(..) => platform::reconcile(&context).await,
        }
    };
    let (outcome, result) = tokio::select! {
        result = work => match result {
            Ok(next) => (Outcome::done, Ok(next)),
            Err(error) => (Outcome::failed, Err(error.into())),
        },
        () = context.clock.limit(RECONCILE_LIMIT) =>
            (Outcome::timed_out, Err(anyhow::anyhow!("it took longer than {} s", RECONCILE_LIMIT.as_secs()))),
    };
    let took = context.clock.now().duration_since(began).unsigned_abs();
    context.cluster.metrics().reconciled(key.kind(), outcome, took);
    (key, result)
}
