use serde::{Deserialize, Serialize};

/// A language that the product speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Spanish, the first language of the product.
    #[default]
    Es,
    /// English.
    En,
}

/// One text in every language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Spanish.
    pub es: String,
    /// English.
    pub en: String,
}

impl Label {
    /// The text in `language`.
    #[must_use]
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::Es => &self.es,
            Language::En => &self.en,
        }
    }
}

/// Singular and plural in every language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// Spanish singular, plural.
    pub es: [String; 2],
    /// English singular, plural.
    pub en: [String; 2],
}

impl Labels {
    /// The singular in `language`.
    #[must_use]
    pub fn one(&self, language: Language) -> &str {
        match language {
            Language::Es => &self.es[0],
            Language::En => &self.en[0],
        }
    }

    /// The plural in `language`.
    #[must_use]
    pub fn many(&self, language: Language) -> &str {
        match language {
            Language::Es => &self.es[1],
            Language::En => &self.en[1],
        }
    }
}
