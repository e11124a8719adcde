//! `sync --follow`: connected until somebody ends it.
//!
//! The device is held only while something is done with it, so that other commands can edit it meanwhile; what they
//! leave in the outbox is sent within a second. A thread listens, everything else happens here.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use serde_json::json;
use sync_protocol::wire::LiveEvent;

use super::console::Console;
use super::sync::transport;
use super::{Done, Failure};
use crate::device::{Device, DeviceError, Followed};
use crate::host::{Host, Machine};
use crate::message::say;
use crate::storage::{BlobFolder, StorageError};
use crate::transport::{Heard, HttpTransport, Listening, TransportError};

/// How often it looks whether another command left something to send.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_MS: i64 = 1_000;
/// One question of a long poll.
const WAIT: Duration = Duration::from_secs(50);
/// After so many streams in a row through which nothing came, it asks instead.
const STREAMS_TO_GIVE_UP: u32 = 2;
/// So many questions later it tries a stream again.
const POLLS_TO_HOPE_AGAIN: u32 = 20;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What the listening thread says.
enum Message {
    Heard(Heard),
    Ended(Result<(), TransportError>),
}

pub fn run(home: &Path, console: &mut Console) -> Done {
    console.go_on_in_lines();
    let mut follower =
        Follower { home: home.to_owned(), console, pace: Pace::default(), owes_sync: true, look_at_ms: 0 };
    follower.catch_up()?;
    loop {
        let ended = follower.listen()?;
        follower.rest(ended)?;
    }
}

struct Follower<'a> {
    home: PathBuf,
    console: &'a mut Console,
    pace: Pace,
    /// Something is to be exchanged, and it did not work yet.
    owes_sync: bool,
    /// When to look again whether there is something to exchange.
    look_at_ms: i64,
}

impl Follower<'_> {
    /// Listens until the stream ends or the question is answered.
    fn listen(&mut self) -> Result<Result<(), TransportError>, Failure> {
        let device = Device::look(&self.home, self.console.language(), Box::new(Machine))?;
        let way = transport(&device, self.console)?;
        let position = &device.saved().position;
        let place = Listening { cursor: position.cursor.clone(), model: position.model.clone() };
        drop(device);
        let (sender, messages) = sync_channel(64);
        let asks = self.pace.asks();
        std::thread::spawn(move || tell(&way, &place, asks, &sender));
        self.hear(&messages)
    }

    fn hear(&mut self, messages: &Receiver<Message>) -> Result<Result<(), TransportError>, Failure> {
        loop {
            match messages.recv_timeout(LOOK_EVERY) {
                Ok(Message::Heard(Heard::Connected(pause))) => self.connected(pause)?,
                Ok(Message::Heard(Heard::Event(event))) => self.take(Some(event))?,
                Ok(Message::Ended(ended)) => return Ok(ended),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Ok(())),
            }
            self.catch_up()?;
        }
    }

    fn connected(&mut self, pause: Option<Duration>) -> Done {
        let asks = self.pace.asks();
        if !self.pace.succeed(pause) {
            return Ok(());
        }
        if self.console.is_json() {
            let by = if asks { "poll" } else { "stream" };
            return self.console.document(&json!({ "event": "connected", "by": by }));
        }
        self.console.say(&say("Conectado; Ctrl-C para terminar.", "Connected; Ctrl-C ends it."))
    }

    /// Exchanges where something waits to be sent, or did not work before.
    fn catch_up(&mut self) -> Done {
        let now_ms = Machine.now_ms();
        if now_ms < self.look_at_ms {
            return Ok(());
        }
        self.look_at_ms = now_ms + LOOK_EVERY_MS;
        if !self.owes_sync {
            let device = Device::look(&self.home, self.console.language(), Box::new(Machine))?;
            if device.saved().outbox.is_empty() {
                return Ok(());
            }
        }
        self.take(None)
    }

    fn take(&mut self, event: Option<LiveEvent>) -> Done {
        let done = Device::open(&self.home, self.console.language(), Box::new(Machine)).and_then(|mut device| {
            let way = transport(&device, self.console)?;
            let followed = device.follow(&way, event)?;
            let blobs = BlobFolder::in_home(&self.home);
            if followed.report.received > 0 {
                device.drop_blobs(&blobs)?;
            }
            match device.send_blobs(&blobs, &way) {
                // A file that the server does not take waits for the next `sync`, which says so.
                Err(error) if is_passing(&error) => Err(error),
                _ => Ok(followed),
            }
        });
        let problem = match done {
            Ok(followed) => {
                self.owes_sync = false;
                return self.show(&followed);
            }
            // Another command holds the device; what was missed comes with the next exchange.
            Err(DeviceError::Storage(StorageError::Busy { .. })) => None,
            Err(error) if is_passing(&error) => Some(error),
            Err(error) => return Err(error.into()),
        };
        let pause = self.pace.pause();
        self.owes_sync = true;
        self.look_at_ms = Machine.now_ms() + i64::try_from(pause.as_millis()).unwrap_or(0);
        problem.map_or(Ok(()), |error| self.complain(&error, pause))
    }

    /// Waits before the next connection, shorter or longer.
    fn rest(&mut self, ended: Result<(), TransportError>) -> Done {
        if self.pace.asks() && ended.is_ok() {
            return Ok(());
        }
        self.pace.end();
        let pause = self.pace.pause();
        match ended {
            Err(error) => {
                let error = DeviceError::from(error);
                if !is_passing(&error) {
                    return Err(error.into());
                }
                self.complain(&error, pause)?;
            }
            Ok(()) if self.console.is_json() => {
                self.console.document(&json!({ "event": "disconnected", "retry_ms": millis(pause) }))?;
            }
            Ok(()) => {}
        }
        Machine.wait(pause);
        self.catch_up()
    }

    fn show(&mut self, followed: &Followed) -> Done {
        let Followed { report, arrived } = followed;
        if report.received == 0 && report.sent == 0 && !report.model_changed {
            return Ok(());
        }
        if self.console.is_json() {
            let mut document = json!(report);
            document["event"] = json!("synced");
            document["records"] = json!(arrived);
            return self.console.document(&document);
        }
        for arrival in arrived {
            let what = arrival.title.clone().unwrap_or_else(|| arrival.id.to_string());
            let entity = arrival.entity.as_deref().unwrap_or_default();
            self.console.say(&match arrival.op {
                "put" => say(format!("Llega: {entity} {what}"), format!("Arrived: {entity} {what}")),
                _ => say(format!("Se va: {what}"), format!("Left: {what}")),
            })?;
        }
        super::sync::print(report, self.console)
    }

    fn complain(&mut self, error: &DeviceError, pause: Duration) -> Done {
        let problem = error.problem(self.console.language());
        if self.console.is_json() {
            let document = json!({ "event": "disconnected", "retry_ms": millis(pause), "problem": problem });
            return self.console.document(&document);
        }
        let sentence = error.sentence();
        let seconds = pause.as_secs().max(1);
        self.console.say(&say(
            format!("{} Nuevo intento en {seconds} s.", sentence.es),
            format!("{} Trying again in {seconds} s.", sentence.en),
        ))
    }
}

