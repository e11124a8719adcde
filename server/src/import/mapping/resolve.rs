use std::collections::HashMap;

use crm::model::{Entity, Language, Model, fold_column};
use crm::rules::fold;
use serde_json::Value;

use super::super::read::{Cell, ColumnHints};
use super::super::value::Part;
use super::target::{TargetError, is_writable};
use super::{Goal, Mapping, Target, field_names};

/// Where everything in a file goes.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The imported entity.
    pub entity: String,
    /// One for each column of the file, in their order.
    pub columns: Vec<ColumnPlan>,
    /// What every row gets where no column gives it.
    pub constants: Vec<(Target, Cell)>,
}

/// Where one column goes.
#[derive(Clone, Debug)]
pub struct ColumnPlan {
    /// Its heading.
    pub name: String,
    /// Nowhere when empty.
    pub targets: Vec<Target>,
    /// Whether the sender said that it goes nowhere.
    pub is_dismissed: bool,
    /// What to read in place of a value, by the value folded.
    pub values: HashMap<String, Cell>,
    /// How it writes numbers and dates.
    pub hints: ColumnHints,
}

/// Why a mapping does not fit the file or the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingError {
    /// Every problem there is, at once.
    pub problems: Vec<MappingProblem>,
}

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingProblem {
    /// The mapping names a column that the file has not.
    NoColumn {
        /// The name.
        column: String,
        /// Those that there are.
        present: String,
    },
    /// A target that there is not.
    NoTarget {
        /// As it was said.
        said: String,
        /// What is wrong with it.
        error: TargetError,
        /// The fields that there are.
        fields: String,
    },
    /// No column goes anywhere.
    Nothing {
        /// The columns.
        present: String,
        /// The fields.
        fields: String,
    },
}

impl MappingProblem {
    /// One sentence: what is wrong and what to do about it.
    #[must_use]
    pub fn message(&self, language: Language) -> String {
        match (self, language) {
            (Self::NoColumn { column, present }, Language::Es) => {
                format!("El fichero no tiene la columna «{column}»; sus columnas son: {present}.")
            }
            (Self::NoColumn { column, present }, Language::En) => {
                format!("The file has no column “{column}”; its columns are: {present}.")
            }
            (Self::NoTarget { said, error, .. }, Language::Es) if error.is_read_only => {
                format!("«{said}» lo escribe el servidor: no se importa. Quítalo de la asignación.")
            }
            (Self::NoTarget { said, error, .. }, Language::En) if error.is_read_only => {
                format!("“{said}” is written by the server and not imported. Take it out of the mapping.")
            }
            (Self::NoTarget { said, error, fields }, Language::Es) => format!(
                "«{said}»: la entidad {} no tiene ningún campo «{}» que puedas ver; tiene {fields}.",
                error.entity, error.name
            ),
            (Self::NoTarget { said, error, fields }, Language::En) => format!(
                "“{said}”: the entity {} has no field “{}” that you may see; it has {fields}.",
                error.entity, error.name
            ),
            (Self::Nothing { present, fields }, Language::Es) => format!(
                "Ninguna columna ({present}) corresponde a un campo ({fields}): asígnalas con --map COLUMNA=CAMPO."
            ),
            (Self::Nothing { present, fields }, Language::En) => {
                format!("No column ({present}) goes to a field ({fields}): map them with --map COLUMN=FIELD.")
            }
        }
    }
}

