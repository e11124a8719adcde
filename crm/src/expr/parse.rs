//! From text to CEL's syntax tree.

use cel::IdedExpr;
use cel::common::ast::SourceInfo;
use cel::parser::ParseErrors;

use super::{ExprError, guard};

/// CEL's tree of `source`, with `has`, `all` and `exists` left as the calls they are written as.
pub(super) fn parse(source: &str) -> Result<(IdedExpr, SourceInfo), ExprError> {
    guard::admit(source)?;
    cel::Env::default()
        .with_optional_support(false)
        .parser()
        .max_recursion_depth(96)
        // The first mistake is told; guessing on behind it costs time that grows with hostile input.
        .error_recovery_limit(0)
        .parse_with_source_info(source)
        .map_err(|errors| explain(source, &errors))
}

fn explain(source: &str, errors: &ParseErrors) -> ExprError {
    // The parser also reports that it stopped at the mistake; what it noticed there says more.
    let Some(error) =
        errors.errors.iter().find(|error| !error.msg.contains("recovery attempt limit")).or(errors.errors.first())
    else {
        return ExprError::whole("this is not an expression");
    };
    let position = position(source, error.pos);
    let rest: String = source.chars().skip(position - 1).collect();
    let message = if error.msg.contains("reserved identifier") {
        format!("{} is a reserved word of the language", word(&rest))
    } else if error.msg.contains("invalid int literal") {
        "this number is too large; numbers are whole and fit 64 bits".to_owned()
    } else if error.msg.contains("invalid string literal") {
        "this text has an escape that the language does not know; \\', \\\", \\\\, \\n, \\t and \\u00e9 are allowed"
            .to_owned()
    } else if rest.trim().is_empty() {
        "the expression ends before it is complete".to_owned()
    } else if rest.starts_with('=') && !rest.starts_with("==") {
        "to compare two values write ==".to_owned()
    } else {
        format!("{} is not expected here", word(&rest))
    };
    ExprError::at(position, message)
}

/// The word, or else the one character, that a text begins with.
fn word(rest: &str) -> String {
    let rest = rest.trim_start();
    let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    if name.is_empty() { rest.chars().take(1).collect() } else { name }
}

/// The parser's line and column as one character position within the source or just behind it.
fn position(source: &str, (line, column): (isize, isize)) -> usize {
    let lines_before = usize::try_from(line).unwrap_or(1).max(1) - 1;
    let before: usize = source.split_inclusive('\n').take(lines_before).map(|line| line.chars().count()).sum();
    let column = usize::try_from(column).unwrap_or(1).max(1);
    (before + column).min(source.chars().count() + 1)
}
