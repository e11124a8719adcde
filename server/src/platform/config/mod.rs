//! Configuration: defaults ← TOML file ← `CARTERA_*` environment ← command line, checked as a whole before anything starts.

mod host;
mod key;
mod network;
mod read;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crm::model::Language;
use jiff::tz::TimeZone;

pub use self::host::Host;
pub use self::key::{KEYS, Key, Kind, as_markdown};
pub use self::network::{Network, NoNetwork};
pub use self::read::{ConfigErrors, ConfigProblem, Origin, Sources};

/// Everything that can be set, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the server takes requests.
    pub listen: SocketAddr,
    /// The folder that holds everything the server keeps.
    pub data_dir: PathBuf,
    /// What people read where their own language is not known.
    pub language: Language,
    /// Where the tenant's day begins.
    pub time_zone: TimeZone,
    /// Certificate and key; without them the server speaks plain HTTP.
    pub tls: Option<Tls>,
    /// How long requests may take.
    pub http: Http,
    /// How large requests may be, and how many may be under way.
    pub limits: Limits,
    /// Connected devices.
    pub live: Live,
    /// Records that are moved little by little.
    pub moves: Moves,
    /// Files that records name.
    pub blob: Blob,
    /// Devices that are woken.
    pub wake: Wake,
    /// How far back devices are told what left.
    pub sync: Sync,
    /// How the database is opened.
    pub database: Database,
    /// What new devices fetch first.
    pub snapshot: Snapshot,
    /// Passwords and sessions.
    pub auth: Auth,
    /// Log, traces, measurements.
    pub telemetry: Telemetry,
    /// What the operator of many tenants hands in.
    pub operator: Operator,
}

/// Where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
}

/// How long requests may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Until a request's answer begins; uploads and downloads of whole files are exempt.
    pub request_timeout: Duration,
    /// Until a connection has sent a request's headers.
    pub header_timeout: Duration,
    /// How long running requests may go on after the server was told to stop.
    pub shutdown_timeout: Duration,
    /// Proxies that are believed when they say who asked them.
    pub trusted_proxies: Vec<Network>,
}

/// How large requests may be, and how many may be under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A request's body after decoding.
    pub body_bytes: usize,
    /// A file to import after decoding.
    pub import_bytes: u64,
    /// Answers of first syncs under way at a time.
    pub first_syncs: usize,
    /// First syncs that may wait for their turn.
    pub first_syncs_waiting: usize,
    /// Memory of changes that wait to be written.
    pub writer_queue_bytes: usize,
}

/// Connected devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Between two signs of life, a fifth more or less.
    pub heartbeat: Duration,
    /// How many there may be.
    pub connections: usize,
    /// The largest delta, as it travels.
    pub delta_bytes: usize,
    /// The longest that a long poll waits.
    pub wait: Duration,
}

/// Records that are moved little by little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moves {
    /// The most records of one transaction.
    pub batch_records: usize,
    /// How many a second; 0: none.
    pub records_per_second: u32,
}

/// Files that records name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Of one of them.
    pub max_bytes: u64,
    /// Of all of them, those on their way included.
    pub quota_bytes: u64,
    /// How long an upload may pause, and what no record ever named stays.
    pub unnamed: Duration,
    /// How long one stays that no record names any more.
    pub horizon: Duration,
    /// The bucket that keeps them; none: the data folder.
    pub s3_bucket: Option<String>,
    /// Where in the bucket.
    pub s3_prefix: Option<String>,
    /// The bucket's region.
    pub s3_region: Option<String>,
    /// Where S3 is spoken, where it is not at Amazon.
    pub s3_endpoint: Option<String>,
}

