//! The tenant's model as the server uses it: with the database's entity codes, and each role's view of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use crm::model::{Entity, Evolution, FieldKind, Model};
use crm::rules::Projection;
use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;

use crate::entitlement::Entitlements;

/// The number by which the database knows an entity.
pub type EntityCode = i64;

/// One role's view of the model.
#[derive(Debug)]
pub struct RoleView {
    /// The role's key.
    pub role: String,
    /// The model as the role may see it, as far as the tenant is entitled to it; it answers what the role may do.
    pub model: Model,
    /// By entity, those of modules that are off included: the fields that the role sees.
    projections: HashMap<String, Projection>,
    /// By entity: a number for these fields.
    shown: HashMap<String, u64>,
    /// A number for all that is hidden from the role, the same after a restart and for every role that sees the same.
    /// A field that is new and seen by everybody changes it for nobody, nor does a module that is switched on or off: its
    /// records come and go as scopes do.
    pub hidden: u32,
}

impl RoleView {
    fn of(model: &Model, entitlements: &Entitlements, role: &str) -> Self {
        let projections: HashMap<String, Projection> = model
            .entities
            .values()
            .filter_map(|entity| {
                let permission = entity.permissions.get(role)?;
                Some((entity.name.clone(), Projection::of(entity, permission)))
            })
            .collect();
        let hidden = number_of_hidden(&projections);
        let shown = model.entities.values().filter_map(|entity| {
            let projection = projections.get(&entity.name)?;
            Some((entity.name.clone(), number_of_shown(entity, projection)))
        });
        let seen = entitlements.of(model).for_role(role);
        Self { role: role.to_owned(), model: seen, shown: shown.collect(), projections, hidden }
    }

    /// The fields of `entity` that the role sees; `None` where it reads no record of it.
    #[must_use]
    pub fn projection(&self, entity: &str) -> Option<&Projection> {
        self.projections.get(entity).filter(|_| self.model.entity(entity).is_some())
    }

    /// By entity: the fields that the role does not see, of those that it may see records of.
    #[must_use]
    pub fn hidden_fields(&self) -> BTreeMap<&str, Vec<&str>> {
        let hidden = self.projections.iter().map(|(entity, seen)| (entity.as_str(), seen.hidden().collect::<Vec<_>>()));
        hidden.filter(|(_, fields)| !fields.is_empty()).collect()
    }

    /// A number for the fields of `entity` that the role sees, as they are called: whoever sees the same has the same.
    #[must_use]
    pub fn shown(&self, entity: &str) -> Option<u64> {
        self.shown.get(entity).copied().filter(|_| self.model.entity(entity).is_some())
    }
}

fn number_of_shown(entity: &Entity, projection: &Projection) -> u64 {
    let was_ever_otherwise = !Evolution::of(entity).is_nothing();
    if projection.is_whole() && !was_ever_otherwise {
        return 0;
    }
    let mut hash = Sha256::new();
    if was_ever_otherwise {
        // What was cut under other names is none of what is cut now.
        hash.update(format!("{:?}\n", Evolution::of(entity)));
    }
    for field in entity.fields.keys().filter(|field| projection.shows(field)) {
        hash.update(format!("{field}\n"));
    }
    let bytes: [u8; 32] = hash.finalize().into();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}

fn number_of_hidden(projections: &HashMap<String, Projection>) -> u32 {
    let fields = projections.iter().flat_map(|(entity, seen)| seen.hidden().map(move |field| (entity, field)));
    let fields: BTreeSet<_> = fields.collect();
    let mut hash = Sha256::new();
    for (entity, field) in fields {
        hash.update(format!("{entity}.{field}\n"));
    }
    let bytes: [u8; 32] = hash.finalize().into();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// A model that is in force.
#[derive(Debug)]
pub struct Catalogue {
    /// The whole model.
    pub model: Arc<Model>,
    /// What of it the tenant is entitled to.
    pub entitlements: Arc<Entitlements>,
    codes: HashMap<String, EntityCode>,
    names: HashMap<EntityCode, String>,
    /// Entities whose records have children.
    parents: HashSet<EntityCode>,
    /// `[entity, field]` of every link to a parent.
    parent_links: Vec<(EntityCode, String)>,
    views: Mutex<HashMap<String, Arc<RoleView>>>,
}

impl Catalogue {
    /// Puts `model` in force, giving a code to each entity that has none.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn load(model: Arc<Model>, connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        for name in model.entities.keys() {
            sqlx::query("INSERT INTO entity (name) VALUES ($1) ON CONFLICT (name) DO NOTHING")
                .bind(name)
                .execute(&mut *connection)
                .await?;
        }
        let rows: Vec<(EntityCode, String)> =
            sqlx::query_as("SELECT code, name FROM entity").fetch_all(connection).await?;
        Ok(Self::new(model, rows))
    }

    /// A catalogue over entity codes that are known already.
    #[must_use]
    pub fn new(model: Arc<Model>, rows: Vec<(EntityCode, String)>) -> Self {
        let codes: HashMap<String, EntityCode> = rows.iter().map(|(code, name)| (name.clone(), *code)).collect();
        let (mut parents, mut parent_links) = (HashSet::new(), Vec::new());
        for entity in model.entities.values() {
            let link = entity.parent.as_ref().and_then(|name| entity.field(name));
            let Some((FieldKind::Link { to }, name)) = link.map(|field| (&field.kind, &field.name)) else { continue };
            parents.extend(to.iter().filter_map(|name| codes.get(name)));
            parent_links.extend(codes.get(&entity.name).map(|code| (*code, name.clone())));
        }
        let names = rows.into_iter().collect();
        let entitlements = Arc::default();
        Self { model, entitlements, codes, names, parents, parent_links, views: Mutex::default() }
    }

    /// The same model, for a tenant that is entitled to this of it.
    #[must_use]
    pub fn entitled_to(&self, entitlements: Arc<Entitlements>) -> Self {
        Self {
            model: self.model.clone(),
            entitlements,
            codes: self.codes.clone(),
            names: self.names.clone(),
            parents: self.parents.clone(),
            parent_links: self.parent_links.clone(),
            views: Mutex::default(),
        }
    }

    /// Whether records of that entity may have children (`parent` in the model), which follow them.
    #[must_use]
    pub fn is_parent(&self, code: EntityCode) -> bool {
        self.parents.contains(&code)
    }

    /// Every link from a child to its parent: the child's entity, and the field.
    #[must_use]
    pub fn parent_links(&self) -> &[(EntityCode, String)] {
        &self.parent_links
    }

    /// The entity and its code.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<(&Entity, EntityCode)> {
        Some((self.model.entity(name)?, *self.codes.get(name)?))
    }

    /// The entity of that code.
    #[must_use]
    pub fn entity_of(&self, code: EntityCode) -> Option<&Entity> {
        self.model.entity(self.names.get(&code)?)
    }

    /// The name of the entity of that code; known even when the model no longer has it.
    #[must_use]
    pub fn name_of(&self, code: EntityCode) -> Option<&str> {
        self.names.get(&code).map(String::as_str)
    }

    /// What a role sees and may do.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    #[must_use]
    pub fn role_view(&self, role: &str) -> Arc<RoleView> {
        let mut views = self.views.lock().expect("no holder of this lock panics");
        if let Some(view) = views.get(role) {
            return view.clone();
        }
        let view = Arc::new(RoleView::of(&self.model, &self.entitlements, role));
        views.insert(role.to_owned(), view.clone());
        view
    }
}
