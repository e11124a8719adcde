//! What follows from a change without being asked for: the record's place, its number, derived fields, stamps, and the
//! passage from stage to stage.

use std::sync::Arc;

use crm::Fields;
use crm::model::{Entity, FieldKind, MergeClass, NumberSeries};
use crm::rules::{Gaps, Place, SHARE_FIELDS, derive};
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::Case;
use super::fields::{Merged, link_targets};
use super::working::{FieldSequences, Stored, Working};

/// Whether a field is a stamp of the server's, of which the history says nothing new.
pub(super) fn is_stamp(entity: &Entity, field: &str) -> bool {
    entity.field(field).is_some_and(|field| field.merge == MergeClass::Server)
}

/// A changed owner brings her team, a changed team its territory, unless the change says otherwise.
pub(super) fn settle_place(case: &Case<'_>, working: &Working, merged: &mut Merged) {
    let said = |name: &str| case.change.set.contains_key(name);
    if merged.changed.contains("owner") && !said("team") {
        let team = id_in(&merged.after, "owner").and_then(|owner| working.directory.place_of_owner(owner).team);
        settle(case, merged, "team", team);
    }
    if merged.changed.contains("team") && !said("territory") {
        let territory = id_in(&merged.after, "team").and_then(|team| working.directory.territory_of_team(team));
        settle(case, merged, "territory", territory);
    }
}

/// A new record belongs to its maker unless it says otherwise, and stands where its parent or its owner stands; with
/// whom its parent is shared it is shared too.
pub(super) fn settle_new_place(case: &Case<'_>, working: &Working, merged: &mut Merged) {
    let parent = case
        .entity
        .parent
        .as_ref()
        .and_then(|name| Some(link_targets(case.entity.field(name)?, merged.after.get(name)?)))
        .and_then(|targets| targets.first().and_then(|parent| working.get(*parent)))
        .cloned();
    if let Some(parent) = &parent {
        inherit_shares(case, merged, &parent.fields);
    }
    let parent = parent.map(|record| record.place());
    let mut owner = id_in(&merged.after, "owner");
    if owner.is_none() && case.context.gaps == Gaps::Refuse {
        owner = case.author.user.map(|user| user.0);
    }
    let owner = owner.or(parent.as_ref().and_then(|place| place.owner));
    let place = match (parent, owner) {
        (Some(parent), _) if !parent.is_open() => Place { owner, ..parent },
        (_, Some(owner)) => working.directory.place_of_owner(owner),
        (_, None) => Place::default(),
    };
    if !merged.after.contains_key("owner") {
        settle(case, merged, "owner", place.owner);
    }
    if !merged.after.contains_key("team") {
        settle(case, merged, "team", place.team);
    }
    if !merged.after.contains_key("territory") {
        let of_team = id_in(&merged.after, "team").and_then(|team| working.directory.territory_of_team(team));
        settle(case, merged, "territory", of_team.or(place.territory));
    }
}

fn inherit_shares(case: &Case<'_>, merged: &mut Merged, parent: &Fields) {
    for name in SHARE_FIELDS.into_iter().filter(|name| case.entity.field(name).is_some()) {
        if let (false, Some(shared)) = (merged.after.contains_key(name), parent.get(name)) {
            merged.after.insert(name.to_owned(), shared.clone());
        }
    }
}

/// Recomputes what the model derives.
pub(super) fn settle_derived(case: &Case<'_>, merged: &mut Merged) {
    for name in derive(case.entity, &mut merged.after, &case.variables()) {
        merged.changed.insert(name);
    }
}

/// Who changed it last, and when; and since when it is in its stage.
pub(super) fn stamp_update(case: &Case<'_>, merged: &mut Merged) {
    stamp_stages(case, merged, case.context.now_ms);
    stamp(case, merged, "updated_on", "updated_by");
}

/// Who made it, and when; an import may have said.
pub(super) fn stamp_create(case: &Case<'_>, merged: &mut Merged) {
    if !merged.after.contains_key("created_on") {
        stamp(case, merged, "created_on", "created_by");
    }
    let made = merged.after.get("created_on").and_then(Value::as_i64).unwrap_or(case.context.now_ms);
    stamp_stages(case, merged, made);
}

fn stamp_stages(case: &Case<'_>, merged: &mut Merged, at_ms: i64) {
    for field in case.entity.fields.values().filter(|field| matches!(field.kind, FieldKind::Stage { .. })) {
        let since = format!("{}_since", field.name);
        if merged.changed.contains(&field.name) && case.entity.field(&since).is_some() {
            merged.after.insert(since.clone(), Value::from(at_ms));
            merged.changed.insert(since);
        }
    }
}

fn stamp(case: &Case<'_>, merged: &mut Merged, on: &str, by: &str) {
    if case.entity.field(on).is_some() {
        merged.after.insert(on.to_owned(), Value::from(case.context.now_ms));
        merged.changed.insert(on.to_owned());
    }
    if case.entity.field(by).is_some() {
        let who = case.author.user.map_or(Value::Null, |user| Value::from(user.to_string()));
        if merged.after.get(by).unwrap_or(&Value::Null) != &who {
            super::fields::lay(&mut merged.after, by, who);
            merged.changed.insert(by.to_owned());
        }
    }
}

