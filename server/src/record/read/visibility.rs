//! Whom a record is shown to: the one predicate that every read carries.

use crm::expr::Dialect;
use crm::model::Level;
use uuid::Uuid;

use crate::platform::db::dialect::uuid_literal;
use crate::user::rights::Rights;

/// `crm::rules::reaches` for the right to read, as SQL over the record that `record` names; never null.
///
/// Ids stand in it as literals: they are the server's own, and lists of any length need no parameters.
#[must_use]
pub fn predicate(rights: &Rights, entity: &str, record: &str) -> String {
    let level = rights.permission(entity).map_or(Level::None, |permission| permission.read);
    let viewer = &rights.viewer;
    let mut reached = match level {
        Level::None => return "1 = 0".into(),
        Level::All => return "1 = 1".into(),
        Level::Own | Level::Team | Level::Territory => vec![
            format!("({record}.owner IS NULL AND {record}.team IS NULL AND {record}.territory IS NULL)"),
            is_one_of(record, "owner", &[viewer.user]),
        ],
    };
    if level >= Level::Team && !viewer.teams.is_empty() {
        reached.push(is_one_of(record, "team", &viewer.teams));
    }
    if level >= Level::Territory && !viewer.territories.is_empty() {
        reached.push(is_one_of(record, "territory", &viewer.territories));
    }
    format!("({})", reached.join(" OR "))
}

/// False, not null, where the column is empty: a caller may negate the predicate.
fn is_one_of(record: &str, column: &str, ids: &[Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| uuid_literal(Dialect::Sqlite, *id)).collect();
    format!("({record}.{column} IS NOT NULL AND {record}.{column} IN ({}))", ids.join(", "))
}
