//! Reads values from their sources and collects everything that is wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::key::{KEYS, Key, Kind};
use jiff::tz::TimeZone;

use super::{Host, Network};

/// Where values come from; later ones win.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file: its path and its text.
    pub file: Option<(PathBuf, String)>,
    /// The environment; only variables that set a key are read.
    pub environment: Vec<(String, String)>,
    /// The command line: key and value.
    pub flags: Vec<(String, String)>,
}

/// Which source a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// That environment variable.
    Environment(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "the environment variable {variable}"),
            Self::Flag => f.write_str("the command line"),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key, or what stands in the place of one.
    pub key: String,
    /// Where it was set.
    pub origin: Origin,
    /// What is wrong, with the value and what is allowed.
    pub message: String,
}

/// Everything that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is wrong in {} place(s):", self.0.len())?;
        for ConfigProblem { key, origin, message } in &self.0 {
            write!(f, "\n  {key} {message} (set by {origin})")?;
        }
        Ok(())
    }
}

/// The values as they stand, key by key, and what is wrong with those read so far.
pub(super) struct Values {
    set: BTreeMap<String, (String, Origin)>,
    problems: Vec<ConfigProblem>,
}

impl Values {
    pub(super) fn gather(sources: &Sources) -> Self {
        let mut values = Self { set: BTreeMap::new(), problems: Vec::new() };
        if let Some((path, text)) = &sources.file {
            values.add_file(path, text);
        }
        for (name, value) in &sources.environment {
            // Others may name variables CARTERA_*, as Kubernetes does for a service of that name: they are not ours.
            if let Some(key) = KEYS.iter().find(|key| key.variable() == *name) {
                values.set.insert(key.name.into(), (value.clone(), Origin::Environment(name.clone())));
            }
        }
        for (name, value) in &sources.flags {
            values.add(name, value.clone(), Origin::Flag);
        }
        values
    }

    fn add_file(&mut self, path: &std::path::Path, text: &str) {
        let origin = Origin::File(path.to_owned());
        match text.parse::<toml::Table>() {
            Ok(table) => self.add_table("", &table, &origin),
            Err(error) => {
                let message = format!("cannot be read as TOML: {}", error.to_string().trim_end());
                self.problems.push(ConfigProblem { key: "the file".into(), origin, message });
            }
        }
    }

    fn add_table(&mut self, prefix: &str, table: &toml::Table, origin: &Origin) {
        for (name, value) in table {
            let name = format!("{prefix}{name}");
            match value {
                toml::Value::Table(inner) => self.add_table(&format!("{name}."), inner, origin),
                toml::Value::String(text) => self.add(&name, text.clone(), origin.clone()),
                other => self.add(&name, other.to_string(), origin.clone()),
            }
        }
    }

    fn add(&mut self, name: &str, value: String, origin: Origin) {
        if KEYS.iter().any(|key| key.name == name) {
            self.set.insert(name.to_owned(), (value, origin));
            return;
        }
        let message = match nearest(name) {
            Some(near) => format!("is not something that can be set; did you mean {near}?"),
            None => "is not something that can be set; docs/configuration.md lists all that can".into(),
        };
        self.problems.push(ConfigProblem { key: name.to_owned(), origin, message });
    }

    /// Notes that the key's value, or its absence, is not acceptable.
    pub(super) fn refuse(&mut self, name: &str, message: String) {
        let origin = self.set.get(name).map_or(Origin::Default, |(_, origin)| origin.clone());
        self.problems.push(ConfigProblem { key: name.to_owned(), origin, message });
    }

    pub(super) fn finish<T>(self, config: T) -> Result<T, ConfigErrors> {
        if self.problems.is_empty() { Ok(config) } else { Err(ConfigErrors(self.problems)) }
    }

