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

/// The fields of the mixin `shared`: users, and teams, who read a record that is not theirs.
pub const SHARE_FIELDS: [&str; 2] = ["shared_with", "shared_with_teams"];

/// Where a record stands: whose it is, and with whom it is shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The user who owns it.
    pub owner: Option<Uuid>,
    /// The team that it belongs to.
    pub team: Option<Uuid>,
    /// The territory that it lies in.
    pub territory: Option<Uuid>,
    /// Users and teams that it is shared with.
    pub shared: Vec<Uuid>,
}

impl Place {
    /// The place that a record's own fields give it.
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        let parse = |id: &Value| id.as_str().and_then(|id| Uuid::try_parse(id).ok());
        let id = |name| fields.get(name).and_then(parse);
        let shares = SHARE_FIELDS.iter().filter_map(|name| fields.get(*name)?.as_array()).flatten();
        let shared = shares.filter_map(parse).collect();
        Self { owner: id("owner"), team: id("team"), territory: id("territory"), shared }
    }

    /// Whether it is nobody's, and so everybody's who may read its entity.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.owner.is_none() && self.team.is_none() && self.territory.is_none()
    }
}

/// Whether a right of this level to read shows a record that stands there: one that it reaches, or one that is shared
/// with the viewer or a team of hers.
#[must_use]
pub fn sees(level: Level, viewer: &Viewer, place: &Place) -> bool {
    let is_shared = || place.shared.iter().any(|holder| *holder == viewer.user || viewer.teams.contains(holder));
    reaches(level, viewer, place) || level >= Level::Shared && is_shared()
}

/// Whether a right of this level to change or delete reaches a record that stands there. What is shared is only read.
#[must_use]
pub fn reaches(level: Level, viewer: &Viewer, place: &Place) -> bool {
    level == Level::All
        || level >= Level::Own && (place.is_open() || place.owner == Some(viewer.user))
        || level >= Level::Team && place.team.is_some_and(|team| viewer.teams.contains(&team))
        || level >= Level::Territory && place.territory.is_some_and(|territory| viewer.territories.contains(&territory))
}
