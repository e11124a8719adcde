use std::collections::BTreeMap;

use serde_json::{Value, json};
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::wire::{Mutation, MutationKind, Operation, Outcome, Verdict};
use ureq::http::Method;

use crate::check::{Unmet, broken, ensure};
use crate::http::{Answer, Client};
use crate::machine;
use crate::phone::Phone;
use crate::report::LeftBehind;
use crate::subject::{Probe, Subject, subjects};
use crate::target::{Person, Target, TargetError};

/// Rounds in which records are deleted that others of the suite's were in the way of.
const TIDYING_ROUNDS: usize = 3;

/// All that one run makes, and takes away again.
pub struct World {
    client: Client,
    url: String,
    user: Person,
    other: Option<Person>,
    subjects: Vec<Subject>,
    /// By record, its entity: made by a check and perhaps still there.
    made: BTreeMap<RecordId, String>,
    /// The devices, by the token that ends them.
    devices: Vec<(String, String)>,
    names: u64,
}

/// What enrolling gives.
struct Enrolled {
    device: String,
    token: String,
    model: String,
}

impl World {
    /// Enrols a first device and reads the model.
    pub fn open(target: &Target) -> Result<Self, TargetError> {
        let client = Client::new(target)?;
        let enrolment = |reason: String| TargetError::Enrolment {
            email: target.user.email.clone(),
            url: target.url().to_owned(),
            reason,
        };
        let enrolled = enrol(&client, &target.user).map_err(|unmet| enrolment(told(unmet)))?;
        let mut world = Self {
            client,
            url: target.url().to_owned(),
            user: target.user.clone(),
            other: target.other.clone(),
            subjects: Vec::new(),
            made: BTreeMap::new(),
            devices: vec![(enrolled.device, enrolled.token.clone())],
            names: 0,
        };
        let model = world.read_model(&enrolled.token, &enrolled.model);
        let model = model.map_err(|unmet| TargetError::Model { url: world.url.clone(), reason: told(unmet) })?;
        world.subjects = subjects(&model);
        if let Some(entity) = &target.entity {
            world.subjects.retain(|subject| subject.entity == *entity && subject.needs.is_empty());
        }
        if world.subjects.first().is_some_and(|subject| !subject.needs.is_empty()) {
            world.subjects.clear();
        }
        if world.subjects.is_empty() {
            world.end_devices();
            let reason = match &target.entity {
                Some(entity) => format!(
                    "`{entity}` is no entity of which {} can make a record from a title alone",
                    world.user.email
                ),
                None => format!("{} can make, change and delete no record from a title alone", world.user.email),
            };
            return Err(TargetError::NoSubject { reason });
        }
        Ok(world)
    }

    fn read_model(&self, token: &str, hash: &str) -> Result<Value, Unmet> {
        let bearer = format!("Bearer {token}");
        self.client.send(Method::GET, &format!("/sync/v1/model/{hash}"), &[("authorization", &bearer)], b"")?.ok()
    }

    /// The entity that most checks use.
    pub fn subject(&self) -> &Subject {
        &self.subjects[0]
    }

    /// An entity with a field of that merge class, and the field.
    pub fn probe(&self, class: &str) -> Result<(Subject, Probe), Unmet> {
        let found =
            self.subjects.iter().find_map(|subject| Some((subject.clone(), subject.classes.get(class)?.clone())));
        found.ok_or_else(|| {
            Unmet::Unchecked(format!("no entity that the suite can make records of has a field of the class `{class}`"))
        })
    }

    /// An entity with a field that names files, and the field.
    pub fn files(&self) -> Result<(Subject, String), Unmet> {
        let found = self.subjects.iter().find_map(|subject| Some((subject.clone(), subject.files.clone()?)));
        found.ok_or_else(|| {
            Unmet::Unchecked("no entity that the suite can make records of has a field for files of any kind".into())
        })
    }

    /// Any request to the server.
    pub fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Unmet> {
        self.client.send(method, path, headers, body)
    }

    /// A new device of the suite's user; it knows nothing yet.
    pub fn phone(&mut self) -> Result<Phone, Unmet> {
        let user = self.user.clone();
        self.phone_of(&user)
    }

    /// A new device of hers, in step with the server.
    pub fn phone_in_step(&mut self) -> Result<Phone, Unmet> {
        let mut phone = self.phone()?;
        phone.pull()?;
        Ok(phone)
    }

