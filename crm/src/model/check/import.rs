use std::collections::BTreeMap;

use super::Report;
use crate::model::{Entity, fold_column};

impl Report<'_> {
    pub(super) fn import(&mut self, entity: &Entity) {
        for key in &entity.import.keys {
            self.field_names(entity, "import.match", key);
        }
        let aliased = entity.import.aliases.keys().cloned().collect::<Vec<_>>();
        self.field_names(entity, "import.aliases", &aliased);
        self.headings(entity);
    }

    /// A column heading stands for one field, or an import would have to guess.
    fn headings(&mut self, entity: &Entity) {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for field in entity.fields.values() {
            for heading in entity.headings_of(field) {
                let other = taken.entry(fold_column(heading)).or_insert(&field.name);
                if *other != field.name {
                    self.problem(
                        format!("{}.{}", entity.name, field.name),
                        format!("a column `{heading}` would fit this field and `{other}`"),
                        "change the label, or take the alias from one of the two",
                    );
                }
            }
        }
    }
}
