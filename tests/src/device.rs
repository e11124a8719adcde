use std::path::Path;

use tempfile::TempDir;

use crate::command::{Ran, product, run};
use crate::company::PASSWORD;

/// A `cartera-device` in a folder of its own.
#[derive(Debug)]
pub struct Device {
    home: TempDir,
}

impl Device {
    /// Makes a folder a device of whoever has that address, at a server or at what stands before it.
    #[track_caller]
    #[must_use]
    pub fn enrol(url: &str, email: &str) -> Self {
        let device = Self { home: tempfile::tempdir().expect("a temporary folder") };
        let _ = device.run(&["enrol", url, "--user", email]).ok();
        device
    }

    /// The folder that is the device.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs `cartera-device ARGUMENTS --json`, in English.
    #[track_caller]
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_in("en", arguments)
    }

    /// Runs it in another language.
    #[track_caller]
    #[must_use]
    pub fn run_in(&self, language: &str, arguments: &[&str]) -> Ran {
        let mut command = product("cartera-device");
        command.env("CARTERA_PASSWORD", PASSWORD);
        command.arg("--home").arg(self.home()).args(["--lang", language, "--json"]).args(arguments);
        run(command)
    }
}
