use crate::rules::fold;

use super::{Entity, Field};

impl Entity {
    /// The field that a column of that heading fills: by its name, its labels, or the import's aliases. The loader
    /// sees to it that no heading fits two fields.
    #[must_use]
    pub fn field_of_column(&self, heading: &str) -> Option<&Field> {
        let wanted = fold_column(heading);
        self.fields.values().find(|field| self.headings_of(field).any(|heading| fold_column(heading) == wanted))
    }

    /// Every heading that stands for `field`: name, labels, aliases.
    pub(super) fn headings_of<'a>(&'a self, field: &'a Field) -> impl Iterator<Item = &'a str> {
        let aliases = self.import.aliases.get(&field.name).into_iter().flatten().map(String::as_str);
        [field.name.as_str(), field.labels.es.as_str(), field.labels.en.as_str()].into_iter().chain(aliases)
    }
}

/// A column heading without case, accents and separators: `"Close Date"`, `"close_date"` and `"CLOSE-DATE"` are one.
#[must_use]
pub fn fold_column(heading: &str) -> String {
    fold(heading).chars().filter(|character| character.is_alphanumeric()).collect()
}
