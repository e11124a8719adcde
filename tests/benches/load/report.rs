use std::io::Write;

use anyhow::Result;

/// The lines of the result, in the order in which they were measured.
pub struct Report {
    lines: Vec<String>,
}

impl Report {
    pub fn new() -> Self {
        Self { lines: Vec::new() }
    }

    pub fn line(&mut self, what: &str, figure: &str) {
        self.lines.push(format!("{what:<48} {figure}"));
    }

    /// A rate beside the one that a bare SQLite loop reached with the same rows in this run.
    pub fn ratio(&mut self, what: &str, unit: &str, rate: f64, bare: f64) {
        self.line(what, &format!("{rate:>9.0} {unit:<12} bare loop {bare:>9.0}, ratio {:.2}", rate / bare));
    }

    pub fn print(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}
