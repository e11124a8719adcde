use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The one normal form for names, unique values and search: without case and accents, compatibility characters as what
/// they stand for, spaces trimmed and single. `"  Peña   y CÍA "` and `"pena y cia"` are one.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        push_folded(&mut folded, text.chars());
    } else {
        push_folded(&mut folded, text.nfkd().filter(|character| !is_combining_mark(*character)));
    }
    folded
}

fn push_folded(folded: &mut String, characters: impl Iterator<Item = char>) {
    let mut is_after_space = true;
    for character in characters.flat_map(char::to_lowercase) {
        if character.is_whitespace() {
            if !is_after_space {
                folded.push(' ');
            }
            is_after_space = true;
        } else if !is_combining_mark(character) {
            // The sigma at a word's end is the same letter.
            folded.push(if character == 'ς' { 'σ' } else { character });
            is_after_space = false;
        }
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fold;

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
    }
}