/// Gives a new record the next number of its series that no record has: an import may have brought some.
pub(super) fn number(case: &Case<'_>, working: &mut Working, merged: &mut Merged) {
    let Some(series) = &case.entity.number else { return };
    if merged.after.contains_key(&series.field) {
        return;
    }
    let year = year_of(case.context.now_ms);
    loop {
        let number = spell_number(series, year, working.next_number((case.code, year)));
        let key = (case.code, series.field.clone(), crm::rules::fold(&number));
        if working.unique.get(&key).copied().flatten().is_none() {
            merged.after.insert(series.field.clone(), Value::from(number));
            return;
        }
    }
}

/// The calendar year (UTC) of an instant.
pub(in crate::record::write) fn year_of(now_ms: i64) -> i16 {
    jiff::Timestamp::from_millisecond(now_ms).map_or(1970, |instant| instant.to_zoned(jiff::tz::TimeZone::UTC).year())
}

/// A number of a series as people read it.
pub(in crate::record::write) fn spell_number(series: &NumberSeries, year: i16, next: u64) -> String {
    let mut spelt = series.series.replace("{yyyy}", &year.to_string()).replace("{seq}", &next.to_string());
    while let Some(start) = spelt.find("{seq:") {
        let Some(length) = spelt[start..].find('}') else { break };
        let width = spelt[start + 5..start + length].parse().unwrap_or(1);
        spelt.replace_range(start..=start + length, &format!("{next:0width$}"));
    }
    spelt
}

/// For each stage field that changed, a record of the passage, where the model wants one.
pub(super) fn record_passages(case: &Case<'_>, working: &mut Working, before: Option<&Stored>) {
    let Some(now) = working.get(case.change.record).cloned() else { return };
    for field in case.entity.fields.values() {
        let FieldKind::Stage { history: Some(history), .. } = &field.kind else { continue };
        let from = before.and_then(|record| record.fields.get(&field.name));
        let Some(to) = now.fields.get(&field.name).filter(|to| from != Some(to)) else { continue };
        let Some((entity, code)) = case.context.catalogue.entity(history) else { continue };
        let since =
            before.and_then(|record| record.fields.get(&format!("{}_since", field.name))).and_then(Value::as_i64);
        let facts = [
            (case.entity.name.as_str(), Some(json!(case.change.record.to_string()))),
            ("from", from.cloned()),
            ("to", Some(to.clone())),
            ("at", Some(json!(entered_at(case, &now.fields, before)))),
            ("by", case.author.user.map(|user| json!(user.to_string()))),
            ("duration_ms", since.map(|since| json!(case.context.now_ms - since))),
            ("amount", now.fields.get("amount").cloned()),
        ];
        let place = now.place();
        let place = [("owner", place.owner), ("team", place.team), ("territory", place.territory)];
        let shares = SHARE_FIELDS.map(|name| (name, now.fields.get(name).cloned()));
        let mut fields: Fields = facts
            .into_iter()
            .chain(place.map(|(name, id)| (name, id.map(|id| json!(id.to_string())))))
            .chain(shares)
            .filter_map(|(name, value)| Some((entity.field(name)?.name.clone(), value?)))
            .collect();
        for name in derive(entity, &mut fields, &case.variables()) {
            debug_assert!(entity.field(&name).is_some(), "only fields are derived");
        }
        let id = RecordId((case.context.new_id)());
        let seq = working.sequence_for(id);
        let passage = Stored {
            num: 0,
            entity: code,
            seq,
            created_seq: seq,
            created_by_device: 0,
            fields: Arc::new(fields),
            field_seq: Arc::new(FieldSequences::new()),
        };
        super::fields::note_links(entity, working, id, &passage.fields, passage.fields.keys());
        working.put(history, id, Some(passage));
    }
}

/// A record that an import brings as history entered its stage when it was made, not now.
fn entered_at(case: &Case<'_>, fields: &Fields, before: Option<&Stored>) -> i64 {
    let made = fields.get("created_on").and_then(Value::as_i64);
    match (before, made) {
        (None, Some(made)) => made,
        _ => case.context.now_ms,
    }
}

fn settle(case: &Case<'_>, merged: &mut Merged, name: &str, id: Option<Uuid>) {
    if case.entity.field(name).is_none() {
        return;
    }
    let value = id.map_or(Value::Null, |id| Value::from(id.to_string()));
    if merged.after.get(name).unwrap_or(&Value::Null) != &value {
        super::fields::lay(&mut merged.after, name, value);
        merged.changed.insert(name.to_owned());
    }
}

fn id_in(fields: &Fields, name: &str) -> Option<Uuid> {
    fields.get(name).and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok())
}
