//! From file, environment and command line to one checked configuration.

use std::path::PathBuf;

use super::output::Failure;
use super::{Command, Global};
use crate::platform::config::{Config, Sources};

pub(super) fn read(global: &Global, command: &Command) -> Result<Config, Failure> {
    let mut flags = Vec::new();
    for setting in &global.settings {
        let (key, value) = setting.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--set takes KEY=VALUE, such as --set auth.session_secs=3600, not {setting:?}"))
        })?;
        flags.push((key.trim().to_owned(), value.to_owned()));
    }
    if let Some(data) = &global.data {
        flags.push(("data_dir".into(), data.display().to_string()));
    }
    if let Command::Serve(serve) = command {
        flags.extend(serve.listen.iter().map(|address| ("listen".to_owned(), address.clone())));
    }
    if let Command::Demo(demo) = command {
        flags.extend(demo.listen.iter().map(|address| ("listen".to_owned(), address.clone())));
        // Whatever is configured for a server, a demo keeps to a folder of its own.
        if global.data.is_none() {
            flags.push(("data_dir".into(), super::demo::DATA_DIR.into()));
        }
    }
    let file = match global.config.clone().or_else(|| std::env::var_os("CARTERA_CONFIG").map(PathBuf::from)) {
        None => None,
        Some(path) => match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            Err(error) => {
                return Err(Failure::new(
                    "configuration",
                    "The configuration is wrong.",
                    format!("could not read the configuration file {}: {error}", path.display()),
                ));
            }
        },
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Config::read(&Sources { file, environment, flags }).map_err(|errors| {
        let problems: Vec<_> = errors
            .0
            .iter()
            .map(|problem| {
                serde_json::json!({
                    "key": problem.key,
                    "origin": problem.origin.to_string(),
                    "message": problem.message,
                })
            })
            .collect();
        Failure::new("configuration", "The configuration is wrong.", errors.to_string()).fact("problems", problems)
    })
}
