//! The body of a large answer: handed out in small parts, and let go of where nobody takes it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;

/// The connection holds some of these at a time; who takes less than one in a whole patience is cut off.
const PART_BYTES: usize = 32 << 10;

/// What the connection reads from.
pub(super) struct Sending {
    answer: Arc<Answer>,
    /// Ends [`Watch::is_sent`].
    _unsent: oneshot::Sender<Infallible>,
}

/// Sees how far the connection comes.
pub(super) struct Watch {
    answer: Arc<Answer>,
    sent: oneshot::Receiver<Infallible>,
}

struct Answer {
    unsent: Mutex<Option<Unsent>>,
    was_taken_from: AtomicBool,
}

struct Unsent {
    body: Body,
    /// Of a frame whose first parts were taken.
    rest: Bytes,
}

/// A body, and who watches it being sent.
pub(super) fn sending(body: Body) -> (Sending, Watch) {
    let (unsent, sent) = oneshot::channel();
    let answer = Arc::new(Answer {
        unsent: Mutex::new(Some(Unsent { body, rest: Bytes::new() })),
        was_taken_from: AtomicBool::new(false),
    });
    (Sending { answer: answer.clone(), _unsent: unsent }, Watch { answer, sent })
}

impl Watch {
    /// Waits until the connection has taken everything or is gone.
    pub(super) async fn is_sent(&mut self) {
        // Nothing is ever sent on it.
        let _ = (&mut self.sent).await;
    }

    /// Whether anything was taken since this was last asked.
    pub(super) fn was_taken_from(&self) -> bool {
        self.answer.was_taken_from.swap(false, Ordering::Relaxed)
    }

    /// Lets go of what was not sent; who reads on finds the answer broken off.
    pub(super) fn cut(&self) {
        *self.answer.unsent() = None;
    }
}

impl Answer {
    fn unsent(&self) -> MutexGuard<'_, Option<Unsent>> {
        self.unsent.lock().expect("no holder of this lock panics")
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut unsent = self.answer.unsent();
        let Some(Unsent { body, rest }) = unsent.as_mut() else {
            let error = io::Error::new(io::ErrorKind::TimedOut, "nobody took the answer");
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        };
        self.answer.was_taken_from.store(true, Ordering::Relaxed);
        if rest.is_empty() {
            match std::task::ready!(Pin::new(body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => *rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let part = rest.split_to(PART_BYTES.min(rest.len()));
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.answer.unsent().as_ref().is_some_and(|Unsent { body, rest }| rest.is_empty() && body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::default();
        if let Some(Unsent { body, rest }) = self.answer.unsent().as_ref() {
            let (rest, body) = (rest.len() as u64, body.size_hint());
            hint.set_lower(rest + body.lower());
            if let Some(upper) = body.upper() {
                hint.set_upper(rest + upper);
            }
        }
        hint
    }
}
