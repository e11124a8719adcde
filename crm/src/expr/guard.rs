//! What is looked at before a text reaches the parser, whose recursion follows the text: how long it is, how deep it
//! nests, and that it holds nothing that the language does not write.

use super::ExprError;

/// Characters of one expression.
pub(super) const MAX_CHARS: usize = 4_096;
/// Brackets, operators in a row, dots and choices that one place of an expression may stand under.
pub(super) const MAX_DEPTH: usize = 48;

pub(super) fn admit(source: &str) -> Result<(), ExprError> {
    if source.trim().is_empty() {
        return Err(ExprError::whole("the expression is empty; write a condition or a value, such as amount > 0"));
    }
    let length = source.chars().count();
    if length > MAX_CHARS {
        return Err(ExprError::whole(format!(
            "the expression has {length} characters; at most {MAX_CHARS} are allowed"
        )));
    }
    Scan::default().run(source)
}

/// One bracket that is open, or the whole text.
#[derive(Default)]
struct Level {
    /// Operators since the last place where the parser starts a fresh chain.
    chain: usize,
    choices: usize,
}

#[derive(Default)]
struct Scan {
    levels: Vec<Level>,
}

impl Scan {
    fn run(mut self, source: &str) -> Result<(), ExprError> {
        self.levels.push(Level::default());
        let chars: Vec<char> = source.chars().collect();
        let mut index = 0;
        while index < chars.len() {
            let current = chars[index];
            let next = chars.get(index + 1).copied();
            match current {
                '\'' | '"' => {
                    index = string_end(&chars, index)?;
                    continue;
                }
                '(' | '[' => {
                    self.step();
                    self.levels.push(Level::default());
                }
                ')' | ']' => {
                    // An unbalanced one is for the parser to report.
                    if self.levels.len() > 1 {
                        self.levels.pop();
                    }
                }
                ',' => *self.top() = Level::default(),
                '&' | '|' if next == Some(current) => {
                    self.top().chain = 0;
                    index += 1;
                }
                '?' => {
                    self.top().choices += 1;
                    self.top().chain = 0;
                }
                ':' => self.top().chain = 0,
                '/' if next == Some('/') => {
                    return Err(ExprError::at(
                        index + 1,
                        "an expression has no comments; write them beside it in the YAML",
                    ));
                }
                '+' | '-' | '*' | '/' | '%' | '.' | '!' => self.step(),
                '=' | '<' | '>' => {
                    self.step();
                    if next == Some('=') {
                        index += 1;
                    }
                }
                'i' if is_word(&chars, index, "in") => self.step(),
                _ if current.is_ascii_alphanumeric() || current == '_' || current.is_ascii_whitespace() => {}
                _ => return Err(foreign(index + 1, current)),
            }
            if self.depth() > MAX_DEPTH {
                return Err(ExprError::at(
                    index + 1,
                    format!(
                        "the expression nests or chains more than {MAX_DEPTH} steps here; split it into several rules"
                    ),
                ));
            }
            index += 1;
        }
        Ok(())
    }

    fn top(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn step(&mut self) {
        self.top().chain += 1;
    }

    fn depth(&self) -> usize {
        self.levels.iter().map(|level| level.chain + level.choices).sum()
    }
}

/// The index behind the string that starts at `start`.
fn string_end(chars: &[char], start: usize) -> Result<usize, ExprError> {
    let at = start + 1;
    let quote = chars[start];
    if start > 0 && (chars[start - 1].is_ascii_alphanumeric() || chars[start - 1] == '_') {
        return Err(ExprError::at(at, "a text is written 'like this', without a letter before its quote"));
    }
    if chars[start..].starts_with(&[quote, quote, quote]) {
        return Err(ExprError::at(at, "a text is written 'like this', in single or double quotes, not in three"));
    }
    let mut index = start + 1;
    while let Some(&current) = chars.get(index) {
        match current {
            '\\' => index += 1,
            '\0' => return Err(ExprError::at(index + 1, "a text cannot hold the character U+0000")),
            '\n' | '\r' => return Err(ExprError::at(at, "this text has no closing quote on its line")),
            _ if current == quote => return Ok(index + 1),
            _ => {}
        }
        index += 1;
    }
    Err(ExprError::at(at, "this text has no closing quote"))
}

fn is_word(chars: &[char], start: usize, word: &str) -> bool {
    let in_word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let end = start + word.len();
    chars[start..].iter().zip(word.chars()).filter(|(a, b)| **a == *b).count() == word.len()
        && !(start > 0 && in_word(&chars[start - 1]))
        && !chars.get(end).is_some_and(in_word)
}

fn foreign(at: usize, found: char) -> ExprError {
    let message = match found {
        '{' | '}' => "the language has no maps and no messages; it has fields, lists [a, b] and literals".to_owned(),
        '&' => "to join two conditions write &&".to_owned(),
        '|' => "for one of two conditions write ||".to_owned(),
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '«' | '»' | '`' | '´' => {
            format!("{found} is no quote here; write texts in ' or \"")
        }
        other => format!(
            "the character {other:?} is not part of the language outside of quotes; fields are named in a to z, digits and _"
        ),
    };
    ExprError::at(at, message)
}
