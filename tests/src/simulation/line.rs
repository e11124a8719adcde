//! An exchange on its way to the server and back.

use std::hash::Hash as _;
use std::io;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
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

/// The path of a request's body: whole, or cut after so many thousandths.
fn post(device: &Device, request: &ExchangeRequest, cut: Option<u16>) -> Request<Body> {
    let json = serde_json::to_vec(request).expect("requests are JSON");
    // Large requests go packed, and half of the devices understand packed answers.
    let is_packed = json.len() > 600;
    let bytes = if is_packed { zstd::encode_all(&json[..], 1).expect("zstd") } else { json };
    let mut post = Request::builder()
        .method(Method::POST)
        .uri(EXCHANGE)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", device.token));
    if is_packed {
        post = post.header(header::CONTENT_ENCODING, "zstd");
    }
    if device.number % 2 == 0 {
        post = post.header(header::ACCEPT_ENCODING, "zstd");
    }
    let body = match cut {
        None => Body::from(bytes),
        Some(cut) => {
            let part = bytes[..part_of(bytes.len(), cut)].to_vec();
            Body::from_stream(stream::iter([Ok(part), Err(io::Error::from(io::ErrorKind::ConnectionReset))]))
        }
    };
    post.body(body).expect("a request")
}

/// Always less than the whole.
fn part_of(length: usize, thousandths: u16) -> usize {
    length * usize::from(thousandths % 1_000) / 1_000
}

impl World {
    /// An exchange of a device, with what goes wrong on the way.
    pub(super) async fn exchange(&mut self, at: usize, mut request: ExchangeRequest, fault: Option<Fault>) -> Answer {
        self.devices[at].limit(&mut request);
        let Some(fault) = fault else { return self.serve(at, &request).await };
        self.tally.count(fault.name());
        match fault {
            Fault::RequestLost => {}
            Fault::RequestCut(cut) => {
                let cut = post(&self.devices[at], &request, Some(cut));
                let reply = self.office.ask(cut).await;
                assert!(reply.status.is_client_error(), "half a request is none: {}", reply.status);
            }
            Fault::AnswerLost => drop(self.serve(at, &request).await),
            Fault::AnswerCut(cut) => {
                let reply = self.office.ask(post(&self.devices[at], &request, None)).await;
                let part = &reply.bytes[..part_of(reply.bytes.len(), cut)];
                assert!(serde_json::from_slice::<ExchangeResponse>(part).is_err(), "half an answer is none");
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

    /// A request that changes no record, with what goes wrong on the way; `serve` has it answered.
    pub(super) async fn ask<T>(
        &mut self,
        goes_wrong: &str,
        fault: Option<Fault>,
        serve: impl AsyncFn(&mut Self) -> T,
    ) -> Result<T, NoAnswer> {
        let Some(fault) = fault else { return Ok(serve(self).await) };
        self.tally.count(goes_wrong);
        match fault {
            Fault::RequestLost | Fault::RequestCut(_) | Fault::Late => Err(NoAnswer::Lost),
            Fault::AnswerLost | Fault::AnswerCut(_) => {
                drop(serve(self).await);
                Err(NoAnswer::Lost)
            }
            Fault::Twice => {
                drop(serve(self).await);
                Ok(serve(self).await)
            }
            Fault::Busy => Err(NoAnswer::Busy),
            Fault::Dies(death) => {
                let before = self.office.photograph();
                let answer = serve(self).await;
                let after = self.office.photograph();
                self.office.rise_from(if death == Death::BeforeCommit { before } else { after }).await;
                if death == Death::AfterAnswer { Ok(answer) } else { Err(NoAnswer::Lost) }
            }
        }
    }

    async fn serve(&mut self, at: usize, request: &ExchangeRequest) -> Answer {
        let reply = self.office.ask(post(&self.devices[at], request, None)).await;
        self.take(at, request, &reply)
    }

    async fn serve_and_die(&mut self, at: usize, request: &ExchangeRequest, death: Death) -> Answer {
        let before = self.office.photograph();
        let reply = self.office.ask(post(&self.devices[at], request, None)).await;
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
        let asks = exchanges.iter().map(|(at, request)| self.office.ask(post(&self.devices[*at], request, None)));
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
        let reply = self.office.ask(post(&self.devices[device], &request, None)).await;
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
