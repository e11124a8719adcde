//! Decisions: what becomes of a change, given what is stored, who asks and what the model says.
//!
//! Pure: everything it needs stands in [`Working`], everything it does is done there; time and new ids are arguments.

mod answer;
mod child;
mod create;
mod delete;
mod fields;
mod follow;
mod limit;
mod update;
mod working;

use crm::expr::Variables;
use crm::model::Entity;
use crm::rules::Gaps;
use sync_protocol::fault::{Fault, is_seeded};
use sync_protocol::wire::MutationKind;
use uuid::Uuid;

pub use answer::Refusal;
pub use child::{ParentMove, follow};
pub(in crate::record::write) use fields::{link_targets, may_be_deleted};
pub use fields::{merge_class, unique_text};
pub(in crate::record::write) use follow::{spell_number, year_of};
pub use working::{FieldSequences, HistoryRow, Mark, Stored, Touched, UniqueKey, Working};

use super::{Author, Change, Decision};
use crate::record::catalogue::{Catalogue, EntityCode};

/// What holds for every decision of a commit.
pub struct Context<'a> {
    /// The model in force.
    pub catalogue: &'a Catalogue,
    /// The time of the commit.
    pub now_ms: i64,
    /// Makes ids for the records that rules make.
    pub new_id: &'a dyn Fn() -> Uuid,
    /// Whether missing requirements refuse a change or are told as warnings.
    pub gaps: Gaps,
}

/// One change with all that was looked up for it.
struct Case<'a> {
    context: &'a Context<'a>,
    author: &'a Author,
    change: &'a Change,
    entity: &'a Entity,
    code: EntityCode,
}

impl Case<'_> {
    fn variables(&self) -> Variables {
        Variables {
            today: self.context.now_ms.div_euclid(86_400_000),
            now_ms: self.context.now_ms,
            me: self.author.user.map(|user| user.0),
        }
    }
}

/// Decides one change and does it in `working`; a refused one leaves `working` as it was.
pub fn decide(context: &Context<'_>, working: &mut Working, author: &Author, change: &Change) -> Decision {
    let mark = working.mark();
    let before = limit::Before::of(working, change);
    let decided = match context.catalogue.entity(&change.entity) {
        Some((entity, code)) if author.rights.permission(&change.entity).is_some() => {
            // Nobody can have seen what is not there yet: such a base is worth nothing. One above the record's own
            // sequence may be of a future that a restore has lost: all that the record is now was known by then, and
            // what is changed since has sequences above any that were lost.
            let unseen = change.base.is_some_and(|base| base > working.floor);
            let corrected = unseen.then(|| Change { base: Some(0), ..change.clone() });
            let case = Case { context, author, change: corrected.as_ref().unwrap_or(change), entity, code };
            match change.kind {
                MutationKind::Create => create::create(&case, working),
                MutationKind::Update => update::update(&case, working),
                MutationKind::Delete => delete::delete(&case, working),
            }
        }
        _ => Err(Refusal::unknown_entity(&change.entity)),
    };
    let decided = decided.and_then(|decision| before.hold(context, working, author).map(|()| decision));
    decided.unwrap_or_else(|refusal| {
        working.back_to(mark);
        let seq = working.get(change.record).map_or(0, |record| record.seq);
        refusal.into_decision(change.record, seq, author.language)
    })
}

/// Decides changes that are made whole or not at all: when one is refused, none is done, and the others say so.
pub fn decide_group(
    context: &Context<'_>,
    working: &mut Working,
    author: &Author,
    changes: &[&Change],
) -> Vec<Decision> {
    let mark = working.mark();
    let mut decisions: Vec<Decision> = changes.iter().map(|change| decide(context, working, author, change)).collect();
    if decisions.iter().any(Decision::is_rejected) && !is_seeded(Fault::ApplyGroupInPart) {
        working.back_to(mark);
        for (decision, change) in decisions.iter_mut().zip(changes).filter(|(decision, _)| !decision.is_rejected()) {
            let seq = working.get(change.record).map_or(0, |record| record.seq);
            *decision = Refusal::group().into_decision(change.record, seq, author.language);
        }
    }
    decisions
}

impl Decision {
    /// Whether nothing was done.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.verdict == sync_protocol::wire::Verdict::Rejected
    }
}
