use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use crm::model::Language;

/// A phone for the terminal: carries a user's records, works without a network, and syncs when told to.
#[derive(Debug, Parser)]
#[command(
    name = "cartera-device",
    version,
    after_help = "Example:
  echo \"$PASSWORD\" | cartera-device --home ~/phone enrol http://localhost:8080 --user ana@example.com
  cartera-device --home ~/phone sync
  cartera-device --home ~/phone list opportunity --where \"stage.kind == 'open'\" --limit 10
  cartera-device --home ~/phone set opportunity 0191… stage=won amount='1234.56 EUR'
  cartera-device --home ~/phone sync"
)]
pub struct Cli {
    /// The device's folder; made by `enrol`.
    #[arg(long, global = true, value_name = "DIR", env = "CARTERA_DEVICE_HOME")]
    pub home: Option<PathBuf>,
    /// One JSON document on standard output, problems too.
    #[arg(long, global = true)]
    pub json: bool,
    /// Language of sentences and labels; that of the environment when absent.
    #[arg(long, global = true, value_enum, env = "CARTERA_LANG")]
    pub lang: Option<Lang>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A language as it is written in arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// Spanish.
    Es,
    /// English.
    En,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Es => Self::Es,
            Lang::En => Self::En,
        }
    }
}

/// What a device does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes this folder a device of yours; asks for the password on standard input, or takes `CARTERA_PASSWORD`.
    #[command(
        after_help = "Example:\n  echo \"$PASSWORD\" | cartera-device --home ~/phone enrol https://crm.example.com --user ana@example.com"
    )]
    Enrol(Enrol),
    /// Sends what waits and fetches what is new, until the device is in step.
    #[command(
        after_help = "Example:\n  cartera-device --home ~/phone sync --json\n  cartera-device --home ~/phone sync --follow"
    )]
    Sync(Sync),
    /// The records of an entity.
    #[command(
        after_help = "Example:\n  cartera-device --home ~/phone list opportunity --where \"amount > 100000 && close_date < today + 30\" --fields name,stage,amount"
    )]
    List(List),
    /// One record with all that the device knows of it.
    #[command(
        after_help = "Example:\n  cartera-device --home ~/phone show account 0191d8e2-7c52-7a9e-8a54-1f0a6b2c3d4e"
    )]
    Show(One),
    /// Changes a record: `field=value`, `field=` to clear, `field+=x` and `field-=x` for lists and counters.
    #[command(after_help = "Example:
  cartera-device --home ~/phone set opportunity 0191… stage=proposal amount='1234.56 EUR' close_date=today+30 account='Acme SL' tags+=fair")]
    Set(Set),
    /// Makes a record.
    #[command(
        after_help = "Example:\n  cartera-device --home ~/phone new contact first_name=Ana last_name=Pérez account='Acme SL' phones='+34 600 123 456 (mobile)'"
    )]
    New(New),
    /// Attaches a file to a record; its bytes are sent by the next sync.
    #[command(
        after_help = "Example:\n  cartera-device --home ~/phone attach contact 0191d8e2-7c52-7a9e-8a54-1f0a6b2c3d4e photo ~/ana.jpg"
    )]
    Attach(Attach),
    /// Writes a record's file into a file here, fetching it where this device does not have it yet.
    #[command(
        after_help = "Example:\n  cartera-device --home ~/phone fetch opportunity 0191d8e2-7c52-7a9e-8a54-1f0a6b2c3d4e attachments --name plan.pdf -o plan.pdf"
    )]
    Fetch(Fetch),
    /// Deletes a record.
    #[command(
        after_help = "Example:\n  cartera-device --home ~/phone delete activity 0191d8e2-7c52-7a9e-8a54-1f0a6b2c3d4e"
    )]
    Delete(Delete),
    /// The records that have these words, or words that begin so; accents and case do not matter.
    #[command(after_help = "Example:\n  cartera-device --home ~/phone search garcia 600123")]
    Search(Search),
    /// What was done here and the server has not answered yet.
    #[command(after_help = "Example:\n  cartera-device --home ~/phone outbox")]
    Outbox,
    /// What the server rejected or decided otherwise, until somebody has seen it.
    #[command(
        after_help = "Example:\n  cartera-device --home ~/phone conflicts\n  cartera-device --home ~/phone conflicts dismiss 7"
    )]
    Conflicts(Conflicts),
    /// Whose device this is, what it holds, what waits, and when it last was in step.
    #[command(after_help = "Example:\n  cartera-device --home ~/phone status --json")]
    Status,
    /// Adds up a field of an entity's records.
    #[command(
        after_help = "Example:\n  cartera-device --home ~/phone sum opportunity amount --where \"stage.kind == 'won'\""
    )]
    Sum(Sum),
}

