//! A network that does to watches what networks do.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{Method, Request};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use kube::client::{Body, DynBody};
use tower::{BoxError, Layer, Service};

use super::fault::{Answer, Call};

/// What goes wrong, at every fifth event of a connection.
#[derive(Clone, Copy, Debug)]
pub enum WatchFault {
    /// It is lost, with whatever comes within [`GAP`] and with the connection; and the API server has forgotten where that was, so
    /// that nobody is told of it when the watch goes on.
    Lost,
    /// It comes twice.
    Repeated,
    /// It comes after the one that follows it, however long that takes.
    Reordered,
    /// The API server says that it has forgotten where the watch was.
    Expired,
}

impl WatchFault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lost, Self::Repeated, Self::Reordered, Self::Expired];
}

/// For how long nothing comes through before a connection breaks.
const GAP: Duration = Duration::from_secs(2);
/// Which events it happens to.
const EVERY: usize = 5;
const EXPIRED: &[u8] = b"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old resource version\",\"reason\":\"Expired\",\"code\":410}}\n";

/// The network: what is to go wrong, and what happened so far.
#[derive(Clone, Debug)]
pub struct BadWatches {
    fault: WatchFault,
    count: Arc<AtomicUsize>,
    /// Paths whose next watch is told that it comes too late.
    forgotten: Arc<Mutex<HashSet<String>>>,
}

impl BadWatches {
    /// One where this goes wrong.
    pub fn new(fault: WatchFault) -> Self {
        Self { fault, count: Arc::default(), forgotten: Arc::default() }
    }

    /// How often it did.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn forgotten(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.forgotten.lock().expect("a lock")
    }
}

impl<S> Layer<S> for BadWatches {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, network: self.clone() }
    }
}

/// What the network makes of a service.
pub struct Faulty<S> {
    inner: S,
    network: BadWatches,
}

impl<S> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Answer, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Call;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_watch =
            request.method() == Method::GET && request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let path = request.uri().path().to_owned();
        let (call, network) = (self.inner.call(request), self.network.clone());
        Box::pin(async move {
            let answer = call.await?;
            Ok(if is_watch && answer.status().is_success() {
                answer.map(|body| disturbed(body, network, path))
            } else {
                answer
            })
        })
    }
}

type Line = Result<Bytes, BoxError>;

/// The events of one watch, which are lines.
struct Events {
    lines: Pin<Box<dyn Stream<Item = Line> + Send>>,
    network: BadWatches,
    path: String,
    /// How many came.
    number: usize,
    /// What the operator is told next.
    pending: VecDeque<Line>,
    has_ended: bool,
}

impl Events {
    /// What the operator is told next; nothing where the connection has ended.
    async fn next(&mut self) -> Option<Line> {
        if let Some(line) = self.pending.pop_front() {
            return Some(line);
        }
        if self.has_ended {
            return None;
        }
        let event = match self.lines.next().await? {
            Ok(event) => event,
            Err(error) => return Some(Err(error)),
        };
        self.number += 1;
        if !self.number.is_multiple_of(EVERY) {
            return Some(Ok(event));
        }
        match self.network.fault {
            WatchFault::Lost => {
                self.network.note();
                self.network.forgotten().insert(self.path.clone());
                let nothing_comes_through = async { while self.lines.next().await.is_some() {} };
                let _ = tokio::time::timeout(GAP, nothing_comes_through).await;
                self.has_ended = true;
                None
            }
            WatchFault::Repeated => {
                self.network.note();
                self.pending.push_back(Ok(event.clone()));
                Some(Ok(event))
            }
            WatchFault::Reordered => match self.lines.next().await {
                Some(Ok(following)) => {
                    self.network.note();
                    self.number += 1;
                    self.pending.push_back(Ok(event));
                    Some(Ok(following))
                }
                // Nothing follows on this connection.
                broken => {
                    self.pending.extend(broken);
                    Some(Ok(event))
                }
            },
            WatchFault::Expired => {
                self.network.note();
                self.has_ended = true;
                Some(Ok(Bytes::from_static(EXPIRED)))
            }
        }
    }
}

fn disturbed(body: Box<DynBody>, network: BadWatches, path: String) -> Box<DynBody> {
    let mut pending = VecDeque::new();
    let has_ended = network.forgotten().remove(&path);
    if has_ended {
        pending.push_back(Ok(Bytes::from_static(EXPIRED)));
    }
    let lines = Box::pin(lines(body.into_data_stream()));
    let events = Events { lines, network, path, number: 0, pending, has_ended };
    let frames = stream::unfold(events, |mut events| async move {
        let line = events.next().await?;
        Some((line.map(Frame::data), events))
    });
    let frames: Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, BoxError>> + Send>> = Box::pin(frames);
    Box::new(StreamBody::new(frames))
}

/// Whole lines.
fn lines(parts: impl Stream<Item = Line> + Send) -> impl Stream<Item = Line> + Send {
    let parts = Box::pin(parts);
    stream::unfold((parts, Vec::new()), |(mut parts, mut rest): (_, Vec<u8>)| async move {
        loop {
            if let Some(line) = line(&mut rest) {
                return Some((Ok(line), (parts, rest)));
            }
            match parts.next().await? {
                Ok(part) => rest.extend_from_slice(&part),
                Err(error) => return Some((Err(error), (parts, rest))),
            }
        }
    })
}

fn line(rest: &mut Vec<u8>) -> Option<Bytes> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    Some(Bytes::from(rest.drain(..=end).collect::<Vec<u8>>()))
}
