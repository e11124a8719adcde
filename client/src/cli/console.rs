use std::io::{self, Write};

use crm::model::{Label, Language};
use serde::Serialize;

use super::table::{Table, printable};
use super::{Done, Failure};
use crate::device::DeviceError;

/// Where a command speaks: JSON for scripts or text for people, in one language.
pub struct Console {
    json: bool,
    /// Documents take one line each.
    has_lines: bool,
    language: Language,
    out: Box<dyn Write>,
    /// Progress is for people who look.
    shows_progress: bool,
}

impl Console {
    pub fn new(json: bool, language: Language, out: Box<dyn Write>, is_watched: bool) -> Self {
        Self { json, has_lines: false, language, out, shows_progress: is_watched && !json }
    }

    /// From now on there is more than one document, each on a line of its own, and nobody waits for the end.
    pub fn go_on_in_lines(&mut self) {
        self.has_lines = true;
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// The one document of a command.
    pub fn document(&mut self, document: &impl Serialize) -> Done {
        self.write(document).map_err(Failure::Output)
    }

    fn write(&mut self, document: &impl Serialize) -> io::Result<()> {
        if self.has_lines {
            serde_json::to_writer(&mut self.out, document)?;
        } else {
            serde_json::to_writer_pretty(&mut self.out, document)?;
        }
        writeln!(self.out)?;
        if self.has_lines { self.out.flush() } else { Ok(()) }
    }

    /// A line in the language of the console.
    pub fn say(&mut self, text: &Label) -> Done {
        let line = text.text(self.language).to_owned();
        self.line(&line)
    }

    /// A line as it is, without what would steer the terminal.
    pub fn line(&mut self, text: &str) -> Done {
        let written = writeln!(self.out, "{}", printable(text));
        let shown = written.and_then(|()| if self.has_lines { self.out.flush() } else { Ok(()) });
        shown.map_err(Failure::Output)
    }

    pub fn table(&mut self, table: &Table) -> Done {
        table.print(&mut self.out).map_err(Failure::Output)
    }

    /// Replaces the progress line on standard error.
    pub fn progress(&self, text: &Label) {
        if self.shows_progress {
            // Progress that cannot be shown is no reason to stop.
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K{}", text.text(self.language));
        }
    }

    /// Takes the progress line away.
    pub fn end_progress(&self) {
        if self.shows_progress {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }

    /// What went wrong.
    pub fn problem(&mut self, error: &DeviceError) -> io::Result<()> {
        let problem = error.problem(self.language);
        if self.json {
            self.write(&problem)?;
            return self.out.flush();
        }
        let mut err = io::stderr().lock();
        writeln!(err, "{}", printable(problem.detail.as_deref().unwrap_or(&problem.title)))?;
        for field in &problem.fields {
            writeln!(err, "  {}: {}", printable(&field.field), printable(&field.message))?;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Done {
        self.out.flush().map_err(Failure::Output)
    }
}
