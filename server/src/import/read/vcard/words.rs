//! The text inside of values: what backslashes and separators mean in each version.

use super::property::Version;

/// The parts of a structured value, such as a name or an address, each unescaped and its lists joined by `joiner`.
pub(super) fn components(value: &str, version: Version, joiner: &str) -> Vec<String> {
    split(value, ';').iter().map(|part| list(part, version).join(joiner)).collect()
}

/// The members of a comma-separated value; in version 2.1 a comma is a comma.
pub(super) fn list(value: &str, version: Version) -> Vec<String> {
    let parts = if version == Version::V2 { vec![value] } else { split(value, ',') };
    parts.iter().map(|part| text(part, version)).filter(|part| !part.is_empty()).collect()
}

/// The text that a value stands for.
pub(super) fn text(value: &str, version: Version) -> String {
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match (characters.next(), version) {
            (Some('n' | 'N'), Version::V3 | Version::V4) => out.push('\n'),
            // In version 2.1 a backslash is a backslash: C:\new is no line break.
            (Some(other), Version::V2) if !matches!(other, ';' | '\\') => out.extend(['\\', other]),
            (Some(escaped), _) => out.push(escaped),
            (None, _) => out.push('\\'),
        }
    }
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}

fn split(value: &str, separator: char) -> Vec<&str> {
    let mut escaped = false;
    value
        .split(|character| {
            let splits = character == separator && !escaped;
            escaped = character == '\\' && !escaped;
            splits
        })
        .collect()
}

/// The words of a text for comparison: lower case, letters and digits only.
pub(super) fn tokens(value: &str) -> Vec<String> {
    value
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// A label as people read it: `_$!<AssistantPhone>!$_` is how Apple marks its own, here `assistant phone`.
pub(super) fn apple_label(value: &str) -> String {
    let Some(inner) = value.strip_prefix("_$!<").and_then(|rest| rest.strip_suffix(">!$_")) else {
        return value.to_owned();
    };
    let mut out = String::new();
    for character in inner.chars() {
        if character.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(character.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_backslashes_mean_what_the_version_says() {
        assert_eq!(
            components(r"Doe;John;Richter\, James,Jim;Mr.;", Version::V3, " "),
            ["Doe", "John", "Richter, James Jim", "Mr.", ""]
        );
        assert_eq!(components(r"Doe\;X;John;a,b", Version::V2, " "), ["Doe;X", "John", "a,b"]);
        assert_eq!(text(r"one\ntwo\\n\: end", Version::V3), "one\ntwo\\n: end");
        assert_eq!(text(r"C:\new\;x", Version::V2), r"C:\new;x");
        assert_eq!(text("a\r\nb  \r\n", Version::V2), "a\nb");
    }

    #[test]
    fn apples_own_labels_become_words() {
        assert_eq!(apple_label("_$!<AssistantPhone>!$_"), "assistant phone");
        assert_eq!(apple_label("Oficina Madrid"), "Oficina Madrid");
    }
}
