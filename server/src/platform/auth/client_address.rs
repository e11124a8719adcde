use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::app::App;
use crate::platform::config::Network;

/// The header in which each proxy adds who asked it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Where a request comes from: the peer of its connection, or whoever trusted proxies say asked them. None for a request
/// that came over no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let trusted = &app.config().http.trusted_proxies;
        Ok(Self(peer.map(|peer| behind_proxies(peer, &parts.headers, trusted))))
    }
}

/// The last address that no trusted proxy has: what stands before it in the header, anybody may have written.
fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
    for said in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !is_proxy(client) {
            break;
        }
        let Some(before) = address_in(said.trim()) else { break };
        client = before;
    }
    client
}

/// Some proxies add the port.
fn address_in(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().expect("a network")).collect();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, axum::http::HeaderValue::from_static(line));
        }
        behind_proxies(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_say_counts() {
        let proxies = ["10.0.0.0/8", "2001:db8::1"];
        assert_eq!(client("10.0.0.1", &["198.51.100.1"], &[]), "10.0.0.1", "none is trusted unless it is named");
        let cases: [(&str, &[&'static str], &str); 10] = [
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.7"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1:5000", "10.0.0.7"], "198.51.100.1"),
            ("2001:db8::1", &["[2001:db8::9]:443"], "2001:db8::9"),
            ("2001:db8::1", &["[2001:db8::9]"], "2001:db8::9"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ];
        for (peer, forwarded, is) in cases {
            assert_eq!(client(peer, forwarded, &proxies), is, "{peer} {forwarded:?}");
        }
    }
}
