//! Spanish tax identities with the control character that they must carry, from ranges that are given to nobody.

use rand::RngExt;

use super::chance::Chance;

const PERSON_CONTROL: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// A company's: the letter of its legal form (`A` for S.A., `B` for S.L.), the province code 00, which no province has,
/// five digits and the control digit.
pub fn company(form: char, chance: &mut Chance) -> String {
    let number = chance.random_range(0..100_000_u32);
    format!("{form}00{number:05}{}", company_control(number))
}

/// A self-employed person's: eight digits above all that were given out, and the control letter.
pub fn person(chance: &mut Chance) -> String {
    let number = chance.random_range(99_000_000..100_000_000_u32);
    format!("{number}{}", person_control(number))
}

/// Digits at odd places (from 1) count double with their digits added up, those at even places once; the control digit
/// brings the sum to a multiple of ten.
fn company_control(number: u32) -> u32 {
    let mut rest = number;
    let mut sum = 0;
    for place in (1..=7).rev() {
        let digit = rest % 10;
        rest /= 10;
        sum += if place % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit };
    }
    (10 - sum % 10) % 10
}

fn person_control(number: u32) -> char {
    char::from(PERSON_CONTROL[number as usize % PERSON_CONTROL.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_equal_published_examples() {
        assert_eq!(company_control(5_881_850), 1, "A58818501");
        assert_eq!(company_control(2_826_000), 8, "Q2826000H, the tax agency: H stands for 8");
        assert_eq!(person_control(12_345_678), 'Z');
        assert_eq!(person_control(0), 'T');
    }
}
