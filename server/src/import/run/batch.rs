use std::collections::{BTreeMap, BTreeSet, HashMap};

use crm::Fields;
use crm::model::{Entity, FieldKind, Label, Language, Model};
use sync_protocol::id::RecordId;
use sync_protocol::wire::{FieldProblem, MutationKind, Verdict};

use super::super::mapping::{Layout, Mapping};
use super::super::plan::{Compared, Deferred, Drafting, Node, Resolved, Resolver, RowProblem, Severity, compare};
use super::super::read::Row;
use super::super::report::{Counts, Problems};
use super::super::value::Trouble;
use super::photos::Photos;
use super::{gap, store};
use crate::record::write::{BulkWrite, Change, Decision, WriteError};

/// Changes that are handed to the writer at once.
const CHANGES_PER_WRITE: usize = 1_000;

/// An import that is under way.
pub(super) struct Importing<'a> {
    bulk: BulkWrite,
    entity: &'a Entity,
    model: &'a Model,
    mapping: &'a Mapping,
    drafting: Drafting<'a>,
    resolver: Resolver<'a>,
    problems: Problems,
    photos: Photos,
    language: Language,
    counts: Counts,
    /// Records that rows of this file are: the first of these rows, and what became of the record.
    touched: HashMap<RecordId, (u64, Effect)>,
    deferred: Vec<(u64, RecordId, Deferred)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Created,
    Updated,
    Unchanged,
}

/// Where a change comes from.
struct Origin {
    line: u64,
    path: String,
    columns: BTreeMap<String, String>,
    /// What about it was told already: fields of which the row names records that there are not.
    told: BTreeSet<String>,
}

#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    origins: Vec<Origin>,
}

impl<'a> Importing<'a> {
    #[expect(clippy::too_many_arguments, reason = "the parts of one run, each made by its own step")]
    pub(super) fn new(
        bulk: BulkWrite,
        entity: &'a Entity,
        model: &'a Model,
        mapping: &'a Mapping,
        drafting: Drafting<'a>,
        resolver: Resolver<'a>,
        problems: Problems,
        photos: Photos,
        language: Language,
    ) -> Self {
        Self {
            bulk,
            entity,
            model,
            mapping,
            drafting,
            resolver,
            problems,
            photos,
            language,
            counts: Counts::default(),
            touched: HashMap::new(),
            deferred: Vec::new(),
        }
    }

    /// Tells which columns go nowhere, as a warning.
    pub(super) fn mention_unmapped(&mut self, layout: &Layout) {
        for column in layout.unmapped() {
            let Trouble { code, message } = Trouble::new(
                "unmapped-column",
                format!("La columna «{column}» no se importa: asígnala con --map \"{column}=CAMPO\", o a «-»."),
                format!("The column “{column}” is not imported: map it with --map \"{column}=FIELD\", or to “-”."),
            );
            let problem = RowProblem {
                severity: Severity::Warning,
                code: code.to_owned(),
                column: Some(column.to_owned()),
                field: None,
                value: None,
                message,
            };
            self.problems.add_about_file(problem);
        }
    }

    /// Plans and writes some rows.
    pub(super) async fn rows(&mut self, rows: Vec<Row>) -> Result<(), WriteError> {
        self.counts.rows += rows.len() as u64;
        let mut planned = Vec::with_capacity(rows.len());
        for mut row in rows {
            for problem in self.photos.take(&mut row, &mut self.bulk).await? {
                self.problems.add(row.line, problem);
            }
            let (draft, mut problems) = self.drafting.draft(&row);
            let resolved = self.resolver.resolve(draft, &mut problems);
            let told = problems.iter().filter_map(|problem| problem.field.clone()).collect::<BTreeSet<String>>();
            for problem in problems {
                self.problems.add(row.line, problem);
            }
            planned.push((row.line, resolved, told));
        }
        let known = planned.iter().flat_map(|(_, resolved, _)| resolved.linked.iter().chain(&resolved.record));
        let ids = known.filter(|node| !node.is_new).map(|node| node.id).collect();
        let mut bodies = store::bodies(&mut self.bulk, ids).await?;
        let mut batch = Batch::default();
        for (line, resolved, told) in planned {
            self.plan(line, resolved, &told, &mut bodies, &mut batch);
        }
        self.write(batch).await
    }

