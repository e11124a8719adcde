//! Those who work with a tenant: its first administrator, and her phone.

use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cartera_cluster::Node;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::ended_well;
use crate::platform::{Platform, binary};

const OWN_PASSWORD: &str = "one that only she knows";

/// The first administrator of a tenant.
#[derive(Clone, Debug)]
pub struct Administrator {
    tenant: String,
    email: String,
    /// Where pods and the node reach the server.
    url: String,
}

impl Administrator {
    /// Signs in with the password that was made for her, and chooses her own.
    pub fn claim(platform: &Platform, tenant: &str, email: &str, given: &str, url: &str) -> Result<Self> {
        let forwarded = platform.forward(tenant)?;
        let base = format!("http://127.0.0.1:{}/api/v1", forwarded.port);
        let token = post(&format!("{base}/sessions"), None, &json!({ "email": email, "password": given }))?;
        let token = token["token"].as_str().context("a token")?.to_owned();
        let bearer = format!("Bearer {token}");
        let me: Value = read(ureq::get(format!("{base}/me")).header("authorization", &bearer).call()?)?;
        let own = format!("{base}/users/{}/password", me["user"].as_str().context("an id")?);
        post(&own, Some(&bearer), &json!({ "password": OWN_PASSWORD, "old_password": given }))?;
        Ok(Self { tenant: tenant.to_owned(), email: email.to_owned(), url: url.to_owned() })
    }

    /// Enrols a device that is no more than its token.
    pub fn enrol_by_rest(&self, platform: &Platform) -> Result<String> {
        let forwarded = platform.forward(&self.tenant)?;
        let url = format!("http://127.0.0.1:{}/api/v1/devices", forwarded.port);
        let device = json!({ "email": self.email, "password": OWN_PASSWORD, "name": "Tablet", "platform": "test" });
        Ok(post(&url, None, &device)?["token"].as_str().context("a token")?.to_owned())
    }
}

fn post(url: &str, bearer: Option<&str>, body: &Value) -> Result<Value> {
    let mut request = ureq::post(url).header("content-type", "application/json");
    if let Some(bearer) = bearer {
        request = request.header("authorization", bearer);
    }
    let answer = request.send(body.to_string()).with_context(|| format!("could not post to {url}"))?;
    if answer.status() == 204 { Ok(Value::Null) } else { read(answer) }
}

fn read(answer: ureq::http::Response<ureq::Body>) -> Result<Value> {
    let text = answer.into_body().read_to_string()?;
    serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
}

/// `cartera-device`, in the network of the node: there the address of a Service leads to its pod.
pub struct Phone<'a> {
    node: &'a Node,
    owner: Administrator,
    home: tempfile::TempDir,
}

impl<'a> Phone<'a> {
    pub fn enrol(node: &'a Node, owner: &Administrator) -> Result<Self> {
        let home = tempfile::tempdir().context("a temporary folder")?;
        let phone = Self { node, owner: owner.clone(), home };
        phone.run(&["enrol", &owner.url, "--user", &owner.email, "--plain-http"])?;
        Ok(phone)
    }

    pub fn owner(&self) -> &Administrator {
        &self.owner
    }

    pub fn sync(&self) -> Result<()> {
        self.run(&["sync"]).map(|_| ())
    }

    /// Syncs where that must be refused; what is said then.
    pub fn refused_sync(&self) -> Result<Value> {
        let output = self.command(&["sync"])?;
        ensure!(!output.status.success(), "it was let in: {}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).context("it prints why as JSON")
    }

    /// Where it reaches its server.
    pub fn server(&self) -> Result<String> {
        let server = self.store()?.query_row("SELECT server FROM identity", [], |row| row.get(0));
        server.context("an enrolled device has a server")
    }

    /// Has it go to another server with all that it is; returns where it went before.
    pub fn lead_to(&self, server: &str) -> Result<String> {
        let before = self.server()?;
        let changed = self.store()?.execute("UPDATE identity SET server = ?1", [server])?;
        ensure!(changed == 1 && self.server()? == server, "it goes to {}", self.server()?);
        Ok(before)
    }

    fn store(&self) -> Result<Connection> {
        Connection::open(self.home.path().join("device.db")).context("could not open the device's store")
    }

    /// Syncs, however long the server takes to come back.
    pub fn sync_at_last(&self) -> Result<()> {
        let began = Instant::now();
        while let Err(error) = self.sync() {
            if began.elapsed() > Duration::from_mins(2) {
                bail!(error.context("for two minutes nothing could be synced"));
            }
            sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    pub fn make_account(&self, name: &str) -> Result<()> {
        self.run(&["new", "account", &format!("name={name}")]).map(|_| ())
    }

    /// The names of the accounts that are on the phone and wait for nothing.
    pub fn accounts(&self) -> Result<Vec<String>> {
        let listed = self.run(&["list", "account", "--limit", "10000"])?;
        let names = listed["records"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|record| record["fields"]["name"].as_str().map(str::to_owned));
        Ok(names.collect())
    }

    fn run(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.command(arguments)?;
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        ended_well(output.status, &format!("cartera-device {}", arguments.join(" ")), &said)?;
        serde_json::from_slice(&output.stdout).context("it prints JSON")
    }

    fn command(&self, arguments: &[&str]) -> Result<Output> {
        let mut command: Command = self.node.command(binary("cartera-device")?);
        command.arg("--home").arg(self.home.path()).arg("--json").args(arguments);
        command.env("CARTERA_PASSWORD", OWN_PASSWORD).output().context("could not run cartera-device")
    }
}
