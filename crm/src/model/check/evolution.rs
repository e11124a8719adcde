use std::collections::BTreeSet;

use super::Report;
use crate::model::{Entity, Field, FieldKind};

impl Report<'_> {
    /// A name that a field had is that field's for ever: a phone that comes back after months still uses it.
    pub(super) fn former_names(&mut self, entity: &Entity) {
        let mut taken: BTreeSet<&str> = entity.fields.keys().map(String::as_str).collect();
        let former = entity.fields.values().flat_map(|field| {
            let path = format!("{}.{}", entity.name, field.name);
            field.was.iter().map(move |name| (path.clone(), "was", name))
        });
        let removed = entity.removed.iter().map(|name| (format!("{}.removed", entity.name), "removed", name));
        for (path, key, name) in former.chain(removed) {
            if !taken.insert(name) {
                self.problem(
                    path,
                    format!("`{key}` names `{name}`, which is or was another field"),
                    "name what only this field was called, and call a new field what no field was called before",
                );
            }
        }
        for field in entity.fields.values() {
            self.former_options(&format!("{}.{}", entity.name, field.name), field);
        }
    }

    fn former_options(&mut self, path: &str, field: &Field) {
        let (FieldKind::Enum { options } | FieldKind::Enums { options }) = &field.kind else { return };
        let is_option = |key: &str| options.iter().any(|option| option.key == key);
        let mut taken: BTreeSet<&str> = options.iter().map(|option| option.key.as_str()).collect();
        for key in field.was_options.keys().chain(&field.removed_options) {
            if !taken.insert(key) {
                self.problem(
                    path,
                    format!("the option `{key}` was renamed or removed, and is there or named again"),
                    "give a new option a key that none had before",
                );
            }
        }
        for (was, now) in &field.was_options {
            if !is_option(now) {
                self.problem(
                    path,
                    format!("the option `{was}` would now be `{now}`, and there is no such option"),
                    "name one of the `options`",
                );
            }
        }
    }
}
