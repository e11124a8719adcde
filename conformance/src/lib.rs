//! A black-box suite for the sync protocol: whether a server keeps what `sync-protocol/README.md` says, over HTTP alone.
//!
//! It knows the wire and nothing of how a server is made. It enrols devices of its own, works on records that it makes
//! itself, and deletes them afterwards. A section of the specification is one file of `section/`: a list of checks, each
//! with what the specification says and a function that sees whether it is so.
//!
//! | module | is |
//! |---|---|
//! | `target` | the server, and who signs in |
//! | `http`, `events` | requests down to their headers, streams of events |
//! | `subject` | which records the suite can make, told from the model that the server serves |
//! | `phone` | a device that sends exactly what a check says |
//! | `engine_phone` | a device that does what the reference engine does |
//! | `compare` | the search for what differs between a device and the server |
//! | `world` | all that one run makes, and takes away again |
//! | `check`, `report` | what was looked at and what was seen |

mod check;
mod compare;
mod engine_phone;
mod events;
mod http;
mod machine;
mod phone;
mod report;
mod section;
mod subject;
mod target;
mod world;

pub use report::{Finding, Report, SectionReport, Verdict};
pub use target::{Person, Target, TargetError};

use check::Unmet;
use world::World;

/// The section of the specification that a check belongs to; none where no check has that name.
#[must_use]
pub fn section_of(check_name: &str) -> Option<&'static str> {
    let has_it = |section: &&&check::Section| section.checks.iter().any(|check| check.name == check_name);
    section::ALL.iter().find(has_it).map(|section| section.name)
}

/// Runs every check that `only` names (by section or by its own name; all when empty), in the order of the
/// specification, and tells `progress` the name of each before it begins.
///
/// # Errors
/// When the server cannot be signed in to, or serves no model in which the suite can make a record: then nothing was
/// checked.
pub fn run(target: &Target, only: &[impl AsRef<str>], mut progress: impl FnMut(&str)) -> Result<Report, TargetError> {
    let mut world = World::open(target)?;
    let mut sections = Vec::new();
    for section in section::ALL {
        let mut findings = Vec::new();
        for check in section.checks {
            let is_asked = only
                .iter()
                .map(AsRef::as_ref)
                .any(|name| name == check.name || name.eq_ignore_ascii_case(section.name));
            if !only.is_empty() && !is_asked {
                continue;
            }
            progress(check.name);
            let (verdict, seen) = match (check.run)(&mut world) {
                Ok(seen) => (Verdict::Passed, seen),
                Err(Unmet::Broken(seen)) => (Verdict::Failed, seen),
                Err(Unmet::Unchecked(why)) => (Verdict::NotChecked, why),
            };
            findings.push(Finding { name: check.name.to_owned(), says: check.says.to_owned(), verdict, seen });
        }
        if !findings.is_empty() {
            sections.push(SectionReport { section: section.name.to_owned(), checks: findings });
        }
    }
    let left_behind = world.tidy();
    Ok(Report::new(target.url(), world.subject(), sections, left_behind))
}

/// The names of all sections, each with those of its checks.
#[must_use]
pub fn checks() -> Vec<(&'static str, Vec<&'static str>)> {
    section::ALL.iter().map(|section| (section.name, section.checks.iter().map(|check| check.name).collect())).collect()
}