/// Devices that are woken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// Whom a push service may reach; none: nobody is woken.
    pub contact: Option<String>,
    /// Push services that may be asked.
    pub hosts: Vec<Host>,
    /// Where those may be.
    pub reach: Reach,
    /// From one wake-up of a device to the next.
    pub interval: Duration,
    /// From a change to the wake-up, up to twice as long.
    pub delay: Duration,
    /// How long a push service tries.
    pub ttl: Duration,
    /// Requests under way at a time.
    pub in_flight: usize,
    /// How long one may take.
    pub timeout: Duration,
}

/// Where a push service may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Reached by HTTPS, at public addresses.
    Public,
    /// Also by plain HTTP, and at private addresses.
    Any,
}

/// How far back devices are told what left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Deletions and exits older than this are forgotten.
    pub horizon: Duration,
    /// From this hour of the day on, sync rules that depend on the day are settled anew.
    pub rules_hour: u8,
}

/// How the database is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Connections that read.
    pub readers: u32,
    /// When a commit counts; no setting: only tests that lose power choose another than the default.
    pub durability: Durability,
    /// The virtual file system of SQLite that holds the file; no setting: tests of crashes bring one of their own.
    pub vfs: Option<&'static str>,
}

/// When a commit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk, whatever becomes of the machine.
    #[default]
    Synced,
    /// When the operating system has it: gone when the machine loses power. For simulations, which lose no power.
    Handed,
}

/// What new devices fetch first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Chunks that are kept.
    pub cache_bytes: u64,
}

/// Passwords and sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// How long a session lasts after it was last used.
    pub session: Duration,
    /// How long a device's session lasts after it was last used.
    pub device_session: Duration,
    /// The shortest password that is accepted when one is set.
    pub password_min_chars: usize,
    /// Memory for one Argon2id hash.
    pub password_memory_kib: u32,
    /// Passes over that memory.
    pub password_passes: u32,
    /// Lanes of that memory.
    pub password_lanes: u32,
    /// Failed attempts that one client address may make within an hour.
    pub address_failures_per_hour: u32,
}

/// Log, traces, measurements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Form of the log.
    pub log_format: LogFormat,
    /// What is logged, in the form of `tracing`'s `EnvFilter`.
    pub log_filter: String,
    /// Base address of an OpenTelemetry collector; none: no traces.
    pub otlp_endpoint: Option<String>,
    /// Where `/livez`, `/readyz` and `/metrics` answer without credentials; none: only the main address, with them.
    pub listen: Option<SocketAddr>,
}

/// What the operator of many tenants hands in, in files that may change while the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Modules, limits and power; none: everything is on.
    pub entitlements_file: Option<PathBuf>,
    /// The folder of the tokens that may ask for the server's health; none: nobody may.
    pub token_dir: Option<PathBuf>,
    /// The folder of the first administrator's address and password; none: somebody adds her by command.
    pub first_administrator_dir: Option<PathBuf>,
    /// How often entitlements and first administrator are looked at; no setting: tests do not wait that long.
    pub look_every: Duration,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON document for each line.
    Json,
}

impl Config {
    /// The defaults with a data folder: what tests and the demo start from.
    ///
    /// # Panics
    /// When a default is not what its own key allows; a test rules that out.
    #[must_use]
    pub fn with_data_dir(data_dir: impl Into<PathBuf>) -> Self {
        let mut config = Self::read(&Sources::default()).expect("every default is allowed");
        config.data_dir = data_dir.into();
        config
    }

