use serde_json::Value;
use uuid::Uuid;

use crate::Fields;
use crate::model::Level;

/// Who asks, and what their levels reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The user.
    pub user: Uuid,
    /// The key of the user's role.
    pub role: String,
    /// The user's teams.
    pub teams: Vec<Uuid>,
    /// The territories of those teams, with all that lie below them.
    pub territories: Vec<Uuid>,
}

/// Where a record stands: whose it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The user who owns it.
    pub owner: Option<Uuid>,
    /// The team that it belongs to.
    pub team: Option<Uuid>,
    /// The territory that it lies in.
    pub territory: Option<Uuid>,
}

impl Place {
    /// The place that a record's own fields give it.
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        let id = |name| fields.get(name).and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
        Self { owner: id("owner"), team: id("team"), territory: id("territory") }
    }

    /// Whether it is nobody's, and so everybody's who may read its entity.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.owner.is_none() && self.team.is_none() && self.territory.is_none()
    }
}

/// Whether a right of this level reaches a record that stands there.
#[must_use]
pub fn reaches(level: Level, viewer: &Viewer, place: &Place) -> bool {
    level == Level::All
        || level >= Level::Own && (place.is_open() || place.owner == Some(viewer.user))
        || level >= Level::Team && place.team.is_some_and(|team| viewer.teams.contains(&team))
        || level >= Level::Territory && place.territory.is_some_and(|territory| viewer.territories.contains(&territory))
}
