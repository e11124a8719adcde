//! An exchange on its way to the server and back.

use std::hash::Hash as _;
use std::io;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header, request};
use cartera_client::transport::body::decode;
use cartera_server::record::write::Decision;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::Map;
use sync_protocol::engine::Answer;
use sync_protocol::wire::{ExchangeRequest, ExchangeResponse, Problem};

use super::change::Intent;
use super::check;
use super::device::Device;
use super::fault::{Death, Fault};
use super::office::Reply;
use super::oracle::Oracle;
use super::world::World;

const EXCHANGE: &str = "/sync/v1/exchange";

/// What a device has instead of an answer.
pub(super) enum NoAnswer {
    /// Nothing.
    Lost,
    /// Something before the server says that it is busy.
    Busy,
}

impl From<NoAnswer> for Answer {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::Lost => Self::Failed,
            NoAnswer::Busy => Self::Problem { problem: busy(), retry_after_ms: Some(2_000) },
        }
    }
}

/// A request that its device has given up, still on its way.
pub(super) struct Late {
    pub(super) device: usize,
    request: ExchangeRequest,
}

/// A request as it leaves its device.
pub(super) struct Parcel {
    head: request::Parts,
    body: Vec<u8>,
}

impl Parcel {
    pub(super) fn new(head: request::Builder, body: Vec<u8>) -> Self {
        let (head, ()) = head.body(()).expect("a request").into_parts();
        Self { head, body }
    }

    /// All of it.
    pub(super) fn whole(&self) -> Request<Body> {
        Request::from_parts(self.head.clone(), Body::from(self.body.clone()))
    }

    /// Its head, and so many thousandths of its body; without a body, nothing of it gets there.
    fn cut(&self, thousandths: u16) -> Option<Request<Body>> {
        let part = part_of(&self.body, thousandths)?.to_vec();
        let broken = stream::iter([Ok(part), Err(io::Error::from(io::ErrorKind::ConnectionReset))]);
        Some(Request::from_parts(self.head.clone(), Body::from_stream(broken)))
    }
}

/// Always less than the whole; none of nothing.
fn part_of(whole: &[u8], thousandths: u16) -> Option<&[u8]> {
    let length = whole.len() * usize::from(thousandths % 1_000) / 1_000;
    (!whole.is_empty()).then(|| &whole[..length])
}

fn post(device: &Device, request: &ExchangeRequest) -> Parcel {
    let json = serde_json::to_vec(request).expect("requests are JSON");
    // Large requests go packed, and half of the devices understand packed answers.
    let is_packed = json.len() > 600;
    let bytes = if is_packed { zstd::encode_all(&json[..], 1).expect("zstd") } else { json };
    let mut head = device.request().method(Method::POST).uri(EXCHANGE).header(header::CONTENT_TYPE, "application/json");
    if is_packed {
        head = head.header(header::CONTENT_ENCODING, "zstd");
    }
    Parcel::new(head, bytes)
}

fn reads_exchange(bytes: &[u8]) -> bool {
    serde_json::from_slice::<ExchangeResponse>(bytes).is_ok()
}

impl World {
    /// An exchange of a device, with what goes wrong on the way.
    pub(super) async fn exchange(&mut self, at: usize, mut request: ExchangeRequest, fault: Option<Fault>) -> Answer {
        self.devices[at].limit(&mut request);
        let Some(fault) = fault else { return self.serve(at, &request).await };
        self.tally.count(fault.name());
        match fault {
            Fault::RequestLost => {}
            Fault::RequestCut(cut) => self.send_cut(&post(&self.devices[at], &request), cut).await,
            Fault::AnswerLost => drop(self.serve(at, &request).await),
            Fault::AnswerCut(cut) => {
                let reply = self.office.ask(post(&self.devices[at], &request).whole()).await;
                self.is_refused_when_cut(&reply, cut, reads_exchange);
                drop(self.take(at, &request, &reply));
            }
            Fault::Twice => {
                drop(self.serve(at, &request).await);
                return self.serve(at, &request).await;
            }
            Fault::Late => self.late.push(Late { device: at, request }),
            Fault::Busy => return NoAnswer::Busy.into(),
            Fault::Dies(death) => return self.serve_and_die(at, &request, death).await,
        }
        Answer::Failed
    }

