use std::time::{Duration, Instant};

/// How long what a server does by itself may take, on a machine that has much else to do.
const COMES_WITHIN: Duration = Duration::from_mins(2);

/// Waits for a state that the server comes to by itself.
///
/// # Panics
/// When it does not come.
#[track_caller]
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let asked = Instant::now();
    while !holds() {
        assert!(asked.elapsed() < COMES_WITHIN, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
