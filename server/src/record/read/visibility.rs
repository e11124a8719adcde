//! Whom a record is shown to: the one predicate that every read carries.

use crm::expr::Dialect;
use crm::model::Level;
use crm::rules::Viewer;
use uuid::Uuid;

use crate::platform::db::dialect::uuid_literal;
use crate::user::rights::Rights;

/// `crm::rules::sees`, as SQL over the record that `record` names; never null.
///
/// Ids stand in it as literals: they are the server's own, and lists of any length need no parameters.
#[must_use]
pub fn predicate(rights: &Rights, entity: &str, record: &str) -> String {
    let level = rights.permission(entity).map_or(Level::None, |permission| permission.read);
    let shared = (level > Level::None).then(|| is_shared(record, &rights.viewer));
    reached(level, &rights.viewer, record, shared)
}

/// The same for the right to change records, which no share gives.
#[must_use]
pub fn writable(rights: &Rights, entity: &str, record: &str) -> String {
    let level = rights.permission(entity).map_or(Level::None, |permission| permission.update);
    reached(level, &rights.viewer, record, None)
}

fn reached(level: Level, viewer: &Viewer, record: &str, shared: Option<String>) -> String {
    if level == Level::All {
        return "1 = 1".into();
    }
    let mut reached: Vec<String> = shared.into_iter().collect();
    if level >= Level::Own {
        reached.push(format!("({record}.owner IS NULL AND {record}.team IS NULL AND {record}.territory IS NULL)"));
        reached.push(is_one_of(record, "owner", &[viewer.user]));
    }
    if level >= Level::Team && !viewer.teams.is_empty() {
        reached.push(is_one_of(record, "team", &viewer.teams));
    }
    if level >= Level::Territory && !viewer.territories.is_empty() {
        reached.push(is_one_of(record, "territory", &viewer.territories));
    }
    if reached.is_empty() { "1 = 0".into() } else { format!("({})", reached.join(" OR ")) }
}

/// The column `shared` holds ids as the JSON that [`crate::record::write`] writes: hexadecimal, without hyphens.
fn is_shared(record: &str, viewer: &Viewer) -> String {
    let holders = std::iter::once(&viewer.user).chain(&viewer.teams);
    let holders: Vec<String> = holders.map(|id| format!("'{}'", id.as_simple())).collect();
    let held = format!("SELECT 1 FROM json_each({record}.shared) WHERE value IN ({})", holders.join(", "));
    format!("({record}.shared IS NOT NULL AND EXISTS ({held}))")
}

/// False, not null, where the column is empty: a caller may negate the predicate.
fn is_one_of(record: &str, column: &str, ids: &[Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| uuid_literal(Dialect::Sqlite, *id)).collect();
    format!("({record}.{column} IS NOT NULL AND {record}.{column} IN ({}))", ids.join(", "))
}
