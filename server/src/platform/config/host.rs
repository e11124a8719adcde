use std::str::FromStr;

/// A host by its name, or with `*.` before it all those below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    is_below: bool,
}

impl Host {
    /// Whether a host of that name is meant; case does not count.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if self.is_below {
            return host.strip_suffix(&self.name).is_some_and(|front| front.len() > 1 && front.ends_with('.'));
        }
        host == self.name
    }
}

/// Why a text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no name of a host")]
pub struct NoHost;

impl FromStr for Host {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let (name, is_below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        let is_label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(NoHost);
        }
        Ok(Self { name: name.to_ascii_lowercase(), is_below })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_itself_and_with_a_star_all_those_below_it() {
        for (host, inside, outside) in [
            ("fcm.googleapis.com", "FCM.googleapis.com", "evil-fcm.googleapis.com"),
            ("fcm.googleapis.com", "fcm.googleapis.com", "fcm.googleapis.com.example.org"),
            ("*.push.apple.com", "web.push.apple.com", "push.apple.com"),
            ("*.push.apple.com", "a.b.push.apple.com", "webpush.apple.com"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ] {
            let parsed: Host = host.parse().expect("a host");
            assert_eq!((parsed.matches(inside), parsed.matches(outside)), (true, false), "{host}");
        }
        for wrong in ["", "*", "*.", "a..b", "https://a.example", "a b", "*.*.example", "ñ.example"] {
            assert_eq!(wrong.parse::<Host>(), Err(NoHost), "{wrong}");
        }
    }
}
