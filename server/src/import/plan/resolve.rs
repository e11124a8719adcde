use std::collections::{BTreeMap, HashMap};

use crm::Fields;
use crm::expr::Variables;
use crm::model::{Entity, FieldKind, Model};
use crm::rules::fill_defaults;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::super::mapping::{MissingPolicies, Policy};
use super::super::value::Trouble;
use super::problem::RowProblem;
use super::{Draft, Found, Index};

/// A record of a draft with its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its entity.
    pub entity: String,
    /// Its id.
    pub id: RecordId,
    /// Whether the import makes it.
    pub is_new: bool,
    /// Its path from the imported record; empty for that one.
    pub path: String,
    /// What the row wants its fields to be; links as ids.
    pub fields: Fields,
    /// By field: the heading of the column that filled it.
    pub columns: BTreeMap<String, String>,
}

/// What a row comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// The records that it links to and says something about, in the order in which they must be made.
    pub linked: Vec<Node>,
    /// The imported record; absent where the row cannot be one.
    pub record: Option<Node>,
    /// Links that wait for the end of the file.
    pub deferred: Vec<Deferred>,
}

/// A link of an imported record to a record that no row so far is: a later one may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferred {
    /// The link.
    pub field: String,
    /// The name it points to.
    pub name: String,
    /// The heading of its column.
    pub column: Option<String>,
}

/// Finds the records that drafts speak of, or gives ids to those that are to be made.
pub struct Resolver<'a> {
    model: &'a Model,
    policies: &'a MissingPolicies,
    variables: &'a Variables,
    indexes: HashMap<String, Index>,
    new_id: Box<dyn FnMut() -> RecordId + Send + 'a>,
}

impl<'a> Resolver<'a> {
    /// Over the indexes of the imported entity and of all that its columns link to.
    #[must_use]
    pub fn new(
        model: &'a Model,
        policies: &'a MissingPolicies,
        variables: &'a Variables,
        indexes: HashMap<String, Index>,
        new_id: Box<dyn FnMut() -> RecordId + Send + 'a>,
    ) -> Self {
        Self { model, policies, variables, indexes, new_id }
    }

    /// Gives the imported record of a draft, and all that it links to, their ids.
    pub fn resolve(&mut self, draft: Draft, problems: &mut Vec<RowProblem>) -> Resolved {
        let mut resolved = Resolved::default();
        let Some(entity) = self.model.entity(&draft.entity) else { return resolved };
        let mut node = start(&draft, String::new());
        let Resolved { linked, deferred, .. } = &mut resolved;
        self.resolve_links(&mut node, entity, draft.links, linked, Some(deferred), problems);
        let found = match draft.id {
            Some(id) => self.index(&entity.name).of_id(RecordId(id)),
            None => self.index(&entity.name).matching(entity, &node.fields),
        };
        match found {
            Found::One(id) => node.id = id,
            Found::Many => {
                problems.push(several_match(entity, &node));
                return resolved;
            }
            Found::None => {
                node.is_new = true;
                node.id = draft.id.map_or_else(|| (self.new_id)(), RecordId);
                self.register(entity, node.id, &node.fields);
            }
        }
        resolved.record = Some(node);
        resolved
    }

    /// Resolves a link that waited for the end of the file.
    pub fn resolve_deferred(
        &mut self,
        entity_name: &str,
        deferred: &Deferred,
        problems: &mut Vec<RowProblem>,
    ) -> Option<(Value, Vec<Node>)> {
        let entity = self.model.entity(entity_name)?;
        let field = entity.field(&deferred.field)?;
        let mut linked = Vec::new();
        let end = Draft {
            entity: link_targets(&field.kind).first().cloned().unwrap_or_default(),
            name: Some(deferred.name.clone()),
            ..Draft::default()
        };
        let at = Place { kind: &field.kind, path: &deferred.field, column: deferred.column.as_deref() };
        let value = self.resolve_end(end, &at, &mut linked, problems)?;
        Some((value, linked))
    }

    fn index(&mut self, entity: &str) -> &mut Index {
        self.indexes.entry(entity.to_owned()).or_default()
    }

