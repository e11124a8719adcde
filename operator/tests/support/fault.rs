//! A network between operator and API server that fails at a write of choice.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cartera_operator::cluster::clock::ManualClock;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use kube::client::Body;
use serde_json::json;
use tower::{BoxError, Layer, Service};

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The operator is killed before the request leaves.
    KilledBefore,
    /// The operator is killed before the answer arrives.
    KilledAfter,
    /// Refused as a conflict.
    Conflict,
    /// Refused because there were too many.
    TooMany,
    /// The API server fails.
    Internal,
    /// Done, and answered as if it was not.
    TimeoutAfterCommit,
    /// No answer for 30 s.
    Hang,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Conflict,
        Self::TooMany,
        Self::Internal,
        Self::TimeoutAfterCommit,
        Self::Hang,
    ];
}

/// What is to go wrong, and what happened so far.
#[derive(Debug, Default)]
struct Script {
    at: Option<(usize, Fault)>,
    writes: Vec<Write>,
    reads: usize,
    has_fired: bool,
    is_killed: bool,
}

/// A write that was sent.
#[derive(Clone, Debug)]
pub struct Write {
    /// Its method and its path.
    pub request: String,
    /// Whether the API server said that it did it, whatever became of the answer.
    pub is_done: bool,
}

/// The network.
#[derive(Clone, Debug)]
pub struct Network {
    script: Arc<Mutex<Script>>,
    clock: Arc<ManualClock>,
}

impl Network {
    /// One where `fault` happens at the write of that number, counted from 0; or none where nothing does.
    pub fn new(at: Option<(usize, Fault)>, clock: Arc<ManualClock>) -> Self {
        Self { script: Arc::new(Mutex::new(Script { at, ..Script::default() })), clock }
    }

    /// The one that an operator has which is started anew after this one's was killed: nothing goes wrong in it, and what was
    /// written before counts.
    pub fn again(&self) -> Self {
        let script = self.script.lock().expect("a lock");
        let again = Script {
            writes: script.writes.clone(),
            reads: script.reads,
            has_fired: script.has_fired,
            ..Script::default()
        };
        Self { script: Arc::new(Mutex::new(again)), clock: self.clock.clone() }
    }

    /// The writes so far, by method and path.
    pub fn writes(&self) -> Vec<String> {
        self.sent().into_iter().map(|write| write.request).collect()
    }

    /// The same, each with what came of it.
    pub fn sent(&self) -> Vec<Write> {
        self.script.lock().expect("a lock").writes.clone()
    }

    /// Whether what was to go wrong did.
    pub fn has_fired(&self) -> bool {
        self.script.lock().expect("a lock").has_fired
    }

    /// How many reads there were.
    pub fn reads(&self) -> usize {
        self.script.lock().expect("a lock").reads
    }

    /// Whether the operator was killed; nothing passes then.
    pub fn is_killed(&self) -> bool {
        self.script.lock().expect("a lock").is_killed
    }

    /// The number of a write, and what goes wrong with a request.
    fn next(&self, request: &Request<Body>) -> (Option<usize>, Option<Fault>) {
        let mut script = self.script.lock().expect("a lock");
        if script.is_killed {
            return (None, Some(Fault::KilledBefore));
        }
        if request.method() == Method::GET {
            script.reads += 1;
            return (None, None);
        }
        let number = script.writes.len();
        let request = format!("{} {}", request.method(), request.uri().path());
        script.writes.push(Write { request, is_done: false });
        let fault = script.at.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        script.has_fired |= fault.is_some();
        script.is_killed = matches!(fault, Some(Fault::KilledBefore | Fault::KilledAfter));
        (Some(number), fault)
    }

    fn note_done(&self, number: usize) {
        self.script.lock().expect("a lock").writes[number].is_done = true;
    }
}

impl<S> Layer<S> for Network {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, network: self.clone() }
    }
}

/// What the network makes of a service.
pub struct Faulty<S> {
    inner: S,
    network: Network,
}

/// What comes back.
pub type Answer = Response<Box<kube::client::DynBody>>;
/// It on its way.
pub type Call = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

impl<S> Faulty<S>
where
    S: Service<Request<Body>, Response = Answer, Error = BoxError>,
    S::Future: Send + 'static,
{
    /// Lets a request through, and notes whether a write of this number was done.
    fn send(&mut self, request: Request<Body>, number: Option<usize>) -> Call {
        let (call, network) = (self.inner.call(request), self.network.clone());
        Box::pin(async move {
            let answer = call.await?;
            if let Some(number) = number.filter(|_| answer.status().is_success()) {
                network.note_done(number);
            }
            Ok(answer)
        })
    }
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
        let (number, fault) = self.network.next(&request);
        let Some(fault) = fault else { return self.send(request, number) };
        match fault {
            Fault::KilledBefore => Box::pin(async { Err("the operator was killed".into()) }),
            Fault::KilledAfter => {
                let call = self.send(request, number);
                Box::pin(async {
                    call.await?;
                    Err("the operator was killed".into())
                })
            }
            Fault::Conflict => Box::pin(async { Ok(refusal(StatusCode::CONFLICT, "Conflict")) }),
            Fault::TooMany => Box::pin(async { Ok(refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")) }),
            Fault::Internal => Box::pin(async { Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")) }),
            Fault::TimeoutAfterCommit => {
                let call = self.send(request, number);
                Box::pin(async {
                    call.await?;
                    Ok(refusal(StatusCode::GATEWAY_TIMEOUT, "Timeout"))
                })
            }
            Fault::Hang => {
                let clock = self.network.clock.clone();
                Box::pin(async move {
                    clock.advance(Duration::from_secs(30));
                    std::future::pending().await
                })
            }
        }
    }
}

fn refusal(code: StatusCode, reason: &str) -> Answer {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code.as_u16(), "reason": reason,
        "message": "made up by the test", "details": { "retryAfterSeconds": 2 },
    });
    let body = Full::new(Bytes::from(status.to_string())).map_err(|never| match never {});
    let body: Box<kube::client::DynBody> = Box::new(body);
    Response::builder().status(code).header("content-type", "application/json").body(body).expect("a response")
}
