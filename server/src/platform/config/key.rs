//! The list of everything that can be set: the one place for names, defaults and what is allowed.

use std::fmt::Write as _;

/// Something that can be set.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its dotted name in the file: `auth.session_secs` is `session_secs` under `[auth]`.
    pub name: &'static str,
    /// What it is and what is allowed.
    pub kind: Kind,
    /// Its value when nothing sets it; empty: none.
    pub default: &'static str,
    /// What it does, for the documentation.
    pub about: &'static str,
}

/// What a value is and what is allowed.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A numeric address and a port.
    Address,
    /// A path of a file or folder.
    Path,
    /// A whole number.
    Number {
        /// The smallest allowed.
        min: u64,
        /// The largest allowed.
        max: u64,
    },
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A name.
    Name,
    /// An address on the web.
    Url,
    /// Numeric addresses and networks.
    Networks,
    /// A time zone by its name.
    TimeZone,
    /// Names of machines.
    Hosts,
    /// Whom somebody else may reach about this server.
    Contact,
    /// A filter of log lines.
    LogFilter,
}

impl Kind {
    /// What is allowed, as the end of a sentence.
    #[must_use]
    pub fn allowed(&self) -> String {
        match self {
            Self::Address => "a numeric address and a port, such as 127.0.0.1:8080 or [::]:8080".into(),
            Self::Path => "a path".into(),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Name => "a name".into(),
            Self::Url => "an address that begins with http:// or https://".into(),
            Self::Networks => "numeric addresses and networks with commas between, such as 10.0.0.0/8, ::1".into(),
            Self::Hosts => {
                "names of hosts with commas between, such as push.example.com, *.example.org for those below it".into()
            }
            Self::TimeZone => "a time zone by its name, such as Europe/Madrid or UTC".into(),
            Self::Contact => "an address that begins with mailto: or https://".into(),
            Self::LogFilter => "levels such as info, or info,cartera_server=debug".into(),
        }
    }
}

impl Key {
    /// The environment variable that sets it: `CARTERA_AUTH_SESSION_SECS`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("CARTERA_{}", self.name.replace('.', "_").to_uppercase())
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { name, kind, default, about }
}

const fn number(min: u64, max: u64) -> Kind {
    Kind::Number { min, max }
}

const DAY_SECS: u64 = 24 * 60 * 60;

