use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};
use sync_protocol::id::RecordId;

use crate::subject::Subject;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The server.
    pub server: String,
    /// The entity that most checks made records of.
    pub entity: String,
    /// Sentences that hold.
    pub passed: usize,
    /// Sentences that do not.
    pub failed: usize,
    /// Sentences that could not be looked at; each says why.
    pub not_checked: usize,
    /// In the order of the specification.
    pub sections: Vec<SectionReport>,
    /// Records of the suite that could not be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<LeftBehind>,
}

/// One section of the specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionReport {
    /// Its heading.
    pub section: String,
    /// Its checks.
    pub checks: Vec<Finding>,
}

/// What was seen of one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's name.
    pub name: String,
    /// What the specification says.
    pub says: String,
    /// Whether it is so.
    pub verdict: Verdict,
    /// What was seen; where nothing could be, why.
    pub seen: String,
}

/// Whether a sentence holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Passed,
    /// It does not.
    Failed,
    /// It could not be looked at.
    NotChecked,
}

/// A record that is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// Its entity.
    pub entity: String,
    /// Its id.
    pub id: RecordId,
    /// Why it could not be deleted.
    pub reason: String,
}

impl Report {
    pub(crate) fn new(
        server: &str,
        subject: &Subject,
        sections: Vec<SectionReport>,
        left_behind: Vec<LeftBehind>,
    ) -> Self {
        let count = |verdict| {
            sections.iter().flat_map(|section| &section.checks).filter(|finding| finding.verdict == verdict).count()
        };
        Self {
            server: server.to_owned(),
            entity: subject.entity.clone(),
            passed: count(Verdict::Passed),
            failed: count(Verdict::Failed),
            not_checked: count(Verdict::NotChecked),
            sections,
            left_behind,
        }
    }

    /// The names of the checks with that verdict.
    #[must_use]
    pub fn named(&self, verdict: Verdict) -> Vec<&str> {
        let findings = self.sections.iter().flat_map(|section| &section.checks);
        findings.filter(|finding| finding.verdict == verdict).map(|finding| finding.name.as_str()).collect()
    }
}

/// The table that people read.
impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            writeln!(out, "{}", section.section)?;
            for Finding { name, says, verdict, seen } in &section.checks {
                match verdict {
                    Verdict::Passed => writeln!(out, "  passed       {name:<34} {seen}")?,
                    Verdict::NotChecked => writeln!(out, "  not checked  {name:<34} {seen}")?,
                    Verdict::Failed => {
                        writeln!(out, "  FAILED       {name}")?;
                        writeln!(out, "               the specification: {says}")?;
                        writeln!(out, "               the server: {seen}")?;
                    }
                }
            }
        }
        for LeftBehind { entity, id, reason } in &self.left_behind {
            writeln!(out, "left behind: {entity} {id}: {reason}")?;
        }
        write!(out, "{}: {} passed, {} failed, {} not checked", self.server, self.passed, self.failed, self.not_checked)
    }
}
