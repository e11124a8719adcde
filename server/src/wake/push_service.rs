//! Asks a push service to wake a device, and understands its answer.

use std::time::Duration;

use jiff::fmt::rfc2822;
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode, header};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;

use super::address::PublicAddresses;
use super::endpoint::Endpoint;
use super::roll::Why;
use super::vapid::Vapid;
use crate::platform::config::{self, Reach};

/// A push service that asks for a shorter or longer pause is asked again after this one.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// Sends wake-ups; it blocks while it does.
pub(super) struct PushService {
    agent: Agent,
    vapid: Vapid,
    ttl_secs: u64,
}

/// What came of a request to wake a device.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The push service will wake it.
    Accepted,
    /// There is no such subscription any more.
    Gone,
    /// It cannot now; after that long, where it says so.
    Later(Option<Duration>),
    /// It does not want to, and will not.
    Refused(StatusCode),
    /// There was no answer.
    Unreachable(String),
}

impl Answer {
    /// As the measurements call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Gone => "gone",
            Self::Later(_) => "later",
            Self::Refused(_) => "refused",
            Self::Unreachable(_) => "unreachable",
        }
    }

    fn of(status: StatusCode, headers: &HeaderMap, now_ms: i64) -> Self {
        match status.as_u16() {
            200..=299 => Self::Accepted,
            404 | 410 => Self::Gone,
            408 | 425 | 429 | 500..=599 => Self::Later(retry_after(headers, now_ms)),
            // Redirects are not followed: they lead where nobody checked.
            _ => Self::Refused(status),
        }
    }
}

impl PushService {
    pub(super) fn new(vapid: Vapid, config: &config::Wake) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            .https_only(config.reach == Reach::Public)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A proxy would look the address up, and nobody would know which it was.
            .proxy(None)
            .user_agent("cartera")
            .build();
        let agent = match config.reach {
            Reach::Public => Agent::with_parts(agent, DefaultConnector::default(), PublicAddresses::default()),
            Reach::Any => Agent::with_parts(agent, DefaultConnector::default(), DefaultResolver::default()),
        };
        Self { agent, vapid, ttl_secs: config.ttl.as_secs() }
    }

    /// Asks for a device to be woken; `now_ms` is the time. The request holds nothing but what the service needs.
    pub(super) fn wake(&self, endpoint: &Endpoint, why: Why, now_ms: i64) -> Answer {
        let authorization = match self.vapid.authorization(endpoint.origin(), now_ms) {
            Ok(authorization) => authorization,
            Err(error) => return Answer::Unreachable(error.to_string()),
        };
        let urgency = match why {
            Why::News => "normal",
            Why::Order => "high",
        };
        let asked = self
            .agent
            .post(endpoint.as_str())
            .header(header::AUTHORIZATION, authorization)
            .header("ttl", self.ttl_secs.to_string())
            .header("urgency", urgency)
            // A later wake-up takes the place of one that has not arrived.
            .header("topic", "wake")
            .send_empty();
        match asked {
            Ok(answer) => Answer::of(answer.status(), answer.headers(), now_ms),
            Err(error) => Answer::Unreachable(error.to_string()),
        }
    }
}

/// How long to wait: seconds, or until a date.
fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let until_ms = rfc2822::parse(text).ok()?.timestamp().as_millisecond();
        Duration::from_millis(u64::try_from(until_ms - now_ms).unwrap_or(0))
    };
    Some(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_to_forget_the_device_to_come_again_or_to_leave_it() {
        let answer = |status: u16, retry_after: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = retry_after {
                headers.insert(header::RETRY_AFTER, text.parse().expect("a header"));
            }
            Answer::of(StatusCode::from_u16(status).expect("a status"), &headers, 784_111_777_000)
        };
        assert_eq!(answer(201, None), Answer::Accepted);
        assert_eq!((answer(404, None), answer(410, None)), (Answer::Gone, Answer::Gone));
        assert_eq!(answer(503, None), Answer::Later(None));
        assert_eq!(answer(429, Some("120")), Answer::Later(Some(Duration::from_mins(2))));
        assert_eq!(answer(429, Some("Sun, 06 Nov 1994 08:50:37 GMT")), Answer::Later(Some(Duration::from_mins(1))));
        assert_eq!(answer(429, Some("Sun, 06 Nov 1994 08:00:00 GMT")), Answer::Later(Some(SHORTEST_PAUSE)));
        assert_eq!(answer(429, Some("99999999999")), Answer::Later(Some(LONGEST_PAUSE)));
        assert_eq!(answer(429, Some("soon")), Answer::Later(None));
        for status in [301, 307, 400, 401, 403, 413] {
            assert_eq!(answer(status, None), Answer::Refused(StatusCode::from_u16(status).expect("a status")));
        }
    }

    #[test]
    fn a_push_service_beside_the_server_is_not_asked_whatever_its_name_says() {
        let mut config = config::Config::with_data_dir("x").wake;
        config.hosts = vec!["localhost".parse().expect("a host")];
        let vapid = Vapid::new(&Vapid::generate().expect("random bytes"), "mailto:it@example.com").expect("a pair");
        let service = PushService::new(vapid, &config);
        let endpoint = Endpoint::parse("https://localhost/x", &config).expect("its name is allowed");
        let Answer::Unreachable(problem) = service.wake(&endpoint, Why::News, 0) else { panic!("it was asked") };
        assert!(problem.contains("no public address"), "{problem}");
    }
}
