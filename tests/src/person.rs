use serde_json::{Value, json};
use ureq::Agent;

use crate::answer::{Answer, agent, read};
use crate::company::PASSWORD;
use crate::wait::wait_until;

/// Somebody who is signed in, without a device: the REST API.
#[derive(Clone, Debug)]
pub struct Person {
    agent: Agent,
    url: String,
    token: String,
    /// The user record.
    pub user: String,
}

impl Person {
    #[track_caller]
    pub(crate) fn sign_in(url: &str, email: &str) -> Self {
        let mut person = Self { agent: agent(), url: url.to_owned(), token: String::new(), user: String::new() };
        let session = person.post("/api/v1/sessions", &json!({"email": email, "password": PASSWORD})).ok();
        let text = |key: &str| session[key].as_str().unwrap_or_else(|| panic!("{key} in {session}")).to_owned();
        (person.token, person.user) = (text("token"), text("user"));
        person
    }

    /// `GET`; what a query holds has to be percent-encoded.
    #[track_caller]
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        let request = self.agent.get(format!("{}{path}", self.url)).header("authorization", self.bearer());
        read(request.call()).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// `GET` of a file.
    #[track_caller]
    #[must_use]
    pub fn get_bytes(&self, path: &str) -> Vec<u8> {
        let request = self.agent.get(format!("{}{path}", self.url)).header("authorization", self.bearer());
        let read = request.call().and_then(|mut answer| answer.body_mut().read_to_vec());
        read.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// `POST` of JSON.
    #[track_caller]
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let mut request = self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        if !self.token.is_empty() {
            request = request.header("authorization", self.bearer());
        }
        read(request.send(body.to_string())).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// `PATCH` of JSON.
    #[track_caller]
    #[must_use]
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        let request = self.agent.patch(format!("{}{path}", self.url)).header("content-type", "application/json");
        let answer = read(request.header("authorization", self.bearer()).send(body.to_string()));
        answer.unwrap_or_else(|error| panic!("PATCH {path}: {error}"))
    }

    /// `PUT` of a file's bytes.
    #[track_caller]
    #[must_use]
    pub fn put_file(&self, path: &str, bytes: &[u8]) -> Answer {
        let request = self.agent.put(format!("{}{path}", self.url)).header("content-type", "application/octet-stream");
        let answer = read(request.header("authorization", self.bearer()).send(bytes));
        answer.unwrap_or_else(|error| panic!("PUT {path}: {error}"))
    }

    /// `DELETE`.
    #[track_caller]
    #[must_use]
    pub fn delete(&self, path: &str) -> Answer {
        let request = self.agent.delete(format!("{}{path}", self.url)).header("authorization", self.bearer());
        read(request.call()).unwrap_or_else(|error| panic!("DELETE {path}: {error}"))
    }

    /// Makes a record; returns its id.
    #[track_caller]
    #[must_use]
    pub fn create(&self, entity: &str, fields: &Value) -> String {
        let made = self.post(&format!("/api/v1/{entity}"), &json!({"fields": fields})).ok();
        made["id"].as_str().expect("a new record has an id").to_owned()
    }

    /// Sets fields of a record, whatever they hold now.
    #[track_caller]
    pub fn set(&self, entity: &str, id: &str, fields: &Value) {
        let _ = self.patch(&format!("/api/v1/{entity}/{id}"), &json!({"set": fields})).ok();
    }

    /// How many records of an entity this person sees.
    #[track_caller]
    #[must_use]
    pub fn count(&self, entity: &str) -> u64 {
        let summary = self.get(&format!("/api/v1/{entity}/summary")).ok();
        summary["count"].as_u64().unwrap_or_else(|| panic!("a summary counts: {summary}"))
    }

    /// How many children wait to follow a parent that moved; for an administrator to ask.
    #[track_caller]
    #[must_use]
    pub fn following(&self) -> u64 {
        self.get("/api/v1/moves").ok()["following"]["records"].as_u64().expect("a number")
    }

    /// Waits until all children have followed.
    #[track_caller]
    pub fn wait_for_children(&self) {
        wait_until("the last child", || self.following() == 0);
    }

    /// The session's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}
