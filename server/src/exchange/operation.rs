//! Operations as they go on the wire, written from what is stored without parsing it where nothing has to be left out.

use std::collections::BTreeMap;
use std::fmt::Write;

use crm::rules::Projection;
use serde_json::value::RawValue;
use sync_protocol::fault::{Fault, is_seeded};
use sync_protocol::id::{ScopeId, Sequence};
use uuid::Uuid;

/// A JSON array of operations under construction.
#[derive(Debug)]
pub(super) struct Operations {
    json: String,
    /// How many there are.
    pub(super) count: usize,
}

impl Operations {
    pub(super) fn new() -> Self {
        Self { json: String::from("["), count: 0 }
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.json.len()
    }

    pub(super) fn finish(mut self) -> String {
        self.json.push(']');
        self.json
    }

    fn next(&mut self) -> &mut String {
        if self.count > 0 {
            self.json.push(',');
        }
        self.count += 1;
        &mut self.json
    }

    /// A whole record; `body` is its stored JSON, cut down to what the projection shows.
    pub(super) fn put(
        &mut self,
        head: &Head<'_>,
        body: &str,
        projection: &Projection,
    ) -> Result<(), serde_json::Error> {
        let entity = head.entity;
        let json = self.next();
        push(
            json,
            format_args!("{{\"op\":\"put\",\"entity\":\"{entity}\",\"id\":\"{}\",\"seq\":{},", head.id, head.seq),
        );
        push_scopes(json, head.scopes);
        json.push_str(",\"set\":");
        if projection.is_whole() || is_seeded(Fault::ShowHiddenFields) {
            json.push_str(body);
        } else {
            let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_str(body)?;
            fields.retain(|name, _| projection.shows(name));
            json.push_str(&serde_json::to_string(&fields)?);
        }
        json.push('}');
        Ok(())
    }

    /// The fields `names` of a record that the device has.
    pub(super) fn put_partial(&mut self, head: &Head<'_>, body: &str, names: &[&str]) -> Result<(), serde_json::Error> {
        let fields: BTreeMap<&str, &RawValue> = serde_json::from_str(body)?;
        let set: BTreeMap<&str, Option<&RawValue>> =
            names.iter().map(|name| (*name, fields.get(name).copied())).collect();
        let set = serde_json::to_string(&set)?;
        let entity = head.entity;
        let json = self.next();
        push(
            json,
            format_args!("{{\"op\":\"put\",\"entity\":\"{entity}\",\"id\":\"{}\",\"seq\":{},", head.id, head.seq),
        );
        push_scopes(json, head.scopes);
        push(json, format_args!(",\"partial\":true,\"set\":{set}}}"));
        Ok(())
    }

    pub(super) fn acknowledged(&mut self, head: &Head<'_>) {
        let json = self.next();
        push(json, format_args!("{{\"op\":\"acknowledged\",\"id\":\"{}\",\"seq\":{},", head.id, head.seq));
        push_scopes(json, head.scopes);
        json.push('}');
    }

    pub(super) fn delete(&mut self, id: Uuid, seq: Sequence) {
        push(self.next(), format_args!("{{\"op\":\"delete\",\"id\":\"{id}\",\"seq\":{seq}}}"));
    }

    pub(super) fn exit(&mut self, id: Uuid, seq: Sequence) {
        push(self.next(), format_args!("{{\"op\":\"exit\",\"id\":\"{id}\",\"seq\":{seq}}}"));
    }

    pub(super) fn scope_add(&mut self, scope: ScopeId) {
        push(self.next(), format_args!("{{\"op\":\"scope_add\",\"scope\":{scope}}}"));
    }

    pub(super) fn scope_drop(&mut self, scope: ScopeId) {
        push(self.next(), format_args!("{{\"op\":\"scope_drop\",\"scope\":{scope}}}"));
    }
}

/// What every operation on a record begins with.
pub(super) struct Head<'a> {
    pub(super) entity: &'a str,
    pub(super) id: Uuid,
    pub(super) seq: Sequence,
    pub(super) scopes: &'a [ScopeId],
}

fn push_scopes(json: &mut String, scopes: &[ScopeId]) {
    json.push_str("\"scopes\":[");
    for (index, scope) in scopes.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        push(json, format_args!("{scope}"));
    }
    json.push(']');
}

fn push(json: &mut String, arguments: std::fmt::Arguments<'_>) {
    json.write_fmt(arguments).expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crm::model::{Model, Permission};
    use serde_json::json;
    use sync_protocol::id::RecordId;
    use sync_protocol::wire::Operation;

    use super::*;

    /// What is written by hand must read back as the protocol's own type.
    #[test]
    fn written_operations_read_back_as_the_wire_type() {
        let model = Model::core();
        let contact = model.entity("contact").expect("the core model has contacts");
        let whole = Projection::of(contact, &Permission { levels: vec![0, 1, 2], ..Permission::default() });
        let id = Uuid::from_u128(7);
        let head = Head { entity: "contact", id, seq: 9, scopes: &[1, 4] };
        let mut operations = Operations::new();
        operations.put(&head, r#"{"last_name":"Núñez"}"#, &whole).expect("valid JSON");
        operations.put_partial(&head, r#"{"last_name":"Núñez"}"#, &["job_title", "last_name"]).expect("valid JSON");
        operations.acknowledged(&head);
        operations.delete(id, 10);
        operations.exit(id, 11);
        operations.scope_add(4);
        operations.scope_drop(5);

        let read: Vec<Operation> = serde_json::from_str(&operations.finish()).expect("the wire type reads it");
        let (entity, id) = ("contact".to_owned(), RecordId(id));
        let scopes = vec![1, 4];
        let last_name = ("last_name".to_owned(), json!("Núñez"));
        assert_eq!(
            read,
            [
                Operation::Put {
                    entity: entity.clone(),
                    id,
                    seq: 9,
                    scopes: scopes.clone(),
                    partial: false,
                    set: BTreeMap::from([last_name.clone()])
                },
                Operation::Put {
                    entity,
                    id,
                    seq: 9,
                    scopes: scopes.clone(),
                    partial: true,
                    set: BTreeMap::from([("job_title".to_owned(), json!(null)), last_name]),
                },
                Operation::Acknowledged { id, seq: 9, scopes },
                Operation::Delete { id, seq: 10 },
                Operation::Exit { id, seq: 11 },
                Operation::ScopeAdd { scope: 4 },
                Operation::ScopeDrop { scope: 5 },
            ]
        );
    }
}
