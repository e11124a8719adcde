use super::*;

fn file(text: &str) -> Sources {
    Sources { file: Some(("cartera.toml".into(), text.into())), ..Sources::default() }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let mut sources =
        file("listen = \"127.0.0.1:1\"\nlanguage = \"en\"\n[auth]\nsession_secs = 61\ndevice_session_secs = 62\n");
    sources.environment = pairs(&[("CARTERA_LISTEN", "127.0.0.1:2"), ("CARTERA_AUTH_SESSION_SECS", "120")]);
    sources.flags = pairs(&[("listen", "127.0.0.1:3")]);
    let config = Config::read(&sources).expect("all allowed");
    assert_eq!(config.listen.port(), 3);
    assert_eq!((config.auth.session.as_secs(), config.auth.device_session.as_secs()), (120, 62));
    assert_eq!(config.language, Language::En);
    assert_eq!(config.limits.body_bytes, 8 << 20, "what nothing sets keeps its default");
}

#[test]
fn every_problem_is_told_at_once_with_key_value_origin_and_what_is_allowed() {
    let mut sources = file(
        "listen = 8080\n[limits]\nbody_bytes = -1\n[tls]\ncert_file = \"/etc/cert.pem\"\n[smtp]\nhost = \"mail\"\n",
    );
    sources.environment = pairs(&[("CARTERA_AUTH_PASSWORD_MEMORY_KIB", "1024"), ("CARTERA_PORT", "tcp://10.0.0.1:80")]);
    sources.flags = pairs(&[("lisen", "127.0.0.1:3"), ("telemetry.otlp_endpoint", "collector:4318")]);
    let text = Config::read(&sources).expect_err("all wrong").to_string();
    assert_eq!(
        text,
        "the configuration is wrong in 7 place(s):
  smtp.host is not something that can be set; docs/configuration.md lists all that can (set by cartera.toml)
  lisen is not something that can be set; did you mean listen? (set by the command line)
  listen is \"8080\"; allowed is a numeric address and a port, such as 127.0.0.1:8080 or [::]:8080 (set by cartera.toml)
  limits.body_bytes is \"-1\"; allowed is a whole number from 65536 to 268435456 (set by cartera.toml)
  auth.password_memory_kib is \"1024\"; allowed is a whole number from 19456 to 4194304 (set by the environment variable CARTERA_AUTH_PASSWORD_MEMORY_KIB)
  telemetry.otlp_endpoint is \"collector:4318\"; allowed is an address that begins with http:// or https:// (set by the command line)
  tls.key_file is not set, but tls.cert_file is: set both, or neither for plain HTTP (set by the defaults)"
    );
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let config = Config::read(&file("[http]\ntrusted_proxies = \"10.0.0.0/8, ::1\"\n")).expect("all allowed");
    assert_eq!(config.http.trusted_proxies, ["10.0.0.0/8", "::1"].map(|text| text.parse().expect("a network")));
    assert!(Config::with_data_dir("x").http.trusted_proxies.is_empty(), "nobody is trusted unless named");
    let wrong = Config::read(&file("[http]\ntrusted_proxies = \"10.0.0.0/8, proxy\"\n")).expect_err("no address");
    assert!(wrong.to_string().contains("http.trusted_proxies is \"10.0.0.0/8, proxy\"; allowed is"), "{wrong}");
}

#[test]
fn a_file_that_is_not_toml_is_told_with_its_place() {
    let text = Config::read(&file("listen = ")).expect_err("not TOML").to_string();
    assert!(text.contains("the file cannot be read as TOML") && text.contains("line 1"), "{text}");
}

#[test]
fn a_value_that_must_not_be_empty_cannot_be_emptied() {
    let sources = Sources { environment: pairs(&[("CARTERA_LISTEN", "")]), ..Sources::default() };
    let text = Config::read(&sources).expect_err("empty").to_string();
    assert!(text.contains("listen is empty; allowed is a numeric address"), "{text}");
    let sources = Sources { environment: pairs(&[("CARTERA_TELEMETRY_OTLP_ENDPOINT", "")]), ..Sources::default() };
    assert_eq!(Config::read(&sources).expect("an empty optional value is none").telemetry.otlp_endpoint, None);
}

#[test]
fn defaults_are_what_they_are_documented_to_be() {
    let config = Config::with_data_dir("/srv/cartera");
    assert_eq!(config.auth.session, Duration::from_hours(12));
    assert_eq!(config.auth.device_session, Duration::from_hours(30 * 24));
    assert_eq!(
        (config.auth.password_memory_kib, config.auth.password_passes, config.auth.password_lanes),
        (64 * 1024, 3, 1)
    );
    assert!(config.tls.is_none() && config.telemetry.otlp_endpoint.is_none() && config.telemetry.listen.is_none());
}

#[test]
fn the_documentation_holds_the_table_of_all_keys_as_they_are() {
    let document = include_str!("../../../../docs/configuration.md");
    let table = as_markdown();
    assert!(document.contains(&table), "put this table into docs/configuration.md:\n\n{table}");
}
