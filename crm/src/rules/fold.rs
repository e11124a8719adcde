use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The one normal form for names, unique values and search: without case and accents, compatibility characters as what
/// they stand for, spaces trimmed and single. `"  Peña   y CÍA "` and `"pena y cia"` are one.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = Folded { text: String::with_capacity(text.len()), is_after_space: true };
    for character in text.chars() {
        // Most of what people write: the tables know nothing of it.
        if character.is_ascii() {
            folded.push(character.to_ascii_lowercase());
        } else {
            // Without its marks a decomposition needs no order.
            decompose_compatible(character, |part| part.to_lowercase().for_each(|lower| folded.push(lower)));
        }
    }
    folded.finish()
}

struct Folded {
    text: String,
    is_after_space: bool,
}

impl Folded {
    /// Takes a decomposed character in lower case.
    fn push(&mut self, character: char) {
        if character.is_whitespace() {
            if !self.is_after_space {
                self.text.push(' ');
            }
            self.is_after_space = true;
        } else if character.is_ascii() || !is_combining_mark(character) {
            // The sigma at a word's end is the same letter.
            self.text.push(if character == 'ς' { 'σ' } else { character });
            self.is_after_space = false;
        }
    }

    fn finish(mut self) -> String {
        if self.text.ends_with(' ') {
            self.text.pop();
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;
    use unicode_normalization::char::is_combining_mark;

    use super::fold;

    /// What folding means, by whole texts.
    fn defined(text: &str) -> String {
        let lower: String = text.nfkd().filter(|part| !is_combining_mark(*part)).flat_map(char::to_lowercase).collect();
        let bare: String = lower.chars().filter(|letter| !is_combining_mark(*letter)).collect();
        bare.replace('ς', "σ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn case_accents_and_spaces_do_not_tell_names_apart() {
        for (left, right) in [
            ("  Peña   y CÍA ", "pena y cia"),
            ("ÑANDÚ", "n\u{303}andu\u{301}"),
            ("Ｆｕｌｌ\u{3000}width", "full width"),
            ("ΟΔΟΣ", "οδος"),
            ("\t", ""),
        ] {
            assert_eq!(fold(left), fold(right), "{left:?} and {right:?}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC*") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn folding_by_characters_is_folding_by_texts(text in any::<String>()) {
            prop_assert_eq!(fold(&text), defined(&text));
        }
    }
}