    /// Points the links that waited for later rows to the records that these rows were.
    pub(super) async fn settle_deferred(&mut self) -> Result<(), WriteError> {
        let deferred = std::mem::take(&mut self.deferred);
        for chunk in deferred.chunks(CHANGES_PER_WRITE) {
            let mut batch = Batch::default();
            let mut links: Vec<(u64, RecordId, &Deferred, serde_json::Value)> = Vec::new();
            for (line, record, waiting) in chunk {
                let mut problems = Vec::new();
                let found = self.resolver.resolve_deferred(&self.entity.name, waiting, &mut problems);
                for problem in problems {
                    self.problems.add(*line, problem);
                }
                let Some((value, linked)) = found else { continue };
                for node in linked {
                    self.push_new(*line, node, &BTreeSet::new(), &mut batch);
                }
                links.push((*line, *record, waiting, value));
            }
            let ids = links.iter().map(|(_, record, _, _)| *record).collect();
            let bodies = store::bodies(&mut self.bulk, ids).await?;
            for (line, record, waiting, value) in links {
                let Some(stored) = bodies.get(&record) else { continue };
                let wanted = match (stored.get(&waiting.field), value) {
                    (_, value) if is_list(self.entity, &waiting.field) => serde_json::Value::Array(vec![value]),
                    (_, value) => value,
                };
                let set = match compare(self.entity, &waiting.field, &wanted, stored) {
                    Compared::Same => continue,
                    Compared::Fills(value) | Compared::Adds(value) | Compared::Differs(value) => value,
                };
                self.mark(record, line, Effect::Updated);
                let columns = waiting.column.iter().map(|column| (waiting.field.clone(), column.clone())).collect();
                let origin = Origin { line, path: String::new(), columns, told: BTreeSet::new() };
                batch.push(update(&self.entity.name, record, Fields::from([(waiting.field.clone(), set)])), origin);
            }
            self.write(batch).await?;
        }
        Ok(())
    }

    /// The transaction, still open, and what came of it.
    pub(super) fn finish(self) -> (BulkWrite, Counts, Problems, Photos) {
        let Self { bulk, mut counts, problems, photos, touched, .. } = self;
        for (_, effect) in touched.values() {
            *match effect {
                Effect::Created => &mut counts.created,
                Effect::Updated => &mut counts.updated,
                Effect::Unchanged => &mut counts.unchanged,
            } += 1;
        }
        (counts.rows_with_errors, counts.rows_with_warnings) = problems.rows();
        (bulk, counts, problems, photos)
    }

    fn plan(
        &mut self,
        line: u64,
        resolved: Resolved,
        told: &BTreeSet<String>,
        bodies: &mut HashMap<RecordId, Fields>,
        batch: &mut Batch,
    ) {
        for node in resolved.linked {
            if node.is_new {
                bodies.insert(node.id, node.fields.clone());
                self.push_new(line, node, told, batch);
            } else {
                self.complete_linked(line, node, bodies, batch);
            }
        }
        let Some(node) = resolved.record else { return };
        for waiting in resolved.deferred {
            self.deferred.push((line, node.id, waiting));
        }
        if node.is_new {
            bodies.insert(node.id, node.fields.clone());
            self.mark(node.id, line, Effect::Created);
            self.push_new(line, node, told, batch);
        } else {
            self.update_record(line, node, told, bodies, batch);
        }
    }

    fn push_new(&mut self, line: u64, node: Node, told: &BTreeSet<String>, batch: &mut Batch) {
        *self.counts.made.entry(node.entity.clone()).or_default() += 1;
        let origin = Origin { line, path: node.path, columns: node.columns, told: told.clone() };
        let Node { entity, id, fields, .. } = node;
        let change =
            Change { kind: MutationKind::Create, entity, record: id, base: None, set: fields, ops: Vec::new() };
        batch.push(change, origin);
    }

    /// What a row says about a record that it only links to fills that record's gaps and overrides nothing.
    fn complete_linked(&mut self, line: u64, node: Node, bodies: &mut HashMap<RecordId, Fields>, batch: &mut Batch) {
        let (Some(entity), Some(stored)) = (self.model.entity(&node.entity), bodies.get_mut(&node.id)) else { return };
        let mut set = Fields::new();
        for (name, wanted) in &node.fields {
            match compare(entity, name, wanted, stored) {
                Compared::Same => {}
                Compared::Fills(value) | Compared::Adds(value) => drop(set.insert(name.clone(), value)),
                Compared::Differs(value) => {
                    let title = crm::rules::title(entity, stored);
                    let trouble = Trouble::new(
                        "kept-as-it-is",
                        format!("«{title}» ya tiene otro valor en {name}: se deja como está."),
                        format!("“{title}” has another value in {name} already: it is left as it is."),
                    );
                    let column = node.columns.get(name).map(String::as_str);
                    let path = format!("{}.{name}", node.path);
                    let problem = RowProblem::error(trouble, column, &path, value.as_str().unwrap_or_default());
                    self.problems.add(line, problem.into_warning());
                }
            }
        }
        if set.is_empty() {
            return;
        }
        stored.extend(set.clone());
        let origin = Origin { line, path: node.path, columns: node.columns, told: BTreeSet::new() };
        batch.push(update(&node.entity, node.id, set), origin);
    }