fn millis(pause: Duration) -> u64 {
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}

/// The thread that listens.
fn tell(way: &HttpTransport, place: &Listening, asks: bool, to: &SyncSender<Message>) {
    let mut hear = |heard| to.send(Message::Heard(heard)).is_ok();
    let ended = if asks {
        way.wait(place, WAIT).map(|answer| {
            if hear(Heard::Connected(None)) {
                let _all_heard = answer.into_events().all(|event| hear(Heard::Event(event)));
            }
        })
    } else {
        way.listen(place, &mut hear)
    };
    // Who listened may be gone.
    drop(to.send(Message::Ended(ended)));
}

/// Whether it may work later without anybody doing anything; a stream that ends or is none is what a proxy may make of it.
fn is_passing(error: &DeviceError) -> bool {
    match error {
        DeviceError::Transport(TransportError::Unintelligible { .. }) => true,
        DeviceError::Transport(error) => error.is_retryable(),
        _ => false,
    }
}

/// When to connect again, and how.
#[derive(Default)]
struct Pace {
    failures: u32,
    /// What the server asks for.
    least: Option<Duration>,
    /// Something came through since the last failure.
    is_connected: bool,
    /// Streams in a row through which nothing came.
    silent: u32,
    polls: u32,
}

impl Pace {
    /// Whether to ask instead of listening to a stream.
    fn asks(&self) -> bool {
        self.silent >= STREAMS_TO_GIVE_UP
    }

    /// Something came through; true when that is news.
    fn succeed(&mut self, least: Option<Duration>) -> bool {
        self.failures = 0;
        self.least = least;
        if !self.asks() {
            self.silent = 0;
        } else if self.polls < POLLS_TO_HOPE_AGAIN {
            self.polls += 1;
        } else {
            // One more silent stream is enough to ask again.
            (self.polls, self.silent) = (0, STREAMS_TO_GIVE_UP - 1);
        }
        !std::mem::replace(&mut self.is_connected, true)
    }

    /// A stream ended, or a question had no answer: then it was not the stream's fault, and a stream is worth a try.
    fn end(&mut self) {
        let was_connected = std::mem::take(&mut self.is_connected);
        if self.asks() {
            self.silent = 0;
        } else if !was_connected {
            self.silent += 1;
        }
    }

    /// Doubles with each failure in a row, spread over a half to the whole.
    fn pause(&mut self) -> Duration {
        let whole = (FIRST_PAUSE * 2_u32.pow(self.failures.min(8))).min(LONGEST_PAUSE);
        self.failures += 1;
        let mut random = [0; 1];
        Machine.fill(&mut random);
        let spread = whole / 2 + whole * u32::from(random[0]) / 510;
        spread.max(self.least.take().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_after_two_silent_streams_and_hopes_again_later() {
        let mut pace = Pace::default();
        assert!(pace.succeed(None), "connected is news");
        assert!(!pace.succeed(None), "once");
        pace.end();
        assert!(!pace.asks(), "that stream had come through");
        pace.end();
        pace.end();
        assert!(pace.asks(), "two did not");
        let questions = (0..100).take_while(|_| {
            pace.succeed(None);
            pace.asks()
        });
        assert_eq!(questions.count(), 20);
        pace.end();
        pace.end();
        assert!(pace.asks(), "the hope was in vain");
        pace.end();
        assert!(!pace.asks(), "nothing works: a stream is worth a try as well");
    }

    #[test]
    fn pauses_grow_to_a_minute_and_are_no_shorter_than_asked() {
        let mut pace = Pace::default();
        let pauses: Vec<Duration> = (0..12).map(|_| pace.pause()).collect();
        assert!((500..=1_000).contains(&pauses[0].as_millis()), "{pauses:?}");
        assert!((30..=60).contains(&pauses[11].as_secs()), "{pauses:?}");
        pace.succeed(Some(Duration::from_secs(3)));
        assert!(pace.pause() >= Duration::from_secs(3));
    }
}
