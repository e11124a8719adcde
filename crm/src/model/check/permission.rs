use super::Report;
use crate::model::{Entity, Level};
use crate::rules::Projection;

impl Report<'_> {
    pub(super) fn permissions(&mut self, entity: &Entity) {
        if entity.permissions.get("admin").is_none_or(|admin| admin.read != Level::All) {
            self.problem(
                format!("{}.permissions.admin", entity.name),
                "an administrator could not read every record",
                "give the role `admin` at least `read: all`",
            );
        }
        for (role, may) in &entity.permissions {
            let path = format!("{}.permissions.{role}", entity.name);
            self.name(&path, role, &[]);
            if may.update > may.read || may.delete > may.read || (may.create && may.read < Level::Own) {
                self.problem(
                    &path,
                    "the role may make, change or delete what it may not read",
                    "raise `read`, or lower the other right",
                );
            }
            if may.update == Level::Shared || may.delete == Level::Shared {
                self.problem(
                    &path,
                    "what is shared is read and not changed",
                    "give `update` and `delete` the level `none`, or `own` and above",
                );
            }
            if may.levels.is_empty() {
                self.problem(&path, "`levels` is empty, so the role sees no field", "list at least level 0");
            }
            if let Some(fields) = &may.fields {
                self.field_names(entity, &format!("permissions.{role}"), fields);
            }
            if may.read > Level::None && !Projection::of(entity, may).shows(&entity.title) {
                self.problem(
                    &path,
                    format!("the role reads records and cannot see their title, `{}`", entity.title),
                    "add the title to its `fields`, or its level to its `levels`",
                );
            }
        }
    }
}