    fn update_record(
        &mut self,
        line: u64,
        node: Node,
        told: &BTreeSet<String>,
        bodies: &mut HashMap<RecordId, Fields>,
        batch: &mut Batch,
    ) {
        let Some(stored) = bodies.get_mut(&node.id) else { return };
        let before = self.touched.get(&node.id).map(|(line, _)| *line);
        let mut set = Fields::new();
        for (name, wanted) in &node.fields {
            match (compare(self.entity, name, wanted, stored), before) {
                (Compared::Same, _) => {}
                (Compared::Fills(value) | Compared::Adds(value), _) | (Compared::Differs(value), None) => {
                    set.insert(name.clone(), value);
                }
                (Compared::Differs(_), Some(before)) => {
                    let column = node.columns.get(name).map(String::as_str);
                    let value = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
                    let problem = RowProblem::error(contradiction(before, name), column, name, &value);
                    // Two pictures of one person are no mistake of the file: the first stays.
                    let is_file =
                        matches!(self.entity.field(name).map(|field| &field.kind), Some(FieldKind::Blob { .. }));
                    self.problems.add(line, if is_file { problem.into_warning() } else { problem });
                }
            }
        }
        if let Some(before) = before {
            let problem = RowProblem::error(repetition(before), None, "", "");
            self.problems.add(line, RowProblem { field: None, ..problem.into_warning() });
        }
        if set.is_empty() {
            self.mark(node.id, line, Effect::Unchanged);
            return;
        }
        stored.extend(set.clone());
        self.mark(node.id, line, Effect::Updated);
        let origin = Origin { line, path: String::new(), columns: node.columns, told: told.clone() };
        batch.push(update(&self.entity.name, node.id, set), origin);
    }

    fn mark(&mut self, record: RecordId, line: u64, effect: Effect) {
        let (_, known) = self.touched.entry(record).or_insert((line, effect));
        if *known == Effect::Unchanged {
            *known = effect;
        }
    }

    async fn write(&mut self, batch: Batch) -> Result<(), WriteError> {
        let Batch { mut changes, origins } = batch;
        let mut origins = origins.into_iter();
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(CHANGES_PER_WRITE));
            let entities: Vec<String> = changes.iter().map(|change| change.entity.clone()).collect();
            let decisions = self.bulk.write(changes).await?;
            for ((decision, entity), origin) in decisions.into_iter().zip(entities).zip(&mut origins) {
                self.hear(decision, &entity, &origin);
            }
            changes = rest;
        }
        Ok(())
    }

    /// Tells what the writer said about a change as problems of the row that the change comes from.
    fn hear(&mut self, decision: Decision, entity: &str, origin: &Origin) {
        for warning in decision.warnings {
            let is_required = warning.code == "required"
                && self
                    .model
                    .entity(entity)
                    .and_then(|entity| entity.field(&warning.field))
                    .is_some_and(|f| f.required);
            let path = origin.path_of(&warning.field);
            if is_required && origin.told.contains(&path) {
                continue;
            }
            let problem = self.problem(warning, origin, Severity::Warning);
            let policy = self.mapping.on_missing.of(&path);
            self.problems.add(origin.line, if is_required { gap(policy, problem, &path) } else { problem });
        }
        if !matches!(decision.verdict, Verdict::Rejected | Verdict::Deferred) {
            return;
        }
        let Some(reason) = decision.reason else { return };
        if reason.fields.is_empty() {
            let problem = FieldProblem { field: String::new(), code: reason.code, message: reason.message };
            let problem = self.problem(problem, origin, Severity::Error);
            self.problems.add(origin.line, RowProblem { field: None, ..problem });
            return;
        }
        for field in reason.fields {
            let problem = self.problem(field, origin, Severity::Error);
            self.problems.add(origin.line, problem);
        }
    }

    fn problem(&self, said: FieldProblem, origin: &Origin, severity: Severity) -> RowProblem {
        let message = match self.language {
            Language::Es => Label { es: said.message, en: String::new() },
            Language::En => Label { es: String::new(), en: said.message },
        };
        RowProblem {
            severity,
            code: said.code,
            column: origin.columns.get(&said.field).cloned(),
            field: Some(origin.path_of(&said.field)),
            value: None,
            message,
        }
    }
}

impl Origin {
    fn path_of(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }
}

impl Batch {
    fn push(&mut self, change: Change, origin: Origin) {
        self.changes.push(change);
        self.origins.push(origin);
    }
}

fn update(entity: &str, record: RecordId, set: Fields) -> Change {
    Change { kind: MutationKind::Update, entity: entity.to_owned(), record, base: None, set, ops: Vec::new() }
}

fn is_list(entity: &Entity, field: &str) -> bool {
    entity.field(field).is_some_and(|field| matches!(field.kind, FieldKind::Links { .. }))
}

fn repetition(before: u64) -> Trouble {
    Trouble::new(
        "repeated-row",
        format!("La fila habla del mismo registro que la de la línea {before}: se completan la una a la otra."),
        format!("The row is about the same record as the one on line {before}: they complete each other."),
    )
}

fn contradiction(before: u64, field: &str) -> Trouble {
    Trouble::new(
        "repeated-key",
        format!("La fila habla del mismo registro que la de la línea {before}, pero con otro valor en {field}."),
        format!("The row is about the same record as the one on line {before}, but with another value in {field}."),
    )
}
