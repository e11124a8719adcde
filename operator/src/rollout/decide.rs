//! What follows from how far everybody is.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::progress::{Progress, Standing, current_wave, duration, is_given};
use super::window::Window;
use crate::cluster::conditions::Finding;
use crate::crd::{Approval, FleetRollout, OnFailure, RolloutCounts, RolloutState, Tenant, Wave};
use crate::tenant::Next;

/// Has the name of the wave that somebody lets begin.
pub(super) const APPROVED_WAVE: &str = "cartera.dev/approved-wave";
/// How soon it is looked again at tenants that are on their way.
const SOON: Duration = Duration::from_secs(5);
/// How often it is looked at tenants that are watched, and whether a failed one has recovered.
const NOW_AND_THEN: Duration = Duration::from_mins(1);

/// What follows.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    /// Who is given the image now.
    pub start: Vec<Arc<Tenant>>,
    /// Who is given its former image back, and which that is.
    pub give_back: Vec<(Arc<Tenant>, String)>,
    /// The number of the wave that is under way.
    pub wave: usize,
    /// Since when all of it are done.
    pub soaking_since: Option<Timestamp>,
    /// What the roll-out is doing.
    pub state: RolloutState,
    /// Why, in one word, and what to do.
    pub why: (&'static str, String),
    /// When to look again.
    pub next: Next,
}

impl Decision {
    fn of(wave: usize, state: RolloutState, reason: &'static str, message: impl Into<String>, next: Next) -> Self {
        let why = (reason, message.into());
        Self { start: Vec::new(), give_back: Vec::new(), wave, soaking_since: None, state, why, next }
    }

    /// The same, with nothing done yet.
    pub(super) fn without_deeds(self) -> Self {
        let next = if self.start.is_empty() { self.next } else { Next::After(Duration::ZERO) };
        Self { start: Vec::new(), give_back: Vec::new(), next, ..self }
    }

    /// `Progressing`, `Paused`, `Succeeded` and `Degraded`.
    pub(super) fn findings(&self, counts: &RolloutCounts) -> [Finding; 4] {
        let (reason, message) = (self.why.0, self.why.1.as_str());
        let goes_on = matches!(self.state, RolloutState::Updating | RolloutState::Soaking);
        let said = |kind, holds| {
            if holds { Finding::yes(kind, reason, message) } else { Finding::no(kind, reason, message) }
        };
        let degraded = match counts.failed {
            0 => Finding::no("Degraded", "Fine", "no tenant has failed"),
            failed => {
                Finding::yes("Degraded", "TenantsFailed", format!("tenants that failed: {failed}, see status.failures"))
            }
        };
        [
            said("Progressing", goes_on),
            said("Paused", self.state == RolloutState::Paused),
            said("Succeeded", self.state == RolloutState::Succeeded),
            degraded,
        ]
    }
}

/// How many are how far.
pub(super) fn counts(standings: &[Standing]) -> RolloutCounts {
    let mut counts = RolloutCounts { total: i64::try_from(standings.len()).unwrap_or_default(), ..Default::default() };
    for standing in standings {
        match standing.progress {
            Progress::Waiting => {}
            Progress::InFlight => counts.in_flight += 1,
            Progress::Updated => counts.updated += 1,
            Progress::Failed(_) | Progress::GivenBack { .. } => counts.failed += 1,
            Progress::Deferred => counts.deferred += 1,
        }
    }
    counts
}

pub(super) fn decide(
    rollout: &FleetRollout,
    standings: &[Standing],
    window: Result<Window, String>,
    now: Timestamp,
) -> Decision {
    let spec = &rollout.spec;
    let wave = current_wave(rollout);
    let counts = counts(standings);
    let budget = budget(rollout, counts.total);
    if counts.failed >= budget {
        let gives_back = spec.on_failure == OnFailure::RollbackWave;
        let ways = if gives_back {
            "they get their former image back, and a newer FleetRollout takes over from this one"
        } else {
            "it goes on when they have been ready for a while or failureBudget is raised, and a newer FleetRollout takes over from this one"
        };
        let (failed, total) = (counts.failed, counts.total);
        let message =
            format!("{failed} of {total} tenants failed, and it stops at {budget}: see status.failures; {ways}");
        let give_back = if gives_back && !spec.paused { given(rollout, standings, wave) } else { Vec::new() };
        let next = if give_back.is_empty() { NOW_AND_THEN } else { SOON };
        let stopped = Decision::of(wave, RolloutState::Paused, "FailureBudget", message, Next::After(next));
        return Decision { give_back, ..stopped };
    }
    if spec.paused {
        let message = "spec.paused is true: set it to false to go on";
        let next = if counts.in_flight > 0 { SOON } else { NOW_AND_THEN };
        return Decision::of(wave, RolloutState::Paused, "ByRequest", message, Next::After(next));
    }
    if counts.total == 0 {
        let message =
            "no tenant takes part: see spec.selector, spec.to.channel and whether a newer FleetRollout has them";
        return Decision::of(wave, RolloutState::Waiting, "NoTenants", message, Next::After(NOW_AND_THEN));
    }
    go_on(rollout, standings, window, now)
}

/// At so many failed tenants it stops.
fn budget(rollout: &FleetRollout, total: i64) -> i64 {
    let budget = &rollout.spec.failure_budget;
    let share = budget.percent.map(|percent| (total * i64::from(percent) + 99) / 100);
    i64::from(budget.count).max(share.unwrap_or_default())
}