    /// Makes a record that is about to be made findable by later rows.
    fn register(&mut self, entity: &Entity, id: RecordId, fields: &Fields) {
        let mut whole = fields.clone();
        fill_defaults(entity, &mut whole, self.variables);
        self.index(&entity.name).add(entity, id, &whole);
    }

    fn resolve_links(
        &mut self,
        node: &mut Node,
        entity: &Entity,
        links: BTreeMap<String, Vec<Draft>>,
        linked: &mut Vec<Node>,
        mut deferred: Option<&mut Vec<Deferred>>,
        problems: &mut Vec<RowProblem>,
    ) {
        for (name, ends) in links {
            let Some(field) = entity.field(&name) else { continue };
            let path = if node.path.is_empty() { name.clone() } else { format!("{}.{name}", node.path) };
            let column = node.columns.get(&name).cloned();
            let at = Place { kind: &field.kind, path: &path, column: column.as_deref() };
            let mut ids = Vec::new();
            for end in ends {
                // Rows of the file may link to each other, also to later ones.
                let waits = end.entity == entity.name && self.find(&end) == Found::None;
                if let (Some(deferred), true, Some(text)) = (deferred.as_deref_mut(), waits, &end.name) {
                    let column = column.clone();
                    deferred.push(Deferred { field: name.clone(), name: text.clone(), column });
                    continue;
                }
                ids.extend(self.resolve_end(end, &at, linked, problems));
            }
            if let Some(value) = link_value(&field.kind, ids) {
                node.fields.insert(name, value);
            }
        }
    }

    /// The link's value for one end, made when it is missing and the policy says so.
    fn resolve_end(
        &mut self,
        end: Draft,
        at: &Place<'_>,
        linked: &mut Vec<Node>,
        problems: &mut Vec<RowProblem>,
    ) -> Option<Value> {
        if end.entity.is_empty() {
            return self.resolve_one_of(&end, at, problems);
        }
        let entity = self.model.entity(&end.entity)?;
        let (found, text) = (self.find(&end), end.name.clone().unwrap_or_default());
        let mut node = start(&end, at.path.to_owned());
        self.resolve_links(&mut node, entity, end.links, linked, None, problems);
        match found {
            Found::One(id) => node.id = id,
            Found::Many => {
                problems.push(RowProblem::error(ambiguous(entity, &text), at.column, at.path, &text));
                return None;
            }
            Found::None => {
                let policy = self.policies.of(at.path);
                let can_name =
                    matches!(entity.field(&entity.title).map(|field| &field.kind), Some(FieldKind::Text { .. }));
                if policy != Policy::Create || !can_name || text.is_empty() {
                    let problem = RowProblem::error(missing(entity, &text, policy), at.column, at.path, &text);
                    problems.push(if policy == Policy::Keep { problem.into_warning() } else { problem });
                    return None;
                }
                node.fields.entry(entity.title.clone()).or_insert_with(|| json!(text));
                node.is_new = true;
                node.id = (self.new_id)();
                self.register(entity, node.id, &node.fields);
            }
        }
        let value = json!(node.id.to_string());
        if node.is_new || !node.fields.is_empty() {
            linked.push(node);
        }
        Some(value)
    }

    /// A link that may point to several entities: `account:Acme`, or a name that only one of them has.
    fn resolve_one_of(&mut self, end: &Draft, at: &Place<'_>, problems: &mut Vec<RowProblem>) -> Option<Value> {
        let text = end.name.clone().unwrap_or_default();
        let targets = link_targets(at.kind);
        let (targets, name) = match text.split_once(':') {
            Some((entity, name)) if targets.iter().any(|target| target == entity.trim()) => {
                (vec![entity.trim().to_owned()], name.trim().to_owned())
            }
            _ => (targets, text.clone()),
        };
        let mut hits = Vec::new();
        let mut is_ambiguous = false;
        for target in &targets {
            let end = Draft { entity: target.clone(), name: Some(name.clone()), ..Draft::default() };
            match self.find(&end) {
                Found::One(id) => hits.push(json!({"entity": target, "id": id.to_string()})),
                Found::Many => is_ambiguous = true,
                Found::None => {}
            }
        }
        let entity = targets.first().and_then(|target| self.model.entity(target))?;
        match (hits.pop(), hits.is_empty() && !is_ambiguous) {
            (Some(hit), true) => return Some(hit),
            (None, true) => {
                let policy = self.policies.of(at.path);
                let problem = RowProblem::error(missing(entity, &text, Policy::Reject), at.column, at.path, &text);
                problems.push(if policy == Policy::Keep { problem.into_warning() } else { problem });
            }
            _ => problems.push(RowProblem::error(ambiguous(entity, &text), at.column, at.path, &text)),
        }
        None
    }

