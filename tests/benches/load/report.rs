use std::io::Write;

/// Tells a figure as soon as it is measured.
pub fn line(what: &str, figure: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody may be listening any more; the run goes on.
    drop(writeln!(out, "{what:<48} {figure}"));
}

/// Tells a rate beside the one that a bare SQLite loop reached with the same rows in this run.
pub fn ratio(what: &str, unit: &str, rate: f64, bare: f64) {
    line(what, &format!("{rate:>9.0} {unit:<12} bare loop {bare:>9.0}, ratio {:.2}", rate / bare));
}
