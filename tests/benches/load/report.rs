use std::io::Write;

/// The lines of the result, told as they are measured.
pub struct Report;

impl Report {
    pub fn line(&self, what: &str, figure: &str) {
        let mut out = std::io::stdout().lock();
        // Nobody may be listening any more; the run goes on.
        drop(writeln!(out, "{what:<48} {figure}"));
    }

    /// A rate beside the one that a bare SQLite loop reached with the same rows in this run.
    pub fn ratio(&self, what: &str, unit: &str, rate: f64, bare: f64) {
        self.line(what, &format!("{rate:>9.0} {unit:<12} bare loop {bare:>9.0}, ratio {:.2}", rate / bare));
    }
}
