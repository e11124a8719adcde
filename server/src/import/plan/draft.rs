use std::collections::BTreeMap;

use crm::Fields;
use crm::model::{Entity, FieldKind, Model};
use uuid::Uuid;

use super::super::mapping::{Goal, Layout, Target};
use super::super::read::{Cell, Row};
use super::super::value::{self, Locale, Part, Trouble};
use super::oddity;
use super::problem::RowProblem;

/// What a row says about one record, and about those it links to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Its entity; empty where a link may point to several.
    pub entity: String,
    /// Its id, where the file has it.
    pub id: Option<Uuid>,
    /// The text that names it, where it is the end of a link.
    pub name: Option<String>,
    /// Its fields in stored form, without links.
    pub fields: Fields,
    /// By link: the records that it points to.
    pub links: BTreeMap<String, Vec<Draft>>,
    /// By field: the heading of the column that filled it.
    pub columns: BTreeMap<String, String>,
}

/// Makes drafts of rows.
#[derive(Debug)]
pub struct Drafting<'a> {
    model: &'a Model,
    entity: &'a Entity,
    layout: &'a Layout,
    /// One for each column, then one for constants.
    locales: Vec<Locale>,
}

impl<'a> Drafting<'a> {
    /// For rows of this layout, whose values are written in this way.
    #[must_use]
    pub fn new(model: &'a Model, entity: &'a Entity, layout: &'a Layout, locale: &Locale) -> Self {
        let mut locales: Vec<Locale> = layout.columns.iter().map(|plan| locale.with_hints(plan.hints)).collect();
        locales.push(locale.clone());
        Self { model, entity, layout, locales }
    }

    /// What the row says, and what in it cannot be read.
    #[must_use]
    pub fn draft(&self, row: &Row) -> (Draft, Vec<RowProblem>) {
        let mut problems: Vec<RowProblem> = row.oddities.iter().map(oddity::problem).collect();
        let mut draft = Draft { entity: self.entity.name.clone(), ..Draft::default() };
        let cells = self.cells(row);
        let currencies = self.currencies(&cells);
        for (at, (plan, cell)) in self.layout.columns.iter().zip(&cells).enumerate() {
            if cell.is_empty() {
                continue;
            }
            for target in &plan.targets {
                let placing = Placing { column: Some(&plan.name), locale: &self.locales[at], currencies: &currencies };
                if let Err(trouble) = self.place(&mut draft, target, cell, &placing, true) {
                    problems.push(RowProblem::error(
                        trouble,
                        Some(&plan.name),
                        &target.shown(),
                        &row.cells[at].shown(),
                    ));
                }
            }
        }
        for (target, cell) in &self.layout.constants {
            let placing = Placing {
                column: None,
                locale: self.locales.last().unwrap_or(&self.locales[0]),
                currencies: &currencies,
            };
            if let Err(trouble) = self.place(&mut draft, target, cell, &placing, false) {
                problems.push(RowProblem::error(trouble, None, &target.shown(), &cell.shown()));
            }
        }
        (draft, problems)
    }

    /// The row's cells, those replaced that the mapping replaces.
    fn cells(&self, row: &Row) -> Vec<Cell> {
        let plans = self.layout.columns.iter().zip(&row.cells);
        plans
            .map(|(plan, cell)| {
                let replaced = if plan.values.is_empty() || matches!(cell, Cell::Built(_) | Cell::Blob(_)) {
                    None
                } else {
                    plan.values.get(&crm::rules::fold(&cell.shown()))
                };
                replaced.unwrap_or(cell).clone()
            })
            .collect()
    }

    /// Currencies that columns of their own give to amounts, by target.
    fn currencies(&self, cells: &[Cell]) -> Vec<(Target, String)> {
        let plans = self.layout.columns.iter().zip(cells);
        plans
            .filter(|(_, cell)| !cell.is_empty())
            .flat_map(|(plan, cell)| plan.targets.iter().map(move |target| (target, cell)))
            .filter(|(target, _)| matches!(&target.goal, Goal::Field { part: Part::Currency, .. }))
            .map(|(target, cell)| (target.clone(), cell.shown()))
            .collect()
    }

