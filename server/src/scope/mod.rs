//! Scopes: the sets of records that a user may hold, as small numbers.
//!
//! A scope is the records of one entity that one holder brings with it: an owner's own, a team's, a territory's, those
//! that are shared with a user or a team, those that stand open, or all. A record stands in a few of them by its owner,
//! team, territory and shares; a user holds some by her role's read level.

mod carried;

use std::collections::HashMap;

use crm::model::Level;
use crm::rules::Place;
use sqlx::SqliteConnection;
use sync_protocol::id::ScopeId;
use uuid::Uuid;

use crate::record::catalogue::{Catalogue, EntityCode};
use crate::user::rights::Rights;

/// What brings a record into a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    /// Every record of the entity. Has no entries.
    All,
    /// Every record of the entity that its sync rule lets devices carry: what stands in the place of `All` once there
    /// has been a rule.
    Carried,
    /// Records without owner, team and territory.
    Open,
    /// Shared with a user or a team.
    Shared,
    /// An owner's.
    Own,
    /// A team's.
    Team,
    /// A territory's.
    Territory,
}

impl ScopeKind {
    /// As the database spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Carried => "carried",
            Self::Open => "open",
            Self::Shared => "shared",
            Self::Own => "own",
            Self::Team => "team",
            Self::Territory => "territory",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::All, Self::Carried, Self::Open, Self::Shared, Self::Own, Self::Team, Self::Territory];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a scope is, before it has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeKey {
    /// What brings a record in.
    pub kind: ScopeKind,
    /// Of which entity.
    pub entity: EntityCode,
    /// The user, team or territory; nil for `all`, `carried` and `open`.
    pub holder: Uuid,
}

impl ScopeKey {
    /// The scopes with entries that a record of `entity` stands in which devices carry.
    fn of_place(entity: EntityCode, place: &Place) -> impl Iterator<Item = Self> + use<> {
        let open = place.is_open().then_some((ScopeKind::Open, Uuid::nil()));
        let own = place.owner.map(|user| (ScopeKind::Own, user));
        let team = place.team.map(|team| (ScopeKind::Team, team));
        let territory = place.territory.map(|territory| (ScopeKind::Territory, territory));
        let shared = place.shared.clone().into_iter().map(|holder| (ScopeKind::Shared, holder));
        let placed = [open, own, team, territory].into_iter().flatten();
        placed.chain(shared).map(move |(kind, holder)| Self { kind, entity, holder })
    }

    /// The scope of every record of an entity.
    #[must_use]
    pub fn all(entity: EntityCode) -> Self {
        Self { kind: ScopeKind::All, entity, holder: Uuid::nil() }
    }

    /// The scope of every record of an entity that devices carry.
    #[must_use]
    pub fn carried(entity: EntityCode) -> Self {
        Self { kind: ScopeKind::Carried, entity, holder: Uuid::nil() }
    }
}

/// Every scope that has a number.
#[derive(Clone, Debug, Default)]
pub struct Scopes {
    ids: HashMap<ScopeKey, ScopeId>,
    keys: HashMap<ScopeId, ScopeKey>,
    last: ScopeId,
}

impl Scopes {
    /// Reads them, and gives a number to the `all` scope of each entity that has none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load(catalogue: &Catalogue, connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        for name in catalogue.model.entities.keys() {
            if let Some((_, code)) = catalogue.entity(name) {
                sqlx::query(
                    "INSERT INTO scope (kind, entity, holder) VALUES ('all', $1, $2) ON CONFLICT (kind, entity, holder) DO NOTHING",
                )
                .bind(code)
                .bind(Uuid::nil())
                .execute(&mut *connection)
                .await?;
            }
        }
        carried::open_where_ruled(catalogue, connection).await?;
        let rows: Vec<(ScopeId, String, EntityCode, Uuid)> =
            sqlx::query_as("SELECT id, kind, entity, holder FROM scope").fetch_all(connection).await?;
        let mut scopes = Self::default();
        for (id, kind, entity, holder) in rows {
            let kind = ScopeKind::parse(&kind)
                .ok_or_else(|| sqlx::Error::Decode(format!("scope {id} has the unknown kind {kind:?}").into()))?;
            scopes.insert(id, ScopeKey { kind, entity, holder });
        }
        Ok(scopes)
    }

    fn insert(&mut self, id: ScopeId, key: ScopeKey) {
        self.ids.insert(key, id);
        self.keys.insert(id, key);
        self.last = self.last.max(id);
    }

    /// The number of a scope, if a record ever stood in it.
    #[must_use]
    pub fn id(&self, key: &ScopeKey) -> Option<ScopeId> {
        self.ids.get(key).copied()
    }

    /// What the scope of that number is.
    #[must_use]
    pub fn key(&self, id: ScopeId) -> Option<ScopeKey> {
        self.keys.get(&id).copied()
    }

    /// The scopes with entries that a record of `entity` stands in; `is_carried`: devices carry it.
    pub fn keys_of(
        &self,
        entity: EntityCode,
        place: &Place,
        is_carried: bool,
    ) -> impl Iterator<Item = ScopeKey> + use<> {
        let carried = Some(ScopeKey::carried(entity)).filter(|key| self.ids.contains_key(key));
        let keys = is_carried.then(|| ScopeKey::of_place(entity, place).chain(carried));
        keys.into_iter().flatten()
    }

    /// Gives a number to a scope that has none.
    pub fn give_out(&mut self, key: ScopeKey) -> ScopeId {
        let id = self.last + 1;
        self.insert(id, key);
        id
    }

    /// The scopes that these rights let a user hold, sorted.
    #[must_use]
    pub fn held(&self, rights: &Rights, catalogue: &Catalogue) -> Vec<ScopeId> {
        let mut held = Vec::new();
        for entity in rights.view.model.entities.values() {
            let (Some((_, code)), Some(permission)) =
                (catalogue.entity(&entity.name), entity.permissions.get(&rights.viewer.role))
            else {
                continue;
            };
            let mut hold = |kind, holder| held.extend(self.id(&ScopeKey { kind, entity: code, holder }));
            match permission.read {
                Level::None => continue,
                Level::All => {
                    let carried = self.id(&ScopeKey::carried(code));
                    held.extend(carried.or_else(|| self.id(&ScopeKey::all(code))));
                    continue;
                }
                Level::Shared | Level::Own | Level::Team | Level::Territory => {}
            }
            hold(ScopeKind::Shared, rights.viewer.user);
            rights.viewer.teams.iter().for_each(|team| hold(ScopeKind::Shared, *team));
            if permission.read < Level::Own {
                continue;
            }
            hold(ScopeKind::Open, Uuid::nil());
            hold(ScopeKind::Own, rights.viewer.user);
            if permission.read >= Level::Team {
                rights.viewer.teams.iter().for_each(|team| hold(ScopeKind::Team, *team));
            }
            if permission.read >= Level::Territory {
                rights.viewer.territories.iter().for_each(|territory| hold(ScopeKind::Territory, *territory));
            }
        }
        held.sort_unstable();
        held
    }
}
