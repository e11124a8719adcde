use crate::Fields;
use crate::expr::Variables;
use crate::model::Entity;

/// Whether devices carry a record on a day: its entity has no sync rule, or the rule holds for it. `today` is a day
/// number. The model refuses rules that can fail; of one that does all the same, nothing is withheld.
#[must_use]
pub fn carries(entity: &Entity, fields: &Fields, today: i64) -> bool {
    let variables = Variables { today, ..Variables::default() };
    entity.sync.condition.as_ref().is_none_or(|rule| rule.holds(entity, fields, &variables).unwrap_or(true))
}
