use std::sync::Arc;

use crm::Fields;
use crm::expr::Variables;
use crm::rules::{derive, follow_parent};
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::Context;
use super::fields::{lay, link_targets};
use super::working::{HistoryRow, Stored, Working};

/// A record that came to stand elsewhere, and whose children follow.
#[derive(Clone, Debug)]
pub struct ParentMove {
    /// The record.
    pub parent: RecordId,
    /// Where it stood ([`crm::rules::place_fields`]).
    pub was: Fields,
    /// Where it stands.
    pub became: Fields,
    /// Who moved it; `None`: the operator.
    pub who: Option<Uuid>,
}

/// Lets a child follow its parent; nothing happens where it is no longer one, or stands there already. It asks for
/// nobody's right: who may move the parent moves what follows.
pub fn follow(context: &Context<'_>, working: &mut Working, moved: &ParentMove, child: RecordId) {
    let Some(record) = working.get(child).cloned() else { return };
    let Some(entity) = context.catalogue.entity_of(record.entity) else { return };
    let parent = entity.parent.as_ref().and_then(|name| Some((entity.field(name)?, record.fields.get(name)?)));
    if !parent.is_some_and(|(field, value)| link_targets(field, value).contains(&moved.parent)) {
        return;
    }
    let mut set = follow_parent(&record.fields, &moved.was, &moved.became);
    set.retain(|name, _| entity.field(name).is_some());
    if set.is_empty() {
        return;
    }
    let mut changed: Vec<String> = set.keys().cloned().collect();
    let mut after = record.fields.as_ref().clone();
    for (name, value) in set {
        lay(&mut after, &name, value);
    }
    let variables = Variables { today: context.now_ms.div_euclid(86_400_000), now_ms: context.now_ms, me: None };
    changed.extend(derive(entity, &mut after, &variables));

    let seq = working.sequence_for(child);
    let mut field_seq = record.field_seq.as_ref().clone();
    for name in changed {
        working.history.push(HistoryRow {
            record: child,
            seq,
            kind: "changed",
            old: record.fields.get(&name).map(ToString::to_string),
            new: after.get(&name).map(ToString::to_string),
            field: name.clone(),
            who: moved.who,
            device: 0,
            at_ms: context.now_ms,
        });
        field_seq.insert(name, (seq, 0));
    }
    let next = Stored { seq, fields: Arc::new(after), field_seq: Arc::new(field_seq), ..record.as_ref().clone() };
    working.put(&entity.name, child, Some(next));
}