    /// A request of which only a part reaches the server.
    async fn send_cut(&self, parcel: &Parcel, thousandths: u16) {
        let Some(request) = parcel.cut(thousandths) else { return };
        let reply = self.office.ask(request).await;
        assert!(reply.status.is_client_error(), "half a request is none: {}", reply.status);
    }

    /// The first bytes of an answer, as they travel, are none to the client, wherever they end.
    fn is_refused_when_cut(&mut self, reply: &Reply, thousandths: u16, reads: impl Fn(&[u8]) -> bool) {
        let Some(part) = part_of(&reply.encoded, thousandths).filter(|_| reply.status == StatusCode::OK) else {
            return;
        };
        if reply.encoding.is_some() {
            self.tally.count("network: packed answer cut");
        }
        let is_read = decode(part, reply.encoding.as_deref()).is_ok_and(|bytes| reads(&bytes));
        assert!(!is_read, "{} of {} bytes pass for an answer", part.len(), reply.encoded.len());
    }

    /// A request that changes no record, with what goes wrong on the way: `take` makes an answer of what comes back, and
    /// `reads` tells whether bytes are such an answer.
    pub(super) async fn ask<T>(
        &mut self,
        goes_wrong: &str,
        fault: Option<Fault>,
        parcel: &Parcel,
        take: impl Fn(&mut Self, &Reply) -> T,
        reads: impl Fn(&[u8]) -> bool,
    ) -> Result<T, NoAnswer> {
        let serve = async |world: &mut Self| {
            let reply = world.office.ask(parcel.whole()).await;
            (take(world, &reply), reply)
        };
        let Some(fault) = fault else { return Ok(serve(self).await.0) };
        self.tally.count(goes_wrong);
        match fault {
            Fault::RequestLost | Fault::Late => Err(NoAnswer::Lost),
            Fault::RequestCut(cut) => {
                self.send_cut(parcel, cut).await;
                Err(NoAnswer::Lost)
            }
            Fault::AnswerLost => {
                drop(serve(self).await);
                Err(NoAnswer::Lost)
            }
            Fault::AnswerCut(cut) => {
                let (_, reply) = serve(self).await;
                self.is_refused_when_cut(&reply, cut, reads);
                Err(NoAnswer::Lost)
            }
            Fault::Twice => {
                drop(serve(self).await);
                Ok(serve(self).await.0)
            }
            Fault::Busy => Err(NoAnswer::Busy),
            Fault::Dies(death) => {
                let before = self.office.photograph();
                let (answer, _) = serve(self).await;
                let after = self.office.photograph();
                self.office.rise_from(if death == Death::BeforeCommit { before } else { after }).await;
                if death == Death::AfterAnswer { Ok(answer) } else { Err(NoAnswer::Lost) }
            }
        }
    }

    async fn serve(&mut self, at: usize, request: &ExchangeRequest) -> Answer {
        let reply = self.office.ask(post(&self.devices[at], request).whole()).await;
        self.take(at, request, &reply)
    }

    async fn serve_and_die(&mut self, at: usize, request: &ExchangeRequest, death: Death) -> Answer {
        let before = self.office.photograph();
        let reply = self.office.ask(post(&self.devices[at], request).whole()).await;
        let after = self.office.photograph();
        match death {
            Death::BeforeCommit => {
                // Nobody heard, and the disk knows nothing: it never happened.
                self.office.rise_from(before).await;
                Answer::Failed
            }
            Death::AfterCommit => {
                self.office.rise_from(after).await;
                drop(self.take(at, request, &reply));
                Answer::Failed
            }
            Death::AfterAnswer => {
                self.office.rise_from(after).await;
                self.take(at, request, &reply)
            }
        }
    }