    fn find(&mut self, end: &Draft) -> Found {
        let name = end.name.as_deref().unwrap_or_default().trim();
        let id = end.id.or_else(|| Uuid::try_parse(name).ok());
        if let Some(id) = id {
            return self.index(&end.entity).of_id(RecordId(id));
        }
        if !name.is_empty() {
            return self.index(&end.entity).named(name);
        }
        // No column names it: what the row says of it may be a key.
        let Some(entity) = self.model.entity(&end.entity) else { return Found::None };
        self.index(&end.entity).matching(entity, &end.fields)
    }
}

struct Place<'a> {
    kind: &'a FieldKind,
    path: &'a str,
    column: Option<&'a str>,
}

fn link_targets(kind: &FieldKind) -> Vec<String> {
    match kind {
        FieldKind::Link { to } => to.clone(),
        FieldKind::Links { to } => vec![to.clone()],
        _ => Vec::new(),
    }
}

fn link_value(kind: &FieldKind, mut ids: Vec<Value>) -> Option<Value> {
    match kind {
        FieldKind::Links { .. } if ids.is_empty() => None,
        FieldKind::Links { .. } => {
            ids.sort_unstable_by(|a, b| a.as_str().cmp(&b.as_str()));
            ids.dedup();
            Some(Value::Array(ids))
        }
        _ => ids.pop(),
    }
}

fn missing(entity: &Entity, text: &str, policy: Policy) -> Trouble {
    let (es, en) = (&entity.labels.es[0], &entity.labels.en[0]);
    if policy == Policy::Keep {
        return Trouble::new(
            "no-such-record",
            format!("No hay ningún registro de {es} que se llame «{text}»: la fila se importa sin él."),
            format!("No {en} is called “{text}”: the row is brought in without it."),
        );
    }
    Trouble::new(
        "no-such-record",
        format!(
            "No hay ningún registro de {es} que se llame «{text}»: asígnalo a otro nombre con `values`, créalo con \
             --on-missing create, o importa la fila sin él con --on-missing keep."
        ),
        format!(
            "No {en} is called “{text}”: map it to another name with `values`, make it with --on-missing create, or \
             bring the row in without it with --on-missing keep."
        ),
    )
}

fn ambiguous(entity: &Entity, text: &str) -> Trouble {
    let (es, en) = (&entity.labels.es[1], &entity.labels.en[1]);
    Trouble::new(
        "ambiguous",
        format!("Hay varios registros de {es} que se llaman «{text}»: usa su identificador en la celda."),
        format!("Several {en} are called “{text}”: write the id of one into the cell."),
    )
}

fn several_match(entity: &Entity, node: &Node) -> RowProblem {
    let key = entity.import.keys.iter().find(|key| key.iter().all(|name| node.fields.contains_key(name)));
    let key = key.cloned().unwrap_or_default();
    let (es, en) = (&entity.labels.es[1], &entity.labels.en[1]);
    let names = key.join(", ");
    let value = key.first().and_then(|name| node.fields.get(name)).and_then(Value::as_str).unwrap_or_default();
    let trouble = Trouble::new(
        "ambiguous",
        format!("Varios registros de {es} coinciden con la fila en {names}: añade una columna cartera_id."),
        format!("Several {en} equal the row in {names}: add a column cartera_id."),
    );
    let field = key.first().cloned().unwrap_or_default();
    RowProblem::error(trouble, node.columns.get(&field).map(String::as_str), &field, value)
}

fn start(draft: &Draft, path: String) -> Node {
    Node {
        entity: draft.entity.clone(),
        id: RecordId(Uuid::nil()),
        is_new: false,
        path,
        fields: draft.fields.clone(),
        columns: draft.columns.clone(),
    }
}
