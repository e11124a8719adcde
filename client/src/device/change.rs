//! From what a person writes to what a mutation says.

use crm::Fields;
use crm::model::{Entity, Field, FieldKind, MergeClass, Pipeline};
use crm::rules::{Finding, normalise};
use serde_json::Value;
use sync_protocol::store::lay;
use sync_protocol::wire::FieldOperation;

use super::{Action, Assignment, DeviceError};
use crate::message::say;
use crate::value::{LinkTargets, Surroundings, Unreadable, read};

/// A change of one record, field by field; at most one entry for each field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Change {
    pub set: Fields,
    pub ops: Vec<FieldOperation>,
}

impl Change {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.ops.is_empty()
    }

    /// The record as it would be.
    pub fn applied_to(&self, before: &Fields) -> Fields {
        let mut after = before.clone();
        lay(&mut after, &self.set, &self.ops);
        after
    }
}

/// What assignments depend on.
pub(super) struct Reader<'a> {
    pub entity: &'a Entity,
    /// The record as it is; empty for a new one.
    pub before: &'a Fields,
    pub today: i64,
    pub now_ms: i64,
    pub targets: &'a dyn LinkTargets,
}

impl Reader<'_> {
    /// The change that these assignments mean together; every one that means nothing is reported.
    pub fn read(&self, assignments: &[Assignment]) -> Result<Change, DeviceError> {
        let mut change = Change::default();
        let mut findings = Vec::new();
        for (index, Assignment { field: name, action }) in assignments.iter().enumerate() {
            if assignments[..index].iter().any(|earlier| earlier.field == *name) {
                return Err(DeviceError::Usage(say(
                    format!("«{name}» aparece dos veces; escribe cada campo una sola vez."),
                    format!("“{name}” is there twice; write each field once."),
                )));
            }
            let field = self
                .entity
                .field(name)
                .ok_or_else(|| DeviceError::UnknownField { entity: self.entity.name.clone(), field: name.clone() })?;
            match self.one(field, action) {
                Ok(part) => part.add_to(field, self.before, &mut change),
                Err(finding) => findings.push(finding),
            }
        }
        if findings.is_empty() {
            return Ok(change);
        }
        Err(DeviceError::Invalid { entity: self.entity.name.clone(), findings })
    }

    fn one(&self, field: &Field, action: &Action) -> Result<Part, Finding> {
        if matches!(field.merge, MergeClass::Derived | MergeClass::Server) || field.kind == FieldKind::Number {
            return Err(finding(
                field,
                "read-only",
                Unreadable(say(
                    format!("«{}» lo rellena el servidor.", field.labels.es),
                    format!("“{}” is filled by the server.", field.labels.en),
                )),
            ));
        }
        let current = self.before.get(&field.name);
        match action {
            Action::Clear => Ok(Part::Set(Value::Null)),
            Action::Set(text) => {
                let value = self.value(field, text)?;
                Ok(difference(field, current, &value).unwrap_or(Part::Set(value)))
            }
            Action::Add(text) => self.add(field, current, text),
            Action::Remove(text) => self.remove(field, current, text),
        }
    }

    fn value(&self, field: &Field, text: &str) -> Result<Value, Finding> {
        let around = Surroundings {
            today: self.today,
            now_ms: self.now_ms,
            current: self.before.get(&field.name),
            pipeline: pipeline(self.entity, field),
            targets: self.targets,
        };
        let value = read(field, text, &around).map_err(|unreadable| finding(field, "type", unreadable))?;
        normalise(field, value)
    }

    fn add(&self, field: &Field, current: Option<&Value>, text: &str) -> Result<Part, Finding> {
        let name = field.name.clone();
        if field.merge == MergeClass::Counter {
            let by = self.value(field, text)?;
            return Ok(Part::Op(FieldOperation::Increment { field: name, by: by.as_i64().unwrap_or(0) }));
        }
        let values = self.members(field, text)?;
        Ok(match field.merge {
            MergeClass::Set => Part::Op(FieldOperation::Add { field: name, values }),
            MergeClass::Append => Part::Op(FieldOperation::Append { field: name, values }),
            _ => {
                let mut all = current.and_then(Value::as_array).cloned().unwrap_or_default();
                all.extend(values);
                Part::Set(normalise(field, Value::Array(all))?)
            }
        })
    }

    fn remove(&self, field: &Field, current: Option<&Value>, text: &str) -> Result<Part, Finding> {
        let name = field.name.clone();
        if field.merge == MergeClass::Counter {
            let by = self.value(field, text)?;
            return Ok(Part::Op(FieldOperation::Increment { field: name, by: -by.as_i64().unwrap_or(0) }));
        }
        if field.merge == MergeClass::Append {
            return Err(finding(
                field,
                "append-only",
                Unreadable(say(
                    format!("En «{}» solo se añade; usa {name}+=texto.", field.labels.es),
                    format!("“{}” only grows; use {name}+=text.", field.labels.en),
                )),
            ));
        }
        let values = self.members(field, text)?;
        Ok(if field.merge == MergeClass::Set {
            Part::Op(FieldOperation::Remove { field: name, values })
        } else {
            let mut all = current.and_then(Value::as_array).cloned().unwrap_or_default();
            all.retain(|member| !values.iter().any(|gone| is_same_member(member, gone)));
            Part::Set(normalise(field, Value::Array(all))?)
        })
    }

    /// The members that a text means, for a field that has members.
    fn members(&self, field: &Field, text: &str) -> Result<Vec<Value>, Finding> {
        match self.value(field, text)? {
            Value::Array(members) => Ok(members),
            _ => Err(finding(
                field,
                "type",
                Unreadable(say(
                    format!("«{}» no es una lista; usa {}=valor.", field.labels.es, field.name),
                    format!("“{}” is no list; use {}=value.", field.labels.en, field.name),
                )),
            )),
        }
    }
}

