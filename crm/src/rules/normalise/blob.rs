//! Files that lie beside the records.

use serde_json::{Map, Value};

use super::super::Finding;
use super::super::message;
use super::composite::{at_member, list, non_empty, object};
use super::scalar::one_line;
use crate::model::{Accept, Field};

/// Characters that a file's name may have: what file systems take.
const NAME_MAX: usize = 255;

pub(super) fn one(field: &Field, value: Value, max: u64, accept: Accept) -> Result<Value, Finding> {
    match value {
        Value::Object(file) => canonical(field, &file, max, accept),
        _ => Err(message::wrong_type(field, &message::BLOB)),
    }
}

/// Sorted as the merge of sets sorts, so that both sides have one order.
pub(super) fn several(field: &Field, value: Value, max: u64, accept: Accept) -> Result<Value, Finding> {
    let mut files = Vec::new();
    for (at, file) in list(field, value, &message::BLOB)?.into_iter().enumerate() {
        files.push(one(field, file, max, accept).map_err(|finding| within(field, at, finding))?);
    }
    files.sort_by_cached_key(Value::to_string);
    files.dedup();
    Ok(non_empty(files))
}

/// The keys in the order of the alphabet: the text of a file begins with its hash.
fn canonical(field: &Field, file: &Map<String, Value>, max: u64, accept: Accept) -> Result<Value, Finding> {
    let wrong = || message::wrong_type(field, &message::BLOB);
    let text = |key: &str| file.get(key).and_then(Value::as_str).ok_or_else(wrong);
    let hash = text("hash")?.trim().to_ascii_lowercase();
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let size = file.get("size").and_then(Value::as_u64).ok_or_else(wrong)?;
    if size > max {
        return Err(at_key("size", message::file_too_large(field, max)));
    }
    let media_type = text("type")?.trim().to_ascii_lowercase();
    if !accept.takes(&media_type) {
        return Err(at_key("type", message::not_a_file_type(field, &media_type)));
    }
    let written = text("name")?;
    let name = plain_name(written).ok_or_else(|| at_key("name", message::not_a_file_name(field, written)))?;
    Ok(object([("hash", hash.into()), ("name", name.into()), ("size", size.into()), ("type", media_type.into())]))
}

/// The name without the folders before it, and without the signs that turn the direction of writing, which make
/// `gpj.exe` look like `exe.jpg`; none where nothing of a name is left.
fn plain_name(written: &str) -> Option<String> {
    let last = written.rsplit(['/', '\\']).next().unwrap_or_default();
    let turns = |one: char| matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name = one_line(last.replace(turns, ""));
    let is_name = !name.is_empty() && name != "." && name != ".." && name.chars().nth(NAME_MAX).is_none();
    is_name.then_some(name)
}

fn at_key(key: &str, finding: Finding) -> Finding {
    Finding { field: format!("{}.{key}", finding.field), ..finding }
}

/// `attachments.name` becomes `attachments[1].name`.
fn within(field: &Field, at: usize, finding: Finding) -> Finding {
    let rest = finding.field.strip_prefix(field.name.as_str()).unwrap_or_default().to_owned();
    let member = at_member(Finding { field: field.name.clone(), ..finding }, at);
    Finding { field: format!("{}{rest}", member.field), ..member }
}
