//! What an import came to, for people.

use std::fmt::Write as _;

use crate::import::job::{ImportJob, State, UndoReport};
use crate::import::plan::Severity;
use crate::import::report::ProblemGroup;

/// Lines and values that are named; `--json` names all.
const NAMED_LINES: usize = 12;
const NAMED_CASES: usize = 8;

/// The report of an import that ended.
pub(super) fn text(job: &ImportJob) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}: {} {}", job.file_name, job.counts.rows, rows(job.counts.rows));
    for column in &job.columns {
        let targets = if column.targets.is_empty() { "(not imported)".to_owned() } else { column.targets.join(", ") };
        let _ = writeln!(text, "  {:<24} → {targets}", column.column);
    }
    for group in &job.problems {
        text.push_str(&problem(group));
    }
    let counts = &job.counts;
    let would = if matches!(job.state, State::Done) { "" } else { "would be " };
    if job.state != State::Refused {
        let _ = writeln!(
            text,
            "{} {}: {would}{} created, {} updated, {} unchanged",
            counts.rows, job.entity, counts.created, counts.updated, counts.unchanged
        );
        let linked = counts.made.iter().filter(|(entity, _)| **entity != job.entity);
        let linked: Vec<String> = linked.map(|(entity, count)| format!("{count} {entity}")).collect();
        if !linked.is_empty() {
            let _ = writeln!(text, "With them: {}", linked.join(", "));
        }
    }
    let end = match job.state {
        State::Done => format!("Imported. To take it back: cartera import --undo {}", job.id),
        State::Checked => "Dry run: nothing was changed.".to_owned(),
        _ => format!("{} rows have errors: nothing was changed.", counts.rows_with_errors),
    };
    let _ = writeln!(text, "{end}");
    text
}

/// The report of an import that was taken back.
pub(super) fn undone(job: &ImportJob) -> String {
    let UndoReport { deleted, restored, kept } = job.undo.clone().unwrap_or_default();
    let mut text = format!("{}: {deleted} deleted, {restored} restored, {} kept\n", job.file_name, kept.len());
    for kept in kept.iter().take(NAMED_LINES) {
        let field = kept.field.as_ref().map_or_else(String::new, |field| format!(", {field}"));
        let _ = writeln!(text, "  {} “{}”{field}: {}", kept.entity, kept.title, kept.reason);
    }
    if kept.len() > NAMED_LINES {
        let _ = writeln!(text, "  … and {} more; --json names all", kept.len() - NAMED_LINES);
    }
    text
}

fn problem(group: &ProblemGroup) -> String {
    let severity = match group.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = match (&group.column, &group.field) {
        (Some(column), Some(field)) if column != field => format!(" {column} → {field}"),
        (Some(place), _) | (None, Some(place)) => format!(" {place}"),
        (None, None) => String::new(),
    };
    let mut text = if group.rows == 0 {
        format!("{severity}{place} ({})\n", group.code)
    } else {
        format!("{severity}{place} ({}): {} {}\n", group.code, group.rows, rows(group.rows))
    };
    for case in group.cases.iter().take(NAMED_CASES) {
        let _ = writeln!(text, "    {}", case.message);
        let named: Vec<String> = case.lines.iter().take(NAMED_LINES).map(u64::to_string).collect();
        let more = case.lines.len().saturating_sub(NAMED_LINES);
        let tail = if more > 0 { format!(", … and {more} more; --json names all") } else { String::new() };
        if !named.is_empty() {
            let _ = writeln!(text, "    line {}{tail}", named.join(", "));
        }
    }
    if group.cases.len() > NAMED_CASES {
        let _ = writeln!(text, "    … and {} more values; --json names all", group.cases.len() - NAMED_CASES);
    }
    text
}

fn rows(count: u64) -> &'static str {
    if count == 1 { "row" } else { "rows" }
}
