//! When a device tells its server how it stands, and what.

use super::Engine;
use crate::wire::Report;

/// Nothing that can wait is told more often.
const REPORT_EVERY_MS: i64 = 15 * 60 * 1_000;

/// What was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Reporting {
    last: Option<(i64, Report)>,
}

impl Reporting {
    /// What needs somebody is told at once, other changes after a while.
    fn is_due(&self, now_ms: i64, report: &Report) -> bool {
        let Some((at_ms, last)) = &self.last else { return true };
        let is_urgent = (last.attention, &last.problem) != (report.attention, &report.problem);
        // A clock that was set back must not keep it silent.
        let is_time = now_ms < *at_ms || now_ms - at_ms >= REPORT_EVERY_MS;
        is_urgent || is_time
    }
}

impl Engine {
    /// How the device stands, when it is time to tell the server; the host asks after an exchange or a delta, adds what it
    /// alone knows, and posts it. Whether it arrives does not matter: the next one says more.
    pub fn report_due(&mut self, now_ms: i64) -> Option<Report> {
        let position = &self.saved.position;
        let is_quiet = self.flight.is_none() && self.commit.is_none() && self.work.is_empty();
        if !self.is_online || !is_quiet || position.checkpoint_at_ms.is_none() {
            return None;
        }
        let age = |at_ms: i64| now_ms.saturating_sub(at_ms).max(0);
        let report = Report {
            model: position.model.clone(),
            lag_ms: position.checkpoint_at_ms.map(age),
            waiting: self.saved.outbox.len() as u64,
            oldest_ms: self.saved.outbox.first().map(|oldest| age(oldest.at_ms)),
            attention: self.saved.attention.len() as u64,
            problem: self.problem.as_ref().map(|problem| problem.code.clone()),
            digest: self.mending.said(),
            ..Report::default()
        };
        if !self.reporting.is_due(now_ms, &report) {
            return None;
        }
        self.reporting.last = Some((now_ms, report.clone()));
        Some(report)
    }
}
