//! Any text as the address at which a device is to be woken: refused, or one of a push service that the server asks.
#![no_main]

use cartera_server::platform::config::Config;
use cartera_server::wake::endpoint::Endpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let config = Config::with_data_dir("x").wake;
    let Ok(endpoint) = Endpoint::parse(text, &config) else { return };
    let origin = endpoint.origin();
    let host = origin.strip_prefix("https://").expect("nobody else is asked in the open");
    assert!(config.hosts.iter().any(|allowed| allowed.matches(host)), "{host} is no push service");
    assert!(!host.contains(['@', ':', '/', '?', '#']), "{host} is a name and nothing else");
    let again = Endpoint::parse(endpoint.as_str(), &config).expect("what was allowed is allowed as it is kept");
    assert_eq!(again, endpoint, "it is kept as it will be asked");
});
