use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::answer::{agent, read};
use crate::command::{Ran, product, run};
use crate::company::{ADMIN, PASSWORD};
use crate::{Device, Person, Phone};

/// How long a server may take until it is ready, on a machine that has much else to do.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A server on a data folder of its own, with one administrator.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
    /// `KEY=VALUE` of its configuration.
    settings: Vec<String>,
    // Last: it goes when the process has ended.
    folder: TempDir,
}

impl Server {
    /// Starts a server on an empty folder, with [`ADMIN`] in it, and waits until it is ready.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with keys of its configuration set: `KEY=VALUE`.
    #[track_caller]
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let mut add = product("cartera");
        add.args(["user", "add", ADMIN, "--role", "admin", "--name", "Alba Gil", "--json", "--data"]).arg(&data);
        let _ = run_with_password(add).ok();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (process, address) = Process::start(&data, any, &settings).unwrap_or_else(|error| panic!("{error}"));
        Self { process, address, settings, folder }
    }

    /// The base of every address that it answers at.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder that holds everything it keeps.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Ends the process as a power cut would: it is told nothing and finishes nothing.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Kills it where it still runs, starts it on the same folder and address, and waits until it is ready.
    #[track_caller]
    pub fn restart(&mut self) {
        self.process.kill();
        let started = Instant::now();
        // Meanwhile somebody's connection may have been given the port; it will not keep it.
        self.process = loop {
            match Process::start(&self.data(), self.address, &self.settings) {
                Ok((process, _)) => break process,
                Err(error) => assert!(started.elapsed() < READY_WITHIN, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
    }

    /// Runs `cartera ARGUMENTS --json` on the server's folder.
    #[track_caller]
    #[must_use]
    pub fn cartera(&self, arguments: &[&str]) -> Ran {
        let mut command = product("cartera");
        command.args(arguments).args(["--json", "--data"]).arg(self.data());
        run_with_password(command)
    }

    /// Signs a person in.
    #[track_caller]
    #[must_use]
    pub fn person(&self, email: &str) -> Person {
        Person::sign_in(&self.url(), email)
    }

    /// Enrols a phone that does exactly what a story says.
    #[track_caller]
    #[must_use]
    pub fn phone(&self, email: &str) -> Phone {
        Phone::enrol(&self.url(), email)
    }

    /// Enrols a `cartera-device`.
    #[track_caller]
    #[must_use]
    pub fn device(&self, email: &str) -> Device {
        Device::enrol(&self.url(), email)
    }
}

#[track_caller]
fn run_with_password(mut command: std::process::Command) -> Ran {
    command.env("CARTERA_PASSWORD", PASSWORD);
    run(command)
}

/// The running process; it ends with this value.
#[derive(Debug)]
struct Process {
    child: Child,
    // Held open, so that nothing that the server says there fails.
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(data: &Path, listen: SocketAddr, settings: &[String]) -> Result<(Self, SocketAddr), String> {
        let started = Instant::now();
        let log = data.with_file_name("server.log");
        let mut child = product("cartera")
            .args(["serve", "--json", "--listen", &listen.to_string(), "--data"])
            .arg(data)
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .env("CARTERA_TELEMETRY_LOG_FILTER", "warn")
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("the folder takes a log"))
            .spawn()
            .expect("the server's command starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the server's output can be read");
        let process = Self { child, _stdout: stdout };
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let announced: Value = serde_json::from_str(&line)
            .map_err(|error| format!("the server announced {line:?} ({error}) and logged:\n{}", said()))?;
        let url = announced["url"].as_str().expect("it announces where it listens");
        let address = url.trim_start_matches("http://").parse().expect("it listens on a numeric address");
        let agent = agent();
        while !read(agent.get(format!("{url}/readyz")).call()).is_ok_and(|answer| answer.status == 200) {
            if started.elapsed() > READY_WITHIN {
                return Err(format!("the server was not ready in {READY_WITHIN:?}; it logged:\n{}", said()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok((process, address))
    }

    fn kill(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