/// Tenants that have the image, of the wave or failed, and what they had before: as many at a time as may be on their way.
fn given(rollout: &FleetRollout, standings: &[Standing], wave: usize) -> Vec<(Arc<Tenant>, String)> {
    let on_their_way = |standing: &&Standing| standing.progress == Progress::GivenBack { is_ready: false };
    let most = usize::try_from(rollout.spec.max_in_flight).unwrap_or_default();
    let free = most.saturating_sub(standings.iter().filter(on_their_way).count());
    let is_meant = |standing: &&Standing| standing.wave == wave || matches!(standing.progress, Progress::Failed(_));
    standings
        .iter()
        .filter(is_meant)
        .filter_map(|Standing { tenant, .. }| {
            let version = tenant.status.as_ref()?.version.as_ref()?;
            let aim = rollout.status.as_ref()?.image.as_ref();
            let former = version.previous.clone().filter(|former| Some(former) != aim)?;
            (is_given(tenant, rollout) && version.target.as_ref() == aim).then(|| (tenant.clone(), former))
        })
        .take(free)
        .collect()
}

/// From the wave that is under way to the first that has something left to do. Tenants of earlier waves that have come
/// back or were made since count to it.
fn go_on(rollout: &FleetRollout, standings: &[Standing], window: Result<Window, String>, now: Timestamp) -> Decision {
    let spec = &rollout.spec;
    let status = rollout.status.clone().unwrap_or_default();
    let mut soaking_since = status.soaking_since.map(|time| time.0);
    for (number, wave) in spec.waves.iter().enumerate().skip(current_wave(rollout)) {
        let of_wave = || standings.iter().filter(move |standing| standing.wave <= number);
        if of_wave().any(|standing| matches!(standing.progress, Progress::Waiting | Progress::InFlight)) {
            return update(rollout, number, standings, window, now);
        }
        if standings.iter().all(|standing| standing.wave != number) {
            soaking_since = None;
            continue;
        }
        let since = soaking_since.take().unwrap_or(now);
        let over = since + duration(&wave.soak);
        if now < over {
            let rest = Duration::try_from(over.duration_since(now)).unwrap_or_default();
            let message = format!("all of the wave {} are done, and watched until {over:.0}", wave.name);
            let next = Next::After(rest.min(NOW_AND_THEN));
            let watched = Decision::of(number, RolloutState::Soaking, "Soaking", message, next);
            return Decision { soaking_since: Some(since), ..watched };
        }
    }
    let counts = counts(standings);
    let left = match counts.deferred + counts.failed {
        0 => "all tenants run the image".to_owned(),
        left => format!(
            "{left} of {} tenants do not run the image: they failed or could not be touched; another FleetRollout takes them along",
            counts.total
        ),
    };
    Decision::of(spec.waves.len().saturating_sub(1), RolloutState::Succeeded, "Done", left, Next::WhenChanged)
}

/// Begins with as many tenants as may be on their way.
fn update(
    rollout: &FleetRollout,
    number: usize,
    standings: &[Standing],
    window: Result<Window, String>,
    now: Timestamp,
) -> Decision {
    let spec = &rollout.spec;
    let wave = &spec.waves[number];
    let in_flight = standings.iter().filter(|standing| standing.progress == Progress::InFlight).count();
    let waiting: Vec<&Standing> =
        standings.iter().filter(|standing| standing.wave <= number && standing.progress == Progress::Waiting).collect();
    let next = Next::After(if in_flight > 0 { SOON } else { NOW_AND_THEN });
    if !waiting.is_empty() && !is_approved(rollout, wave) {
        let name = rollout.name_any();
        let message = format!(
            "the wave {0} waits to be approved: kubectl annotate --overwrite fleetrollout {name} {APPROVED_WAVE}={0}",
            wave.name
        );
        return Decision::of(number, RolloutState::Waiting, "Approval", message, next);
    }
    let closed = match window {
        _ if waiting.is_empty() => None,
        Ok(Window::Open) => None,
        Ok(Window::OpensAt(opens)) => {
            let rest = Duration::try_from(opens.duration_since(now)).unwrap_or_default();
            Some((format!("the next maintenance window opens at {opens:.0}"), rest.min(Duration::from_mins(5))))
        }
        Err(message) => Some((message, NOW_AND_THEN)),
    };
    if let Some((message, rest)) = closed {
        let rest = if in_flight > 0 { rest.min(SOON) } else { rest };
        return Decision::of(number, RolloutState::Waiting, "Window", message, Next::After(rest));
    }
    let most = usize::try_from(spec.max_in_flight).unwrap_or_default();
    let start: Vec<Arc<Tenant>> = match in_flight.cmp(&most) {
        Ordering::Less => waiting.iter().take(most - in_flight).map(|standing| standing.tenant.clone()).collect(),
        _ => Vec::new(),
    };
    let message = format!("the tenants of the wave {} are brought to the image", wave.name);
    let updating = Decision::of(number, RolloutState::Updating, "Updating", message, Next::After(SOON));
    Decision { start, ..updating }
}

fn is_approved(rollout: &FleetRollout, wave: &Wave) -> bool {
    wave.approval == Approval::Auto || rollout.annotations().get(APPROVED_WAVE) == Some(&wave.name)
}
