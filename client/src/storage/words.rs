//! The words in a field's value, from JSON text or from what was read of it: nothing is built of the value itself.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// From this many digits on, the last ones of a phone number are a word of their own: people leave the prefix away.
const NATIONAL_DIGITS: usize = 9;

/// Appends the words of a value to `words`.
pub struct Words<'a> {
    /// Where they go, between spaces.
    pub words: &'a mut String,
    /// What the field holds.
    pub of: WordsOf,
}

/// How a field's texts become words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordsOf {
    /// Every text and number, whatever the value's shape.
    Texts,
    /// The digits of each number as one word, and its national part as another.
    Phones,
}

impl Words<'_> {
    fn again(&mut self) -> Words<'_> {
        Words { words: self.words, of: self.of }
    }

    fn push(&mut self, text: &str) {
        match self.of {
            WordsOf::Texts => {
                self.words.push_str(text);
                self.words.push(' ');
            }
            WordsOf::Phones => push_phone(self.words, text),
        }
    }

    fn is_read(&self, member: &str) -> bool {
        self.of == WordsOf::Texts || matches!(member, "raw" | "e164")
    }
}

fn push_phone(words: &mut String, phone: &str) {
    let start = words.len();
    words.extend(phone.chars().filter(char::is_ascii_digit));
    let digits = words.len() - start;
    if digits > NATIONAL_DIGITS {
        let national = words[words.len() - NATIONAL_DIGITS..].to_owned();
        words.push(' ');
        words.push_str(&national);
    }
    if digits > 0 {
        words.push(' ');
    }
}

impl<'de> DeserializeSeed<'de> for Words<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Words<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a field's value")
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.push(text);
        Ok(())
    }

    fn visit_i64<E: Error>(mut self, number: i64) -> Result<(), E> {
        self.push(&number.to_string());
        Ok(())
    }

    fn visit_u64<E: Error>(mut self, number: u64) -> Result<(), E> {
        self.push(&number.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(mut self, number: f64) -> Result<(), E> {
        self.push(&number.to_string());
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.again())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(member) = members.next_key::<Cow<str>>()? {
            if self.is_read(&member) {
                members.next_value_seed(self.again())?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// From what was read, and the same from its text.
    fn words(of: WordsOf, value: &Value) -> Vec<String> {
        let (mut read, mut text) = (String::new(), String::new());
        Words { words: &mut read, of }.deserialize(value).expect("values have words");
        let json = value.to_string();
        let mut json = serde_json::Deserializer::from_str(&json);
        Words { words: &mut text, of }.deserialize(&mut json).expect("JSON has words");
        let split = |words: &str| words.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(split(&read), split(&text));
        split(&read)
    }

    #[test]
    fn every_text_and_number_is_a_word_and_no_name_of_a_member() {
        let value = json!([{"kind": "work", "value": "ana@\"x\".example"}, 7, null, true, {"deep": ["ñ"]}]);
        assert_eq!(words(WordsOf::Texts, &value), ["work", "ana@\"x\".example", "7", "ñ"]);
    }

    #[test]
    fn a_phone_number_is_found_with_and_without_its_prefix() {
        let value = json!([{"kind": "mobile", "raw": "600 11 22 33", "e164": "+34600112233"}, {"raw": "ext."}]);
        assert_eq!(words(WordsOf::Phones, &value), ["34600112233", "600112233", "600112233"]);
    }
}