    /// The id of the user record of the suite's user.
    pub fn own_user(&mut self) -> Result<RecordId, Unmet> {
        let enrolled = enrol_answer(&self.client, &self.user)?;
        self.admit(read_enrolled(&enrolled)?);
        user_of(&enrolled)
    }

    /// A device of the other person in step with the server, and the id of her user record.
    pub fn other_in_step(&mut self) -> Result<(Phone, RecordId), Unmet> {
        let Some(other) = self.other.clone() else {
            return Err(Unmet::Unchecked("nobody was named with --other who sees less than the first user".into()));
        };
        let enrolled = enrol_answer(&self.client, &other)?;
        let user = user_of(&enrolled)?;
        let mut phone = self.admit(read_enrolled(&enrolled)?);
        phone.pull()?;
        Ok((phone, user))
    }

    fn phone_of(&mut self, person: &Person) -> Result<Phone, Unmet> {
        let enrolled = enrol(&self.client, person)?;
        Ok(self.admit(enrolled))
    }

    fn admit(&mut self, enrolled: Enrolled) -> Phone {
        self.devices.push((enrolled.device, enrolled.token.clone()));
        Phone::new(self.client.clone(), enrolled.token)
    }

    /// Signs a device out.
    pub fn sign_out(&mut self, phone: &Phone) -> Result<(), Unmet> {
        let Some(at) = self.devices.iter().position(|(_, token)| *token == phone.token) else {
            return broken("the device was not enrolled here");
        };
        let (device, _) = self.devices.remove(at);
        let answer = phone.ask(Method::DELETE, &format!("/api/v1/devices/{device}"), &[], b"")?;
        ensure(answer.is_ok(), || format!("a device that signs out was answered with {}", answer.shown()))
    }

    /// The token of a session that belongs to no device.
    pub fn session(&mut self) -> Result<String, Unmet> {
        let body = json!({"email": self.user.email, "password": self.user.password}).to_string();
        let headers = [("content-type", "application/json")];
        let session = self.client.send(Method::POST, "/api/v1/sessions", &headers, body.as_bytes())?.ok()?;
        crate::phone::read(&session, "token")
    }

    /// A name that no record has.
    pub fn name(&mut self) -> String {
        self.names += 1;
        format!("Conformance {} {}", machine::now_ms(), self.names)
    }

    /// An id that no record has; whatever gets it is deleted at the end.
    pub fn new_record(&mut self, entity: &str) -> RecordId {
        let id = machine::new_record_id();
        self.made.insert(id, entity.to_owned());
        id
    }

    /// The records of an entity that were made, and are perhaps still there.
    pub fn made_of(&self, entity: &str) -> Vec<RecordId> {
        self.made.iter().filter(|(_, made)| *made == entity).map(|(id, _)| *id).collect()
    }

    /// A mutation of a device that makes a record of the first subject, not sent yet.
    pub fn creation(&mut self, phone: &mut Phone) -> Mutation {
        let subject = self.subject().clone();
        let fields = subject.fields(&self.name(), &json!({}));
        let record = self.new_record(&subject.entity);
        phone.mutation(MutationKind::Create, &subject.entity, record, 0, &fields)
    }

    /// Makes a record of the first subject with these fields besides its title; returns it with its sequence.
    pub fn make(&mut self, phone: &mut Phone, more: &Value) -> Result<(RecordId, Sequence), Unmet> {
        let subject = self.subject().clone();
        self.make_of(&subject, phone, more)
    }

    /// Makes a record of a subject.
    pub fn make_of(
        &mut self,
        subject: &Subject,
        phone: &mut Phone,
        more: &Value,
    ) -> Result<(RecordId, Sequence), Unmet> {
        let mut fields = subject.fields(&self.name(), more);
        for (link, entity) in &subject.needs {
            let needed = self.subjects.iter().find(|needed| needed.needs.is_empty() && needed.entity == *entity);
            let Some(needed) = needed.cloned() else { return broken(format!("the model has no `{entity}`")) };
            fields[link] = json!(self.make_of(&needed, phone, &json!({}))?.0);
        }
        let id = self.new_record(&subject.entity);
        let mutation = phone.mutation(MutationKind::Create, &subject.entity, id, 0, &fields);
        let outcome = phone.push_one(&mutation)?;
        expect_done(&outcome)?;
        phone.note_own(&mutation, outcome.seq);
        Ok((id, outcome.seq))
    }

