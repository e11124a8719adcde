//! A network that does to watches what networks do.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{Method, Request};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use kube::client::{Body, DynBody};
use tower::{BoxError, Layer, Service};

use super::fault::{Answer, Call};

/// What goes wrong, at every fifth event.
#[derive(Clone, Copy, Debug)]
pub enum WatchFault {
    /// It is lost, and the connection with it.
    Lost,
    /// It comes twice.
    Repeated,
    /// It comes after the one that followed it.
    Reordered,
    /// The API server says that it has forgotten where the watch was.
    Expired,
}

impl WatchFault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lost, Self::Repeated, Self::Reordered, Self::Expired];

    /// What the operator gets instead of these events, and whether the connection goes on.
    fn apply(self, number: usize, event: Bytes, next: Option<Bytes>) -> (Vec<Bytes>, bool) {
        let followed = |first: Vec<Bytes>| first.into_iter().chain(next.clone()).collect();
        if number % 5 != 4 {
            return (followed(vec![event]), true);
        }
        match self {
            Self::Lost => (Vec::new(), false),
            Self::Repeated => (followed(vec![event.clone(), event]), true),
            Self::Reordered => (next.into_iter().chain([event]).collect(), true),
            Self::Expired => (vec![Bytes::from_static(EXPIRED)], false),
        }
    }
}

const EXPIRED: &[u8] = b"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old resource version\",\"reason\":\"Expired\",\"code\":410}}\n";

impl<S> Layer<S> for WatchFault {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, fault: *self }
    }
}

/// What the network makes of a service.
pub struct Faulty<S> {
    inner: S,
    fault: WatchFault,
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
        let (call, fault) = (self.inner.call(request), self.fault);
        Box::pin(async move {
            let answer = call.await?;
            Ok(if is_watch { answer.map(|body| disturbed(body, fault)) } else { answer })
        })
    }
}

/// The events of a watch are lines.
fn disturbed(body: Box<DynBody>, fault: WatchFault) -> Box<DynBody> {
    let lines = lines(body.into_data_stream());
    let events = lines.enumerate().scan(true, move |goes_on, (number, line)| {
        let told = std::mem::replace(goes_on, false).then(|| match line {
            Ok((event, next)) => {
                let (told, still) = fault.apply(number, event, next);
                *goes_on = still;
                stream::iter(told.into_iter().map(|line| Ok(Frame::data(line))).collect::<Vec<_>>())
            }
            Err(error) => stream::iter(vec![Err(error)]),
        });
        std::future::ready(told)
    });
    let frames: Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, BoxError>> + Send>> = Box::pin(events.flatten());
    Box::new(StreamBody::new(frames))
}

/// Whole lines, each with the one after it where both are here already.
fn lines(
    parts: impl Stream<Item = Result<Bytes, BoxError>> + Send,
) -> impl Stream<Item = Result<(Bytes, Option<Bytes>), BoxError>> + Send {
    let parts = Box::pin(parts);
    stream::unfold((parts, Vec::new()), |(mut parts, mut rest): (_, Vec<u8>)| async move {
        loop {
            if let Some(event) = line(&mut rest) {
                let next = line(&mut rest);
                return Some((Ok((event, next)), (parts, rest)));
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