/// Everything that can be set.
pub const KEYS: &[Key] = &[
    key("listen", Kind::Address, "127.0.0.1:8080", "Where the server takes requests."),
    key(
        "data_dir",
        Kind::Path,
        "cartera-data",
        "The folder that holds everything the server keeps; it is made when missing.",
    ),
    key("language", Kind::Choice(&["es", "en"]), "es", "What people read where their own language is not known."),
    key(
        "time_zone",
        Kind::TimeZone,
        "UTC",
        "Where the tenant's day begins, for the sync rules that depend on the day.",
    ),
    key(
        "tls.cert_file",
        Kind::Path,
        "",
        "Certificate chain (PEM). With `tls.key_file` the server speaks HTTPS, without both plain HTTP.",
    ),
    key("tls.key_file", Kind::Path, "", "Private key of the certificate (PEM)."),
    key(
        "http.request_timeout_secs",
        number(1, 3_600),
        "30",
        "Until a request's answer begins; imports and exports are exempt.",
    ),
    key("http.header_timeout_secs", number(1, 600), "15", "Until a connection has sent the headers of a request."),
    key(
        "http.shutdown_timeout_secs",
        number(0, 3_600),
        "20",
        "How long running requests may go on after the server was told to stop.",
    ),
    key(
        "http.trusted_proxies",
        Kind::Networks,
        "",
        "Proxies before the server: what they add to `X-Forwarded-For` tells who asked. Without them the peer of the connection does.",
    ),
    key(
        "limits.body_bytes",
        number(64 << 10, 256 << 20),
        "8388608",
        "Size of a request's body, before and after decoding.",
    ),
    key(
        "limits.import_bytes",
        number(64 << 10, 64 << 30),
        "268435456",
        "Size of a file to import, before and after decoding.",
    ),
    key(
        "limits.first_syncs",
        number(1, 10_000),
        "16",
        "Answers to devices that fetch or compare everything under way at a time, each of a few MiB; further ones wait.",
    ),
    key(
        "limits.first_syncs_waiting",
        number(0, 100_000),
        "4096",
        "Devices that may wait for their turn to fetch or compare everything; further ones are told to come again (503).",
    ),
    key(
        "limits.writer_queue_bytes",
        number(1 << 20, 4 << 30),
        "67108864",
        "Memory of changes that wait to be written; further ones are told to come again (503).",
    ),
    key(
        "live.heartbeat_secs",
        number(1, 300),
        "25",
        "How often a connected device gets a sign of life, a fifth more or less. Shorter than what proxies on the way allow.",
    ),
    key("live.connections", number(1, 1_000_000), "20000", "Devices that may be connected at once."),
    key(
        "live.delta_bytes",
        number(0, 64 << 10),
        "4096",
        "A connected device is told up to this much at once; of more it is told that it should exchange.",
    ),
    key("live.wait_secs", number(1, 600), "60", "The longest that a device's question may wait for an answer."),
    key(
        "moves.batch_records",
        number(1, 5_000),
        "500",
        "Records that one transaction moves when many are moved; whoever writes meanwhile waits for one of these at the most.",
    ),
    key(
        "moves.records_per_second",
        number(0, 1_000_000),
        "2000",
        "How fast many records are moved; with 0 they wait until it is set again.",
    ),
    key(
        "blob.max_bytes",
        number(1, 1 << 40),
        "26214400",
        "Size of one attachment or photo (25 MiB); a field may allow less.",
    ),
    key(
        "blob.quota_bytes",
        number(1, 1 << 50),
        "10737418240",
        "Size of all attachments and photos together (10 GiB), uploads under way included.",
    ),
    key(
        "blob.unnamed_secs",
        number(3_600, 400 * DAY_SECS),
        "604800",
        "How long an upload may pause, and what was uploaded wait for a record that names it (7 days).",
    ),
    key(
        "blob.horizon_secs",
        number(3_600, 4_000 * DAY_SECS),
        "7776000",
        "How long a file stays that no record names any more (90 days).",
    ),
    key(
        "blob.s3_bucket",
        Kind::Name,
        "",
        "The bucket that keeps attachments and photos; without one they lie in the data folder. Credentials come from the `AWS_*` variables or the machine's identity. Only in a build with the feature `s3`.",
    ),
    key("blob.s3_prefix", Kind::Name, "", "Where in the bucket."),
    key("blob.s3_region", Kind::Name, "", "The bucket's region, where `AWS_REGION` does not say it."),
    key("blob.s3_endpoint", Kind::Url, "", "Where S3 is spoken, where it is not at Amazon."),
    key(
        "wake.contact",
        Kind::Contact,
        "",
        "Whom a push service may reach about this server, such as mailto:it@example.com. With it, devices that are not connected are woken by Web Push; without it nothing is ever sent.",
    ),
    key(
        "wake.hosts",
        Kind::Hosts,
        "fcm.googleapis.com, *.push.services.mozilla.com, *.push.apple.com, *.notify.windows.com",
        "Push services that may be asked to wake a device: those of the browsers' vendors.",
    ),
    key(
        "wake.reach",
        Kind::Choice(&["public", "any"]),
        "public",
        "With `public` a push service is asked by HTTPS and at public addresses alone; `any` allows plain HTTP and private addresses too, for tests and closed networks.",
    ),
    key(
        "wake.interval_secs",
        number(0, DAY_SECS),
        "300",
        "A device is woken at most once in this time; orders wake at once.",
    ),
    key(
        "wake.delay_secs",
        number(0, 3_600),
        "10",
        "From a change until a device is woken for it, up to twice as long: what follows meanwhile comes with it, and not all are woken at once.",
    ),
    key("wake.ttl_secs", number(0, 28 * DAY_SECS), "86400", "How long a push service tries to reach a device (1 day)."),
    key("wake.in_flight", number(1, 256), "16", "Requests to push services under way at a time."),
    key("wake.timeout_secs", number(1, 120), "10", "How long a request to a push service may take."),
    key(
        "sync.rules_hour",
        number(0, 23),
        "3",
        "From this hour on, in the tenant's time zone, the sync rules that depend on the day are settled anew.",
    ),
    key(
        "sync.horizon_secs",
        number(3_600, 3_650 * DAY_SECS),
        "7776000",
        "How long deletions and exits are remembered (90 days); a device that was away for longer compares what it holds.",
    ),
    key(
        "database.readers",
        number(3, 64),
        "4",
        "Connections that read; one more writes. Of them one is for building chunks, and one is kept from whoever fetches or compares everything.",
    ),
    key(
        "snapshot.cache_bytes",
        number(16 << 20, 1 << 40),
        "1073741824",
        "Size of the chunks that are kept for devices which begin, in the folder `chunks` of the data folder (1 GiB).",
    ),
    key(
        "auth.session_secs",
        number(60, 30 * DAY_SECS),
        "43200",
        "How long a session lasts after it was last used (12 hours).",
    ),
    key(
        "auth.device_session_secs",
        number(60, 400 * DAY_SECS),
        "2592000",
        "How long a device's session lasts after it was last used (30 days).",
    ),
    key("auth.password_min_chars", number(8, 64), "10", "The shortest password that is accepted when one is set."),
    key(
        "auth.password_memory_kib",
        number(19_456, 4 << 20),
        "65536",
        "Memory of one password hash (Argon2id). The least is what OWASP asks for.",
    ),
    key("auth.password_passes", number(2, 64), "3", "Passes of a password hash over its memory."),
    key("auth.password_lanes", number(1, 16), "1", "Lanes of a password hash's memory."),
    key(
        "auth.address_failures_per_hour",
        number(1, 1_000_000),
        "100",
        "Failed attempts to sign in that one client address may make within an hour, on whatever accounts; of IPv6, a /64 is one address.",
    ),
    key(
        "telemetry.log_format",
        Kind::Choice(&["auto", "text", "json"]),
        "auto",
        "Form of the log; `auto` is text on a terminal, else JSON.",
    ),
    key("telemetry.log_filter", Kind::LogFilter, "info", "What is logged."),
    key(
        "telemetry.otlp_endpoint",
        Kind::Url,
        "",
        "Base address of an OpenTelemetry collector (OTLP over HTTP) that gets a trace of every request.",
    ),
    key(
        "telemetry.listen",
        Kind::Address,
        "",
        "Where `/livez`, `/readyz` and `/metrics` answer without credentials. On the main address `/metrics` needs an administrator's.",
    ),
    key(
        "operator.entitlements_file",
        Kind::Path,
        "",
        "What the tenant is entitled to (JSON): modules, limits, and whether changes are taken. Followed while the server runs. Without it everything is on.",
    ),
    key(
        "operator.token_dir",
        Kind::Path,
        "",
        "The folder of the files `token` and `previous`: who sends what is in either of them is told the server's health, at `/internal/health` of `telemetry.listen`.",
    ),
    key(
        "operator.first_administrator_dir",
        Kind::Path,
        "",
        "The folder of the files `email` and `password`: while nobody can sign in, the server makes an administrator of them, who has to choose a password of her own.",
    ),
];

/// The table of `docs/configuration.md`.
#[must_use]
pub fn as_markdown() -> String {
    let mut table = String::from("| Key | Variable | Default | Allowed | What it does |\n|---|---|---|---|---|\n");
    for key in KEYS {
        let default = if key.default.is_empty() { "none".to_owned() } else { format!("`{}`", key.default) };
        let (name, variable, allowed, about) = (key.name, key.variable(), key.kind.allowed(), key.about);
        writeln!(table, "| `{name}` | `{variable}` | {default} | {allowed} | {about} |")
            .expect("writing into a string does not fail");
    }
    table
}