    /// Reads the sources one over the other.
    ///
    /// # Errors
    /// Every problem there is, at once.
    pub fn read(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut values = read::Values::gather(sources);
        let tls = (values.path("tls.cert_file"), values.path("tls.key_file"));
        let config = Self {
            listen: values.address("listen"),
            data_dir: values.path("data_dir").unwrap_or_default(),
            language: match values.choice("language") {
                "en" => Language::En,
                _ => Language::Es,
            },
            time_zone: values.time_zone("time_zone"),
            http: Http {
                request_timeout: values.seconds("http.request_timeout_secs"),
                header_timeout: values.seconds("http.header_timeout_secs"),
                shutdown_timeout: values.seconds("http.shutdown_timeout_secs"),
                trusted_proxies: values.networks("http.trusted_proxies"),
            },
            limits: Limits {
                body_bytes: values.number("limits.body_bytes"),
                import_bytes: values.number("limits.import_bytes"),
                first_syncs: values.number("limits.first_syncs"),
                first_syncs_waiting: values.number("limits.first_syncs_waiting"),
                writer_queue_bytes: values.number("limits.writer_queue_bytes"),
            },
            live: Live {
                heartbeat: values.seconds("live.heartbeat_secs"),
                connections: values.number("live.connections"),
                delta_bytes: values.number("live.delta_bytes"),
                wait: values.seconds("live.wait_secs"),
            },
            moves: Moves {
                batch_records: values.number("moves.batch_records"),
                records_per_second: values.number("moves.records_per_second"),
            },
            blob: Blob {
                max_bytes: values.number("blob.max_bytes"),
                quota_bytes: values.number("blob.quota_bytes"),
                unnamed: values.seconds("blob.unnamed_secs"),
                horizon: values.seconds("blob.horizon_secs"),
                s3_bucket: values.text("blob.s3_bucket"),
                s3_prefix: values.text("blob.s3_prefix"),
                s3_region: values.text("blob.s3_region"),
                s3_endpoint: values.text("blob.s3_endpoint"),
            },
            wake: Wake {
                contact: values.text("wake.contact"),
                hosts: values.hosts("wake.hosts"),
                reach: match values.choice("wake.reach") {
                    "any" => Reach::Any,
                    _ => Reach::Public,
                },
                interval: values.seconds("wake.interval_secs"),
                delay: values.seconds("wake.delay_secs"),
                ttl: values.seconds("wake.ttl_secs"),
                in_flight: values.number("wake.in_flight"),
                timeout: values.seconds("wake.timeout_secs"),
            },
            sync: Sync { horizon: values.seconds("sync.horizon_secs"), rules_hour: values.number("sync.rules_hour") },
            database: Database {
                readers: values.number("database.readers"),
                durability: Durability::default(),
                vfs: None,
            },
            snapshot: Snapshot { cache_bytes: values.number("snapshot.cache_bytes") },
            auth: Auth {
                session: values.seconds("auth.session_secs"),
                device_session: values.seconds("auth.device_session_secs"),
                password_min_chars: values.number("auth.password_min_chars"),
                password_memory_kib: values.number("auth.password_memory_kib"),
                password_passes: values.number("auth.password_passes"),
                password_lanes: values.number("auth.password_lanes"),
                address_failures_per_hour: values.number("auth.address_failures_per_hour"),
            },
            telemetry: Telemetry {
                log_format: match values.choice("telemetry.log_format") {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    _ => LogFormat::Auto,
                },
                log_filter: values.text("telemetry.log_filter").unwrap_or_default(),
                otlp_endpoint: values.text("telemetry.otlp_endpoint"),
                listen: values.optional_address("telemetry.listen"),
            },
            operator: Operator::read(&mut values),
            tls: match tls {
                (Some(cert_file), Some(key_file)) => Some(Tls { cert_file, key_file }),
                (None, None) => None,
                (cert, _) => {
                    let (present, absent) = if cert.is_some() {
                        ("tls.cert_file", "tls.key_file")
                    } else {
                        ("tls.key_file", "tls.cert_file")
                    };
                    values.refuse(absent, format!("is not set, but {present} is: set both, or neither for plain HTTP"));
                    None
                }
            },
        };
        values.finish(config)
    }
}

impl Operator {
    fn read(values: &mut read::Values) -> Self {
        Self {
            entitlements_file: values.path("operator.entitlements_file"),
            token_dir: values.path("operator.token_dir"),
            first_administrator_dir: values.path("operator.first_administrator_dir"),
            look_every: Duration::from_secs(2),
        }
    }
}

#[cfg(test)]
mod tests;