/// Arguments of `enrol`.
#[derive(Debug, Args)]
pub struct Enrol {
    /// The server, as `https://host:port`.
    pub url: String,
    /// Your e-mail address there.
    #[arg(long, value_name = "EMAIL")]
    pub user: String,
    /// What the device is called in lists of devices; the machine's name when absent.
    #[arg(long)]
    pub name: Option<String>,
    /// Trust only the certificate authorities in this PEM file.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Speak plain HTTP to another machine, where the way there is known to be safe.
    #[arg(long)]
    pub plain_http: bool,
}

/// Arguments of `sync`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Sync {
    /// Stay connected until Ctrl-C: print what arrives, and send what other commands change here. With --json, one document
    /// per line.
    #[arg(long)]
    pub follow: bool,
    /// Fetch the photos of all records too.
    #[arg(long)]
    pub photos: bool,
}

/// Arguments of `attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// The record.
    #[command(flatten)]
    pub record: One,
    /// Which of its fields, for example `attachments`.
    pub field: String,
    /// The file.
    pub file: PathBuf,
}

/// Arguments of `fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// The record.
    #[command(flatten)]
    pub record: One,
    /// Which of its fields, for example `attachments`.
    pub field: String,
    /// Which file, by its name or its hash, where the field has several.
    #[arg(long)]
    pub name: Option<String>,
    /// Where to write it.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// For example `opportunity`.
    pub entity: String,
    /// Only those for which this CEL expression holds.
    #[arg(long = "where", value_name = "CEL")]
    pub condition: Option<String>,
    /// At most this many.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Only these fields, between commas.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub fields: Option<Vec<String>>,
}

/// Arguments of what is about one record.
#[derive(Debug, Args)]
pub struct One {
    /// For example `account`.
    pub entity: String,
    /// The record's id.
    pub id: String,
}

/// Arguments of `set`.
#[derive(Debug, Args)]
pub struct Set {
    /// The record.
    #[command(flatten)]
    pub record: One,
    /// `field=value`, `field=`, `field+=x`, `field-=x`.
    #[arg(required = true, value_name = "FIELD=VALUE")]
    pub changes: Vec<String>,
    /// How it is queued.
    #[command(flatten)]
    pub checking: Checking,
}

/// Arguments of `new`.
#[derive(Debug, Args)]
pub struct New {
    /// For example `contact`.
    pub entity: String,
    /// `field=value`.
    #[arg(value_name = "FIELD=VALUE")]
    pub changes: Vec<String>,
    /// How it is queued.
    #[command(flatten)]
    pub checking: Checking,
}

/// Arguments of `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// The record.
    #[command(flatten)]
    pub record: One,
    /// How it is queued.
    #[command(flatten)]
    pub checking: Checking,
}

/// Whether the device checks a change before it queues it.
#[derive(Clone, Copy, Debug, Args)]
pub struct Checking {
    /// Queue without the device's own checks, to see the server's answer.
    #[arg(long)]
    pub unchecked: bool,
}

/// Arguments of `search`.
#[derive(Debug, Args)]
pub struct Search {
    /// Words, or their beginnings; digits of a phone number.
    #[arg(required = true)]
    pub text: Vec<String>,
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
}

/// Arguments of `conflicts`.
#[derive(Debug, Args)]
pub struct Conflicts {
    /// What to do with them; lists them when absent.
    #[command(subcommand)]
    pub action: Option<ConflictAction>,
}

/// What to do with a conflict.
#[derive(Debug, Subcommand)]
pub enum ConflictAction {
    /// Takes it off the list: somebody has seen it.
    #[command(after_help = "Example:\n  cartera-device --home ~/phone conflicts dismiss 7")]
    Dismiss {
        /// Its number in the list.
        number: u64,
    },
}

/// Arguments of `sum`.
#[derive(Debug, Args)]
pub struct Sum {
    /// For example `opportunity`.
    pub entity: String,
    /// A number or an amount of money.
    pub field: String,
    /// Only those for which this CEL expression holds.
    #[arg(long = "where", value_name = "CEL")]
    pub condition: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_explains_itself_with_an_example() {
        let mut command = Cli::command();
        command.build();
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example:"), "{} has no example", sub.get_name());
        }
    }

    #[test]
    fn no_argument_takes_a_secret() {
        let secret = ["password", "token", "secret"];
        for sub in Cli::command().get_subcommands() {
            for argument in sub.get_arguments() {
                assert!(!secret.contains(&argument.get_id().as_str()), "{}", sub.get_name());
            }
        }
    }
}
