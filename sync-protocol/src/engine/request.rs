//! Which mutations an exchange carries.

use std::collections::BTreeSet;

use super::Settings;
use crate::PROTOCOL_VERSION;
use crate::id::MutationId;
use crate::store::Saved;
use crate::wire::{ExchangeRequest, MAX_MUTATIONS_PER_EXCHANGE, Mutation};

pub(super) fn build(
    saved: &Saved,
    deferred: &BTreeSet<MutationId>,
    settings: &Settings,
    outcomes_only: bool,
    compare: bool,
) -> ExchangeRequest {
    let position = &saved.position;
    // Without a model nothing of the answer is taken but which model it is.
    let wants_operations = position.model.is_some() && !outcomes_only;
    let after_chunks = position.bootstrap.as_ref().map(|bootstrap| bootstrap.cursor.clone());
    ExchangeRequest {
        protocol: PROTOCOL_VERSION,
        model: position.model.clone(),
        cursor: position.staged_cursor.clone().or_else(|| position.cursor.clone()).or(after_chunks),
        acknowledged: saved.outbox.first().map_or(position.last_mutation, |oldest| oldest.id - 1),
        mutations: choose(&saved.outbox, deferred, settings.push_bytes),
        limit_bytes: if wants_operations { settings.limit_bytes } else { 0 },
        compare,
        language: settings.language.clone(),
    }
}

/// The outbox from its lowest id on, as much as fits, no group cut in two.
fn choose(outbox: &[Mutation], deferred: &BTreeSet<MutationId>, push_bytes: usize) -> Vec<Mutation> {
    let mut chosen: Vec<Mutation> = Vec::new();
    let mut bytes = 0;
    let wanted: Vec<&Mutation> = outbox.iter().filter(|mutation| !deferred.contains(&mutation.id)).collect();
    for whole in wanted.chunk_by(|one, next| one.group.is_some() && one.group == next.group) {
        bytes += whole.iter().map(|mutation| size(mutation)).sum::<usize>();
        let is_full = chosen.len() + whole.len() > MAX_MUTATIONS_PER_EXCHANGE || bytes > push_bytes;
        if is_full && !chosen.is_empty() {
            break;
        }
        chosen.extend(whole.iter().map(|mutation| (*mutation).clone()));
    }
    chosen
}

fn size(mutation: &Mutation) -> usize {
    serde_json::to_vec(mutation).map_or(0, |json| json.len())
}