    /// Puts a cell where it goes. What a constant says holds where no column says otherwise, and makes no linked record
    /// of its own.
    fn place(
        &self,
        draft: &mut Draft,
        target: &Target,
        cell: &Cell,
        placing: &Placing<'_>,
        is_column: bool,
    ) -> Result<(), Trouble> {
        let Some(at) = target.entity_at(self.entity, self.model) else { return Ok(()) };
        let mut node = draft;
        let mut entity = self.entity;
        for link in &target.path {
            let Some(next) = entity.field(link).and_then(|field| self.linked(&field.kind)) else { return Ok(()) };
            entity = next;
            if !is_column && !node.links.contains_key(link) {
                return Ok(());
            }
            let ends = node.links.entry(link.clone()).or_default();
            if ends.is_empty() {
                ends.push(Draft { entity: entity.name.clone(), ..Draft::default() });
            }
            node = &mut ends[0];
        }
        if let (Some(column), Goal::Field { field, .. } | Goal::Link { field }) = (placing.column, &target.goal) {
            node.columns.entry(field.clone()).or_insert_with(|| column.to_owned());
        }
        match &target.goal {
            Goal::Id => {
                let text = cell.shown();
                node.id = Some(Uuid::try_parse(text.trim()).map_err(|_| no_id(&text))?);
                Ok(())
            }
            Goal::Link { field } => {
                if !is_column && node.links.contains_key(field) {
                    return Ok(());
                }
                let Some(link) = at.field(field) else { return Ok(()) };
                name_ends(node, &link.kind, field, cell);
                Ok(())
            }
            Goal::Field { field, part } => {
                if !is_column && node.fields.contains_key(field) {
                    return Ok(());
                }
                fill(node, at, field, part, cell, placing, target)
            }
        }
    }

    fn linked(&self, kind: &FieldKind) -> Option<&'a Entity> {
        match kind {
            FieldKind::Link { to } if to.len() == 1 => self.model.entity(&to[0]),
            FieldKind::Links { to } => self.model.entity(to),
            _ => None,
        }
    }
}

fn fill(
    node: &mut Draft,
    entity: &Entity,
    name: &str,
    part: &Part,
    cell: &Cell,
    placing: &Placing<'_>,
    target: &Target,
) -> Result<(), Trouble> {
    let Some(field) = entity.field(name) else { return Ok(()) };
    let value = match (&field.kind, part) {
        (_, Part::Currency) => return Ok(()),
        (FieldKind::Stage { pipeline, .. }, _) => match entity.pipelines.get(pipeline) {
            Some(pipeline) => value::stage(&cell.shown(), pipeline)?,
            None => return Ok(()),
        },
        (FieldKind::Money, _) => match placing.currency_of(target) {
            Some(currency) => Part::amount(field, cell, currency, placing.locale)?,
            None => value::parse(field, cell, placing.locale)?,
        },
        _ => part.lay(field, cell, node.fields.get(name), placing.locale)?,
    };
    if !value.is_null() {
        node.fields.insert(name.to_owned(), value);
    }
    Ok(())
}

struct Placing<'a> {
    column: Option<&'a str>,
    locale: &'a Locale,
    currencies: &'a [(Target, String)],
}

impl Placing<'_> {
    fn currency_of(&self, amount: &Target) -> Option<&str> {
        let Goal::Field { field, .. } = &amount.goal else { return None };
        let same = |target: &Target| matches!(&target.goal, Goal::Field { field: other, .. } if other == field);
        self.currencies
            .iter()
            .find(|(target, _)| target.path == amount.path && same(target))
            .map(|(_, currency)| currency.as_str())
    }
}

/// Lets a cell name the ends of a link: one, or several separated by semicolons where the field holds several.
fn name_ends(node: &mut Draft, kind: &FieldKind, field: &str, cell: &Cell) {
    let text = cell.shown();
    let (names, entity): (Vec<String>, String) = match kind {
        FieldKind::Links { to } => (value::pieces(&text, &[';', '|', '\n']), to.clone()),
        FieldKind::Link { to } if to.len() == 1 => (vec![text], to[0].clone()),
        _ => (vec![text], String::new()),
    };
    let ends = node.links.entry(field.to_owned()).or_default();
    for name in names {
        // A column may have described the end before another names it.
        match ends.iter_mut().find(|end| end.name.is_none()) {
            Some(end) => end.name = Some(name),
            None => ends.push(Draft { entity: entity.clone(), name: Some(name), ..Draft::default() }),
        }
    }
    if !matches!(kind, FieldKind::Links { .. }) {
        ends.truncate(1);
    }
}

fn no_id(text: &str) -> Trouble {
    Trouble::new(
        "not-an-id",
        format!("«{text}» no es el identificador de un registro: deja la celda vacía para crear uno nuevo."),
        format!("“{text}” is no record's id: leave the cell empty to make a new one."),
    )
}
