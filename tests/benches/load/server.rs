use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The administrator that every device of the benchmark belongs to.
pub const EMAIL: &str = "bench@example.com";
/// Her password.
pub const PASSWORD: &str = "a password for benchmarks only";

/// The floor that the configuration allows: enrolling is not what is measured. A password is checked with the memory
/// that it was hashed with, so that whoever makes the user has to say it too.
const SMALL_HASHES: [(&str, &str); 2] =
    [("CARTERA_AUTH_PASSWORD_MEMORY_KIB", "19456"), ("CARTERA_AUTH_PASSWORD_PASSES", "2")];

/// The real server in a process of its own; ends with this value.
pub struct Server {
    pub url: String,
    pub started_in: Duration,
    process: Child,
    binary: PathBuf,
    data: PathBuf,
}

/// Makes a data folder with the one user.
pub fn prepare(data: &Path) -> Result<()> {
    let added = Command::new(binary("cartera")?)
        .args(["user", "add", EMAIL, "--role", "admin", "--name", "Bench", "--data"])
        .arg(data)
        .env("CARTERA_PASSWORD", PASSWORD)
        .envs(SMALL_HASHES)
        .output()?;
    ensure!(added.status.success(), "could not add the user: {}", String::from_utf8_lossy(&added.stderr));
    Ok(())
}

/// A release binary of this workspace.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = std::env::current_exe()?;
    let folder = folder.parent().and_then(Path::parent).context("the benchmark does not lie in a target folder")?;
    let binary = folder.join(name);
    ensure!(binary.exists(), "{} is missing: build it with `cargo build --release --bins`", binary.display());
    Ok(binary)
}

impl Server {
    /// Starts on a folder that [`prepare`] made.
    pub fn start(data: &Path) -> Result<Self> {
        let binary = binary("cartera")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = format!("http://127.0.0.1:{port}");
        let start = Instant::now();
        let process = Command::new(&binary)
            .args(["serve", "--data"])
            .arg(data)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .envs(SMALL_HASHES)
            .env("CARTERA_TELEMETRY_LOG_FILTER", "warn")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut server = Self { url, started_in: Duration::ZERO, process, binary, data: data.to_owned() };
        while ureq::get(format!("{}/livez", server.url)).call().is_err() {
            if let Some(status) = server.process.try_wait()? {
                bail!("the server ended before it answered: {status}");
            }
            ensure!(start.elapsed() < Duration::from_secs(30), "the server did not answer in 30 s");
            std::thread::sleep(Duration::from_millis(1));
        }
        server.started_in = start.elapsed();
        Ok(server)
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    /// Imports a file with the real command.
    pub fn import(&self, entity: &str, file: &Path) -> Result<()> {
        let output = Command::new(&self.binary)
            .args(["import", entity])
            .arg(file)
            .args(["--json", "--data"])
            .arg(&self.data)
            .output()?;
        ensure!(output.status.success(), "the import failed: {}", String::from_utf8_lossy(&output.stdout));
        Ok(())
    }

    /// Resident memory now and at its highest.
    pub fn memory(&self) -> Result<String> {
        let mut status = String::new();
        std::fs::File::open(format!("/proc/{}/status", self.process.id()))?.read_to_string(&mut status)?;
        let mebibytes = |name: &str| -> f64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
        };
        Ok(format!("{:.0} MiB resident, {:.0} MiB at most", mebibytes("VmRSS"), mebibytes("VmHWM")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