impl Layout {
    /// Lays a mapping over a file's columns. `model` is what the importing role may see.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub fn of(
        mapping: &Mapping,
        entity: &Entity,
        model: &Model,
        columns: &[String],
        hints: &[ColumnHints],
    ) -> Result<Self, MappingError> {
        let mut problems = Vec::new();
        let said = said_targets(mapping, entity, model, columns, &mut problems);
        let found = headings(entity, model, columns, &said);
        let values = replacements(mapping, columns, &mut problems);
        let plans: Vec<ColumnPlan> = columns
            .iter()
            .zip(said.into_iter().zip(found))
            .zip(values)
            .enumerate()
            .map(|(at, ((name, (said, found)), values))| ColumnPlan {
                name: name.clone(),
                is_dismissed: said.as_ref().is_some_and(Vec::is_empty),
                targets: said.unwrap_or_else(|| found.into_iter().collect()),
                values,
                hints: hints.get(at).copied().unwrap_or_default(),
            })
            .collect();
        let mut constants = Vec::new();
        for (said, value) in &mapping.constants {
            match target(said, entity, model) {
                Ok(target) => constants.push((target, cell_of(value))),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() && plans.iter().all(|plan| plan.targets.is_empty()) {
            problems.push(MappingProblem::Nothing { present: columns.join(", "), fields: field_names(entity) });
        }
        if !problems.is_empty() {
            return Err(MappingError { problems });
        }
        Ok(Self { entity: entity.name.clone(), columns: plans, constants })
    }

    /// The columns that go nowhere although nobody said so.
    pub fn unmapped(&self) -> impl Iterator<Item = &str> {
        let unmapped = self.columns.iter().filter(|plan| plan.targets.is_empty() && !plan.is_dismissed);
        unmapped.map(|plan| plan.name.as_str())
    }
}

fn target(said: &str, entity: &Entity, model: &Model) -> Result<Target, MappingProblem> {
    Target::parse(said, entity, model).map_err(|error| {
        let fields = model.entity(&error.entity).map_or_else(String::new, field_names);
        MappingProblem::NoTarget { said: said.to_owned(), error, fields }
    })
}

fn column_at(name: &str, columns: &[String]) -> Option<usize> {
    let exact = columns.iter().position(|column| column == name);
    exact.or_else(|| columns.iter().position(|column| fold_column(column) == fold_column(name)))
}

/// For each column what the mapping says; `Some` and empty: it goes nowhere.
fn said_targets(
    mapping: &Mapping,
    entity: &Entity,
    model: &Model,
    columns: &[String],
    problems: &mut Vec<MappingProblem>,
) -> Vec<Option<Vec<Target>>> {
    let mut said = vec![None; columns.len()];
    for (column, targets) in &mapping.columns {
        let Some(at) = column_at(column, columns) else {
            problems.push(MappingProblem::NoColumn { column: column.clone(), present: columns.join(", ") });
            continue;
        };
        let mut parsed = Vec::new();
        for one in targets.iter().filter(|one| *one != "-") {
            match target(one, entity, model) {
                Ok(target) => parsed.push(target),
                Err(problem) => problems.push(problem),
            }
        }
        said[at] = Some(parsed);
    }
    said
}

/// For each column where its heading says it goes. A field of one value is filled by one column: by the one that the
/// sender named, else by the one whose heading is nearest to the field's name.
fn headings(entity: &Entity, model: &Model, columns: &[String], said: &[Option<Vec<Target>>]) -> Vec<Option<Target>> {
    let mut found: Vec<Option<(u8, Target)>> = columns
        .iter()
        .zip(said)
        .map(|(heading, said)| if said.is_some() { None } else { heading_target(heading, entity, model) })
        .collect();
    let taken: Vec<Target> = said.iter().flatten().flatten().cloned().collect();
    for at in 0..found.len() {
        let Some((rank, target)) = &found[at] else { continue };
        let is_nearer = |(other, entry): (usize, &Option<(u8, Target)>)| {
            entry.as_ref().is_some_and(|(other_rank, other_target)| {
                other_target == target && other != at && (*other_rank, other) < (*rank, at)
            })
        };
        let is_single = !is_list(target, entity);
        if is_single && (taken.contains(target) || found.iter().enumerate().any(is_nearer)) {
            found[at] = None;
        }
    }
    label_lists(entity, columns, found)
}

fn is_list(target: &Target, entity: &Entity) -> bool {
    use crm::model::FieldKind::{Addresses, Emails, Enums, Links, Log, Phones, Tags};
    let name = match &target.goal {
        Goal::Field { field, .. } | Goal::Link { field } => field,
        Goal::Id => return false,
    };
    target.path.is_empty()
        && entity.field(name).is_some_and(|field| {
            matches!(field.kind, Phones | Emails | Addresses | Tags | Enums { .. } | Links { .. } | Log)
        })
}

/// Where several columns feed one list of phones or e-mails, their headings tell the members apart.
fn label_lists(entity: &Entity, columns: &[String], found: Vec<Option<(u8, Target)>>) -> Vec<Option<Target>> {
    let targets: Vec<Option<Target>> = found.into_iter().map(|entry| entry.map(|(_, target)| target)).collect();
    targets
        .iter()
        .zip(columns)
        .map(|(target, heading)| {
            let mut target = target.clone()?;
            let feeders = targets.iter().flatten().filter(|other| **other == target).count();
            if let Goal::Field { field, part } = &mut target.goal
                && *part == Part::Whole
                && feeders > 1
                && target.path.is_empty()
                && let Some(labelled) =
                    entity.field(field).and_then(|field| super::super::value::part_of(field, heading))
                && matches!(labelled, Part::Labelled(_))
            {
                *part = labelled;
            }
            Some(target)
        })
        .collect()
}

/// The field of a heading, and how near the heading is to the field's name.
fn heading_target(heading: &str, entity: &Entity, model: &Model) -> Option<(u8, Target)> {
    // As an export heads its columns: `amount.currency`, `Amount (currency)`.
    let currency = heading.strip_suffix(" (currency)").or_else(|| heading.strip_suffix(" (moneda)"));
    if let Some(amount) = currency.and_then(|amount| entity.field_of_column(amount)) {
        return Target::parse(&format!("{}.currency", amount.name), entity, model).ok().map(|target| (0, target));
    }
    if heading == "cartera_id" || heading.contains('.') {
        return Target::parse(heading, entity, model).ok().map(|target| (0, target));
    }
    let field = entity.field_of_column(heading).filter(|field| is_writable(field))?;
    let wanted = fold_column(heading);
    let is = |name: &str| fold_column(name) == wanted;
    let rank = if is(&field.name) {
        0
    } else if is(&field.labels.es) || is(&field.labels.en) {
        1
    } else {
        2
    };
    Target::parse(&field.name, entity, model).ok().map(|target| (rank, target))
}

fn replacements(
    mapping: &Mapping,
    columns: &[String],
    problems: &mut Vec<MappingProblem>,
) -> Vec<HashMap<String, Cell>> {
    let mut replacements = vec![HashMap::new(); columns.len()];
    for (column, values) in &mapping.values {
        match column_at(column, columns) {
            Some(at) => {
                replacements[at] = values.iter().map(|(from, to)| (fold(from), cell_of(to))).collect();
            }
            None => problems.push(MappingProblem::NoColumn { column: column.clone(), present: columns.join(", ") }),
        }
    }
    replacements
}

fn cell_of(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Empty,
        Value::Bool(value) => Cell::Boolean(*value),
        Value::Number(number) => Cell::Number(number.to_string()),
        Value::String(text) => Cell::text(text),
        other => Cell::Built(other.clone()),
    }
}