    /// Deletes what was made and ends the devices; returns what could not be deleted, and why.
    pub fn tidy(&mut self) -> Vec<LeftBehind> {
        let mut left = BTreeMap::new();
        for _ in 0..TIDYING_ROUNDS {
            match self.delete_made() {
                Ok(still_there) => left = still_there,
                Err(unmet) => {
                    let reason = told(unmet);
                    left = self.made.iter().map(|(id, entity)| (*id, (entity.clone(), reason.clone()))).collect();
                }
            }
            if left.is_empty() {
                break;
            }
        }
        self.end_devices();
        left.into_iter().map(|(id, (entity, reason))| LeftBehind { entity, id, reason }).collect()
    }

    fn delete_made(&mut self) -> Result<BTreeMap<RecordId, (String, String)>, Unmet> {
        let mut left = BTreeMap::new();
        if self.made.is_empty() {
            return Ok(left);
        }
        let mut phone = self.phone_in_step()?;
        // What the device was not given is gone, or was never made.
        let told = std::mem::take(&mut phone.records);
        self.made.retain(|id, _| told.contains_key(id));
        let mut mutations = Vec::new();
        for (id, entity) in &self.made {
            let base = told.get(id).map_or(0, |told| told.seq);
            mutations.push(phone.mutation(MutationKind::Delete, entity, *id, base, &json!({})));
        }
        for chunk in mutations.chunks(100) {
            for (mutation, outcome) in chunk.iter().zip(phone.push(chunk)?) {
                let code = outcome.reason.as_ref().map(|reason| reason.code.clone()).unwrap_or_default();
                if outcome.verdict == Verdict::Rejected && code != "not-found" {
                    let reason = outcome.reason.map(|reason| reason.message).unwrap_or_default();
                    left.insert(mutation.record, (mutation.entity.clone(), reason));
                } else {
                    self.made.remove(&mutation.record);
                }
            }
        }
        Ok(left)
    }

    fn end_devices(&mut self) {
        for (device, token) in std::mem::take(&mut self.devices) {
            let bearer = format!("Bearer {token}");
            let path = format!("/api/v1/devices/{device}");
            // A device that is left has no session that anybody knows: nothing hangs on it.
            drop(self.client.send(Method::DELETE, &path, &[("authorization", &bearer)], b""));
        }
    }
}

fn enrol(client: &Client, person: &Person) -> Result<Enrolled, Unmet> {
    read_enrolled(&enrol_answer(client, person)?)
}

fn enrol_answer(client: &Client, person: &Person) -> Result<Value, Unmet> {
    let body = json!({
        "email": person.email,
        "password": person.password,
        "name": "cartera conformance",
        "platform": concat!("conformance suite ", env!("CARGO_PKG_VERSION")),
    });
    let headers = [("content-type", "application/json")];
    client.send(Method::POST, "/api/v1/devices", &headers, body.to_string().as_bytes())?.ok()
}

fn read_enrolled(enrolled: &Value) -> Result<Enrolled, Unmet> {
    let text = |key| crate::phone::read::<String>(enrolled, key);
    Ok(Enrolled { device: text("device")?, token: text("token")?, model: text("model")? })
}

fn user_of(enrolled: &Value) -> Result<RecordId, Unmet> {
    crate::phone::read(enrolled, "user")
}

fn told(unmet: Unmet) -> String {
    match unmet {
        Unmet::Broken(seen) | Unmet::Unchecked(seen) => seen,
    }
}

/// Goes on only where the mutation was applied, or merged.
pub fn expect_done(outcome: &Outcome) -> Result<(), Unmet> {
    match outcome.verdict {
        Verdict::Applied | Verdict::Merged => Ok(()),
        Verdict::Rejected | Verdict::Deferred => broken(format!("a mutation that is right came to {}", shown(outcome))),
    }
}

/// Goes on only where the mutation was rejected with that code.
pub fn expect_rejected(outcome: &Outcome, code: &str) -> Result<(), Unmet> {
    let is_so =
        outcome.verdict == Verdict::Rejected && outcome.reason.as_ref().is_some_and(|reason| reason.code == code);
    if is_so { Ok(()) } else { broken(format!("`rejected` with `{code}` was expected, this came: {}", shown(outcome))) }
}

/// An outcome in one line.
pub fn shown(outcome: &Outcome) -> String {
    json!(outcome).to_string()
}

/// Operations in one line.
pub fn shown_all(operations: &[Operation]) -> String {
    const MOST: usize = 6;
    let mut text: Vec<String> = operations.iter().take(MOST).map(|operation| json!(operation).to_string()).collect();
    if operations.len() > MOST {
        text.push(format!("… and {} more", operations.len() - MOST));
    }
    if text.is_empty() { "no operations".to_owned() } else { text.join(" ") }
}
