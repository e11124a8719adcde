use crm::model::{Entity, Field, FieldKind, MergeClass, Model};

use super::super::value::{Part, part_of};

/// A place that a column fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The links to follow from the imported record: `[team, manager]` in `team.manager.role`.
    pub path: Vec<String>,
    /// What of the record at its end.
    pub goal: Goal,
}

/// What of a record a column fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Its id.
    Id,
    /// A field, or a part of one.
    Field {
        /// The field's name.
        field: String,
        /// Which part.
        part: Part,
    },
    /// A link: the cell names the record it points to.
    Link {
        /// The link's name.
        field: String,
    },
}

/// Fields that the server writes and an import may set, because they say what was before the import.
const HISTORICAL: [&str; 2] = ["created_on", "created_by"];

impl Target {
    /// The record that has the target, seen from the imported entity.
    #[must_use]
    pub fn entity_at<'m>(&self, entity: &'m Entity, model: &'m Model) -> Option<&'m Entity> {
        self.path.iter().try_fold(entity, |entity, link| linked(entity.field(link)?, model))
    }

    /// Where it is, as a person writes it.
    #[must_use]
    pub fn shown(&self) -> String {
        let last = match &self.goal {
            Goal::Id => "cartera_id".to_owned(),
            Goal::Link { field } | Goal::Field { field, part: Part::Whole } => field.clone(),
            Goal::Field { field, part: Part::Labelled(part) | Part::OfAddress(part) } => format!("{field}.{part}"),
            Goal::Field { field, part: Part::Currency } => format!("{field}.currency"),
        };
        self.path.iter().cloned().chain([last]).collect::<Vec<_>>().join(".")
    }

    /// Reads `close_date`, `team.manager.role`, `phones.work`, `cartera_id`.
    ///
    /// # Errors
    /// The part that names nothing, and the entity in which it names nothing.
    pub fn parse(said: &str, entity: &Entity, model: &Model) -> Result<Self, TargetError> {
        let mut path = Vec::new();
        let mut at = entity;
        let mut names = said.split('.').map(str::trim).peekable();
        while let Some(name) = names.next() {
            let last = names.peek().is_none();
            if last && name == "cartera_id" {
                return Ok(Self { path, goal: Goal::Id });
            }
            let field =
                at.field(name).or_else(|| at.field_of_column(name)).ok_or_else(|| TargetError::unknown(name, at))?;
            let is_link = matches!(field.kind, FieldKind::Link { .. } | FieldKind::Links { .. });
            if last {
                if !is_writable(field) {
                    return Err(TargetError { name: name.to_owned(), entity: at.name.clone(), is_read_only: true });
                }
                let field_name = field.name.clone();
                let goal = if is_link {
                    Goal::Link { field: field_name }
                } else {
                    Goal::Field { field: field_name, part: Part::Whole }
                };
                return Ok(Self { path, goal });
            }
            if let Some(next) = linked(field, model) {
                path.push(field.name.clone());
                at = next;
                continue;
            }
            // What comes after a field that is no link is a part of it, to the end: a label may have points in it.
            let rest = names.collect::<Vec<_>>().join(".");
            let part = part_of(field, &rest).ok_or_else(|| TargetError::unknown(&format!("{name}.{rest}"), at))?;
            return Ok(Self { path, goal: Goal::Field { field: field.name.clone(), part } });
        }
        Err(TargetError::unknown(said, entity))
    }
}

/// The one entity that a link points to.
fn linked<'m>(field: &Field, model: &'m Model) -> Option<&'m Entity> {
    match &field.kind {
        FieldKind::Link { to } if to.len() == 1 => model.entity(&to[0]),
        FieldKind::Links { to } => model.entity(to),
        _ => None,
    }
}

/// Whether a file may fill the field.
pub(super) fn is_writable(field: &Field) -> bool {
    let is_server = field.merge == MergeClass::Server && !HISTORICAL.contains(&field.name.as_str());
    field.expr.is_none() && field.merge != MergeClass::Derived && !is_server && field.kind != FieldKind::Number
}

/// The fields of an entity that a file may fill, for a message.
#[must_use]
pub fn field_names(entity: &Entity) -> String {
    let names = entity.fields.values().filter(|field| is_writable(field)).map(|field| field.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// A target that there is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    /// The part of it that names nothing.
    pub name: String,
    /// Where it names nothing.
    pub entity: String,
    /// The field is there, but a file may not fill it.
    pub is_read_only: bool,
}

impl TargetError {
    fn unknown(name: &str, entity: &Entity) -> Self {
        Self { name: name.to_owned(), entity: entity.name.clone(), is_read_only: false }
    }
}