    /// Exchanges of several devices at once, and what is written on the server meanwhile; `held` is let go when that is
    /// committed.
    pub(super) async fn serve_together(
        &mut self,
        exchanges: &[(usize, ExchangeRequest)],
        intents: Vec<Intent>,
        held: impl Sized,
    ) -> (Vec<Answer>, Vec<Decision>) {
        // Known sessions do not ask the database, so that all of it is in the writer's queue before that looks.
        for (at, _) in exchanges {
            let token = format!("Bearer {}", self.devices[*at].token);
            let me = Request::builder().uri("/api/v1/me").header(header::AUTHORIZATION, token);
            self.office.ask(me.body(Body::empty()).expect("a request")).await;
        }
        let asks = exchanges.iter().map(|(at, request)| self.office.ask(post(&self.devices[*at], request).whole()));
        let write = async {
            let decisions = self.office.write(intents).await;
            drop(held);
            decisions
        };
        let (replies, decisions) = tokio::join!(join_all(asks), write);
        let answers = exchanges.iter().zip(replies).map(|((at, request), reply)| self.take(*at, request, &reply));
        (answers.collect(), decisions)
    }

    /// A late request reaches the server; nobody waits for its answer.
    pub(super) async fn arrive(&mut self, n: usize) {
        if self.late.is_empty() {
            return;
        }
        self.tally.count("network: request late arrives");
        let Late { device, mut request } = self.late.remove(n % self.late.len());
        self.devices[device].limit(&mut request);
        let reply = self.office.ask(post(&self.devices[device], &request).whole()).await;
        if reply.status == StatusCode::OK {
            drop(self.take(device, &request, &reply));
        } else {
            // What it says may have been said, answered and forgotten since.
            assert!(reply.status.is_client_error(), "{}", String::from_utf8_lossy(&reply.bytes));
        }
    }

    /// An answer leaves the server: what it says is held against what holds now.
    fn take(&mut self, at: usize, request: &ExchangeRequest, reply: &Reply) -> Answer {
        self.tally.count("exchanges");
        reply.bytes.hash(&mut self.trace);
        if reply.status != StatusCode::OK {
            let problem: Problem = serde_json::from_slice(&reply.bytes).expect("a problem");
            let may_sign_in = Oracle::read(&self.office).viewer(self.devices[at].user).is_some();
            let is_undone = problem.code == "mutation-gap" && self.devices[at].is_undone();
            let is_signed_out = reply.status == StatusCode::UNAUTHORIZED && !may_sign_in;
            assert!(is_undone || is_signed_out, "{}: {problem:?}", self.devices[at]);
            return Answer::Problem { problem: Box::new(problem), retry_after_ms: None };
        }
        let response: ExchangeResponse = serde_json::from_slice(&reply.bytes).expect("a response");
        let oracle = Oracle::read(&self.office);
        let device = &mut self.devices[at];
        check::outcomes(device, request, &response, &oracle, &mut self.tally);
        // Where somebody wrote between the page and this look at the tables, they tell nothing of the page. Who asks for
        // outcomes only is not sent one.
        if response.head == oracle.head && request.limit_bytes > 0 {
            check::operations(device, &response.operations, &oracle, &mut self.tally);
            if !response.more {
                self.remember(at, &response.cursor, response.model.clone(), &oracle);
            }
        }
        if response.more {
            self.tally.count("page: more follow");
        }
        Answer::Response(Box::new(response))
    }
}

fn busy() -> Box<Problem> {
    Box::new(Problem {
        kind: "urn:cartera:problem:unavailable".into(),
        code: "unavailable".into(),
        title: "Busy".into(),
        status: 503,
        detail: None,
        fields: Vec::new(),
        extra: Map::new(),
    })
}
