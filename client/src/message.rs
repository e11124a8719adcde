//! Sentences in both languages.

use crm::model::Label;

/// One sentence for people, in Spanish and in English.
pub(crate) fn say(es: impl Into<String>, en: impl Into<String>) -> Label {
    Label { es: es.into(), en: en.into() }
}
