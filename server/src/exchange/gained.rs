//! Fields that a user came to see: with another role, or when her role's rights or the model changed.
//!
//! A device that holds the model of the exchange has let go of the fields that its user lost sight of, by comparing that
//! model with the one before. Of what she gained it has no value in the records that it holds: those fields alone come,
//! scope by scope, and with every change that is told until the next consistent point.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{Sqlite, Transaction};
use sync_protocol::cursor::{Cursor, Gaining};
use sync_protocol::id::{ScopeId, Sequence};

use super::operation::Operations;
use super::pull::{PullError, Puller, ROWS_PER_READ, read_scope};

/// By entity: the fields that a device lacks in the records that it has.
pub(super) type Gained = BTreeMap<String, BTreeSet<String>>;

impl Puller<'_> {
    /// What the user sees and did not see when the cursor was at a consistent point; `None` where that is not known.
    pub(super) async fn gained(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        cursor: &Cursor,
    ) -> Result<Option<Gained>, sqlx::Error> {
        let since = cursor.gaining.as_ref().map_or(cursor.view, |gaining| gaining.since);
        if since == self.rights.view.hidden {
            return Ok(Some(Gained::new()));
        }
        let hidden: Option<Json<BTreeMap<String, Vec<String>>>> =
            sqlx::query_scalar("SELECT hidden FROM hidden_view WHERE view = $1")
                .bind(since)
                .fetch_optional(&mut **tx)
                .await?;
        let Some(Json(hidden)) = hidden else { return Ok(None) };
        let mut gained = Gained::new();
        for (name, fields) in hidden {
            let (Some(entity), Some(shown)) = (self.rights.view.model.entity(&name), self.rights.projection(&name))
            else {
                continue;
            };
            let now = fields.iter().filter_map(|field| entity.now_called(field)).filter(|field| shown.shows(field));
            let now: BTreeSet<String> = now.map(str::to_owned).collect();
            if !now.is_empty() {
                gained.insert(name, now);
            }
        }
        Ok(Some(gained))
    }

    /// Where the user sees other fields than when the cursor was made (another role, other permissions), what she gained
    /// comes. Where that alone will not do, everything leaves the device and comes again. What it made itself comes whole
    /// too then, for its outcome told it of other fields: that too stands before the position.
    pub(super) fn follow_view(
        &self,
        head: Sequence,
        cursor: &mut Cursor,
        gained: Option<&Gained>,
        operations: &mut Operations,
    ) {
        if cursor.view == self.rights.view.hidden || self.begin_gaining(cursor, gained) {
            return;
        }
        cursor.gaining = None;
        for scope in cursor.scopes.drain(..) {
            operations.scope_drop(scope);
        }
        cursor.backfill.clear();
        cursor.seq = head;
        cursor.from = 0;
        cursor.first_sync = true;
        cursor.view = self.rights.view.hidden;
    }

    /// Where the user sees other fields than at the cursor's consistent point: begins to bring what she gained. False
    /// where the device may have too much or it is not known what it lacks: then everything comes anew.
    fn begin_gaining(&self, cursor: &mut Cursor, gained: Option<&Gained>) -> bool {
        let is_whole = cursor.from > 0 && cursor.from == cursor.seq && cursor.backfill.is_empty();
        let Some(gained) = gained.filter(|_| self.holds_model && is_whole && cursor.gaining.is_none()) else {
            return false;
        };
        let since = std::mem::replace(&mut cursor.view, self.rights.view.hidden);
        let mut scopes: Vec<(u8, ScopeId)> = cursor
            .scopes
            .iter()
            .filter_map(|scope| {
                let entity = self.snapshot.catalogue.entity_of(self.snapshot.scopes.key(*scope)?.entity)?;
                gained.contains_key(&entity.name).then_some((entity.sync.priority, *scope))
            })
            .collect();
        scopes.sort_unstable();
        let scopes = scopes.into_iter().map(|(_, scope)| (scope, 0)).collect();
        cursor.gaining = Some(Gaining { since, scopes });
        true
    }

    /// Brings the gained fields of the records that the device has, up to the main position.
    pub(super) async fn gain(
        &self,
        tx: &mut Transaction<'_, Sqlite>,
        cursor: &mut Cursor,
        gained: &Gained,
        operations: &mut Operations,
    ) -> Result<(), PullError> {
        while let Some((scope, position)) = cursor.gaining.as_ref().and_then(|gaining| gaining.scopes.first().copied())
        {
            let key = self.snapshot.scopes.key(scope).filter(|_| cursor.scopes.binary_search(&scope).is_ok());
            let rows = match key {
                Some(key) => read_scope(tx, scope, key, position, cursor.seq, ROWS_PER_READ).await?,
                None => Vec::new(),
            };
            let is_last = rows.len() < usize::try_from(ROWS_PER_READ).unwrap_or(usize::MAX);
            for row in rows {
                if operations.len() >= self.limit_bytes && operations.count > 0 {
                    return Ok(());
                }
                let scopes = self.scopes_of(&row, &cursor.scopes);
                let head = self.head(&row, &scopes);
                // A record that stands in several scopes gets them once.
                let had = scopes.iter().any(|scope| has_gained(cursor, *scope));
                if let Some(names) = gained.get(head.entity).filter(|_| !had) {
                    let body: BTreeMap<&str, &RawValue> = serde_json::from_str(&row.body)?;
                    let names: Vec<&str> =
                        names.iter().map(String::as_str).filter(|name| body.contains_key(name)).collect();
                    if !names.is_empty() {
                        operations.put_partial(&head, &row.body, &names)?;
                    }
                }
                if let Some(gaining) = &mut cursor.gaining {
                    gaining.scopes[0].1 = row.seq;
                }
            }
            if let (true, Some(gaining)) = (is_last, &mut cursor.gaining) {
                gaining.scopes.remove(0);
            }
        }
        Ok(())
    }
}

/// Whether the records of a scope that the device held all along have got their fields.
fn has_gained(cursor: &Cursor, scope: ScopeId) -> bool {
    let is_in = |positions: &[(ScopeId, Sequence)]| positions.iter().any(|(other, _)| *other == scope);
    !is_in(&cursor.backfill) && !cursor.gaining.as_ref().is_some_and(|gaining| is_in(&gaining.scopes))
}

/// Whether records or fields that the device does not have are on their way to it, scope by scope.
pub(super) fn is_arriving(cursor: &Cursor) -> bool {
    !cursor.backfill.is_empty() || cursor.gaining.as_ref().is_some_and(|gaining| !gaining.scopes.is_empty())
}