/// What an assignment comes to.
enum Part {
    Set(Value),
    Op(FieldOperation),
}

impl Part {
    /// Adds it to a change, unless the field holds that already.
    fn add_to(self, field: &Field, before: &Fields, change: &mut Change) {
        let mut alone = Change::default();
        match self {
            Self::Set(value) => {
                alone.set.insert(field.name.clone(), value);
            }
            Self::Op(op) => alone.ops.push(op),
        }
        if alone.applied_to(before) != *before {
            change.set.append(&mut alone.set);
            change.ops.append(&mut alone.ops);
        }
    }
}

/// The operation that turns one set into another, where one is enough: it combines with what others did meanwhile,
/// which the whole set would not.
fn difference(field: &Field, current: Option<&Value>, wanted: &Value) -> Option<Part> {
    if field.merge != MergeClass::Set {
        return None;
    }
    let (current, wanted) = (current?.as_array()?, wanted.as_array()?);
    let missing_in = |list: &[Value], other: &[Value]| -> Vec<Value> {
        other.iter().filter(|member| !list.contains(member)).cloned().collect()
    };
    let name = field.name.clone();
    match (missing_in(current, wanted), missing_in(wanted, current)) {
        (added, removed) if removed.is_empty() => Some(Part::Op(FieldOperation::Add { field: name, values: added })),
        (added, removed) if added.is_empty() => Some(Part::Op(FieldOperation::Remove { field: name, values: removed })),
        _ => None,
    }
}

/// A member that a person names is the one with that main part, whatever its label.
fn is_same_member(member: &Value, named: &Value) -> bool {
    let main = |value: &Value| ["address", "raw"].iter().find_map(|key| value.get(key).cloned());
    match (main(member), main(named)) {
        (Some(member), Some(named)) => member == named,
        _ => member == named,
    }
}

/// The pipeline that a stage field names.
pub(super) fn pipeline<'a>(entity: &'a Entity, field: &Field) -> Option<&'a Pipeline> {
    match &field.kind {
        FieldKind::Stage { pipeline, .. } => entity.pipelines.get(pipeline),
        _ => None,
    }
}

fn finding(field: &Field, code: &'static str, Unreadable(message): Unreadable) -> Finding {
    Finding { field: field.name.clone(), code, message }
}

/// The change that assignments mean when nobody checks them: JSON where the text is that, else the text itself.
pub(super) fn unchecked(reader: &Reader, assignments: &[Assignment]) -> Change {
    let mut change = Change::default();
    for assignment in assignments {
        let checked = reader.entity.field(&assignment.field).and_then(|field| {
            let part = reader.one(field, &assignment.action).ok()?;
            Some((field, part))
        });
        match (checked, &assignment.action) {
            (Some((_, Part::Op(op))), _) => change.ops.push(op),
            (Some((field, Part::Set(value))), _) => {
                change.set.insert(field.name.clone(), value);
            }
            (None, Action::Clear) => {
                change.set.insert(assignment.field.clone(), Value::Null);
            }
            (None, Action::Set(text) | Action::Add(text) | Action::Remove(text)) => {
                let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
                change.set.insert(assignment.field.clone(), value);
            }
        }
    }
    change
}
