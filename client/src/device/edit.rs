//! What a person changes: checked here, queued durably, sent by the next sync.

use std::collections::BTreeSet;

use crm::Fields;
use crm::model::{Entity, FieldKind, MergeClass};
use crm::rules::{Finding, Gaps, check, derive, fill_defaults, normalise};
use serde_json::Value;
use sync_protocol::engine::{Draft, Edit, Effect, Input};
use sync_protocol::id::{MutationId, RecordId, Sequence};
use sync_protocol::wire::MutationKind;

use super::change::{Change, Reader, unchecked};
use super::rights::may_create;
use super::{Assignment, Device, DeviceError};

/// Whether the device checks a change before it queues it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// As people work: what the server would reject is refused here.
    #[default]
    Made,
    /// To see the server's answer.
    Skipped,
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Queued {
    /// The record.
    pub record: RecordId,
    /// The mutation that waits now; none where the record was so already.
    pub mutation: Option<MutationId>,
    /// What the person should know.
    pub warnings: Vec<Finding>,
}

impl Device {
    /// Changes a record.
    ///
    /// # Errors
    /// When the device does not have it, or the change is not allowed: nothing is queued then.
    pub fn set(
        &mut self,
        entity: &str,
        id: &str,
        changes: &[Assignment],
        checks: Checks,
    ) -> Result<Queued, DeviceError> {
        let model = self.model()?.clone();
        let entity = model.entity(entity).ok_or_else(|| DeviceError::UnknownEntity { name: entity.to_owned() })?;
        let view = self.find(entity, id)?;
        let reader = self.reader(entity, &view.fields);
        let (change, warnings) = match checks {
            Checks::Skipped => (unchecked(&reader, changes), Vec::new()),
            Checks::Made => {
                let change = reader.read(changes)?;
                self.may_update(entity, &view.fields)?;
                let warnings = self.verify(entity, Some(&view.fields), &change)?;
                (change, warnings)
            }
        };
        let mutation = if change.is_empty() {
            None
        } else {
            Some(self.queue(MutationKind::Update, &entity.name, view.id, view.base, change)?)
        };
        Ok(Queued { record: view.id, mutation, warnings })
    }

    /// Makes a record.
    ///
    /// # Errors
    /// When that is not allowed: nothing is queued then.
    pub fn create(&mut self, entity: &str, values: &[Assignment], checks: Checks) -> Result<Queued, DeviceError> {
        let model = self.model()?.clone();
        let entity = model.entity(entity).ok_or_else(|| DeviceError::UnknownEntity { name: entity.to_owned() })?;
        let nothing = Fields::new();
        let reader = self.reader(entity, &nothing);
        let (change, warnings) = match checks {
            Checks::Skipped => (unchecked(&reader, values), Vec::new()),
            Checks::Made => {
                may_create(entity)?;
                let mut change = reader.read(values)?;
                self.complete(entity, &mut change);
                let warnings = self.verify(entity, None, &change)?;
                (change, warnings)
            }
        };
        let record = self.host.new_record_id();
        let mutation = self.queue(MutationKind::Create, &entity.name, record, 0, change)?;
        Ok(Queued { record, mutation: Some(mutation), warnings })
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// When the device does not have it, or that is not allowed: nothing is queued then.
    pub fn delete(&mut self, entity: &str, id: &str, checks: Checks) -> Result<Queued, DeviceError> {
        let model = self.model()?.clone();
        let entity = model.entity(entity).ok_or_else(|| DeviceError::UnknownEntity { name: entity.to_owned() })?;
        let view = self.find(entity, id)?;
        if checks == Checks::Made {
            self.may_delete(entity, &view.fields)?;
        }
        let mutation = self.queue(MutationKind::Delete, &entity.name, view.id, view.base, Change::default())?;
        Ok(Queued { record: view.id, mutation: Some(mutation), warnings: Vec::new() })
    }

    fn reader<'a>(&'a self, entity: &'a Entity, before: &'a Fields) -> Reader<'a> {
        Reader { entity, before, today: self.host.today(), now_ms: self.host.now_ms(), targets: self }
    }

    /// Fills the defaults of a new record, as far as a device may send them. What is added to an empty set or log of
    /// a new record is its value.
    fn complete(&self, entity: &Entity, change: &mut Change) {
        let mut fields = change.applied_to(&Fields::new());
        fill_defaults(entity, &mut fields, &self.variables());
        let is_sent = |name: &String| {
            entity.field(name).is_some_and(|field| {
                !matches!(field.merge, MergeClass::Derived | MergeClass::Server) && field.kind != FieldKind::Number
            })
        };
        fields.retain(|name, _| is_sent(name));
        *change = Change { set: fields, ops: Vec::new() };
    }

    /// Checks a change by the model's rules, and returns what the person should know of it.
    fn verify(&self, entity: &Entity, before: Option<&Fields>, change: &Change) -> Result<Vec<Finding>, DeviceError> {
        let variables = self.variables();
        let nothing = Fields::new();
        let mut after = change.applied_to(before.unwrap_or(&nothing));
        let mut findings = Vec::new();
        // Operations bring members that were normalised one by one: the whole may still be too much.
        for name in change.ops.iter().map(sync_protocol::wire::FieldOperation::field) {
            let value = after.get(name).cloned().unwrap_or(Value::Null);
            findings.extend(entity.field(name).and_then(|field| normalise(field, value).err()));
        }
        let derived = derive(entity, &mut after, &variables);
        let changed: BTreeSet<String> = change.set.keys().cloned().chain(derived).chain(op_fields(change)).collect();
        let checked = check(entity, before, &after, &changed, &variables, Gaps::Refuse);
        findings.extend(checked.errors);
        if findings.is_empty() {
            return Ok(checked.warnings);
        }
        Err(DeviceError::Invalid { entity: entity.name.clone(), findings })
    }

    fn queue(
        &mut self,
        kind: MutationKind,
        entity: &str,
        record: RecordId,
        base: Sequence,
        change: Change,
    ) -> Result<MutationId, DeviceError> {
        let Change { set, ops } = change;
        let at_ms = self.host.now_ms();
        let draft = Draft { kind, entity: entity.to_owned(), record, base, set, ops, at_ms };
        let told = self.act_offline(Input::Edit(Edit { ticket: 1, drafts: vec![draft] }))?;
        let number = told.iter().find_map(|effect| match effect {
            Effect::Saved { mutations, .. } => mutations.first().copied(),
            _ => None,
        });
        number.ok_or_else(|| DeviceError::Protocol { reason: "the engine did not keep the edit".into() })
    }
}

fn op_fields(change: &Change) -> impl Iterator<Item = String> {
    change.ops.iter().map(|operation| operation.field().to_owned())
}