    fn key(name: &str) -> &'static Key {
        KEYS.iter().find(|key| key.name == name).expect("only keys of the list are asked for; a test reads them all")
    }

    /// The text set for a key, its default else, `None` when both are empty.
    fn raw(&self, key: &Key) -> Option<String> {
        let set = self.set.get(key.name).map_or(key.default, |(value, _)| value.as_str()).trim();
        (!set.is_empty()).then(|| set.to_owned())
    }

    /// Parses what is set; where it is not allowed, the problem is noted and the default stands in for the rest of the check.
    fn parse<T>(&mut self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let key = Self::key(name);
        let text = self.raw(key);
        let parsed = text.as_deref().and_then(&parse);
        if parsed.is_none() && (text.is_some() || !key.default.is_empty()) {
            let said = text.map_or_else(|| "is empty".into(), |text| format!("is {text:?}"));
            self.refuse(name, format!("{said}; allowed is {}", key.kind.allowed()));
            return parse(key.default);
        }
        parsed
    }

    pub(super) fn address(&mut self, name: &str) -> SocketAddr {
        self.optional_address(name).expect("the default is an address")
    }

    pub(super) fn optional_address(&mut self, name: &str) -> Option<SocketAddr> {
        self.parse(name, |text| SocketAddr::from_str(text).ok())
    }

    pub(super) fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.parse(name, |text| (!text.is_empty()).then(|| PathBuf::from(text)))
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self, name: &str) -> T {
        let Kind::Number { min, max } = Self::key(name).kind else {
            unreachable!("{name} is read as a number and is none")
        };
        let allowed = |text: &str| {
            let number = text.replace('_', "").parse::<u64>().ok().filter(|number| (min..=max).contains(number));
            number.and_then(|number| T::try_from(number).ok())
        };
        self.parse(name, allowed).expect("the default is a number that is allowed")
    }

    pub(super) fn seconds(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.number(name))
    }

    pub(super) fn choice(&mut self, name: &str) -> &'static str {
        let Kind::Choice(words) = Self::key(name).kind else { unreachable!("{name} is read as a choice and is none") };
        self.parse(name, |text| words.iter().find(|word| **word == text).copied()).expect("the default is a choice")
    }

    pub(super) fn networks(&mut self, name: &str) -> Vec<Network> {
        let all = |text: &str| text.split(',').map(|one| one.trim().parse().ok()).collect();
        self.parse(name, all).unwrap_or_default()
    }

    pub(super) fn time_zone(&mut self, name: &str) -> TimeZone {
        self.parse(name, |text| TimeZone::get(text).ok()).expect("the default is a time zone")
    }

    pub(super) fn hosts(&mut self, name: &str) -> Vec<Host> {
        let all = |text: &str| text.split(',').map(|one| one.trim().parse().ok()).collect();
        self.parse(name, all).unwrap_or_default()
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let kind = Self::key(name).kind;
        self.parse(name, |text| {
            let allowed = match kind {
                Kind::Url => text
                    .strip_prefix("https://")
                    .or_else(|| text.strip_prefix("http://"))
                    .is_some_and(|host| host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')),
                Kind::Contact => text
                    .strip_prefix("mailto:")
                    .map(|address| address.contains('@'))
                    .or_else(|| text.strip_prefix("https://").map(|host| !host.is_empty()))
                    .is_some_and(|is_contact| is_contact && !text.contains(char::is_whitespace)),
                Kind::LogFilter => tracing_subscriber::EnvFilter::try_new(text).is_ok(),
                _ => true,
            };
            (allowed && !text.is_empty()).then(|| text.to_owned())
        })
    }
}

/// The key that was probably meant: the same last part, or all but two letters the same.
fn nearest(name: &str) -> Option<&'static str> {
    let last = |name: &'_ str| name.rsplit('.').next().map(str::to_owned);
    let same_end = KEYS.iter().find(|key| last(key.name) == last(name));
    same_end.or_else(|| KEYS.iter().find(|key| distance(key.name, name) <= 2)).map(|key| key.name)
}

/// Letters to add, drop or change to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}
