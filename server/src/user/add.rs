//! Adding a person who signs in: a new user record, or an imported one that had no address yet.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use crm::Fields;
use crm::rules::fold;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sync_protocol::id::RecordId;
use sync_protocol::wire::{FieldProblem, MutationKind, Verdict};
use uuid::Uuid;

use crate::app::App;
use crate::entitlement::LIMIT_USERS;
use crate::platform::auth::{Caller, accept_password, set_password};
use crate::platform::http::problem::{CONFLICT, INVALID, NOT_PERMITTED};
use crate::platform::http::{ApiError, JsonBody};
use crate::record::routes::unwritten;
use crate::record::write::{Change, Decision};

/// The person to add.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct NewUser {
    /// What she signs in with.
    email: String,
    /// The role's key.
    role: String,
    /// The team's name.
    team: Option<String>,
    /// Her full name; a user record of that name without an address becomes hers.
    name: Option<String>,
    /// Without one she cannot sign in until an administrator sets one.
    password: Option<String>,
}

/// What was done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AddedUser {
    /// The user record.
    #[schema(value_type = String, format = "uuid")]
    user: RecordId,
    /// The address she signs in with.
    email: String,
    /// Whether the record was made; else it existed and was given address and role.
    created: bool,
}

/// Adds a person who signs in, or lets a user sign in who was there without an address. For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/users",
    tag = "users",
    operation_id = "add_user",
    request_body = NewUser,
    responses((status = CREATED, description = "Added.", body = AddedUser), (status = OK, description = "She was there already.", body = AddedUser)),
)]
pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    JsonBody(person): JsonBody<NewUser>,
) -> Result<(StatusCode, Json<AddedUser>), ApiError> {
    caller.expect_admin("add users")?;
    if let Some(password) = &person.password {
        accept_password(&app, password)?;
    }
    let email = person.email.trim().to_lowercase();
    let change = change_for(&app, &person, &email).await?;
    let (user, created) = (change.record, change.kind == MutationKind::Create);
    let decisions =
        app.writer().write(caller.author(), vec![change], true).await.map_err(|error| unwritten(&app, error))?;
    decisions.into_iter().try_for_each(accepted)?;
    if let Some(password) = &person.password {
        set_password(&app, user, password).await?;
    }
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(AddedUser { user, email, created })))
}

async fn change_for(app: &App, person: &NewUser, email: &str) -> Result<Change, ApiError> {
    let snapshot = app.live().snapshot();
    let directory = &snapshot.directory;
    if let Some((id, user)) = directory.user_by_email(email) {
        return Err(ApiError::new(CONFLICT)
            .detail(format!("{email} is the address of {} already; set another password or role instead.", user.name))
            .fact("user", id.to_string()));
    }
    let role = directory.role_by_key(&person.role).ok_or_else(|| {
        let known = directory.role_keys().join(", ");
        unknown("role", format!("There is no role {:?}; there are {known}.", person.role))
    })?;
    let mut set = Fields::from([("email".into(), json!(email)), ("role".into(), json!(role))]);
    if let Some(team) = &person.team {
        set.insert("team".into(), json!(team_of_name(app, team).await?));
    }
    // An address that nobody gave a name to is a name that everybody recognises.
    let name = person.name.as_deref().map_or_else(|| email.split('@').next().unwrap_or(email), str::trim);
    let of_name: Vec<Uuid> = directory
        .users()
        .filter(|(_, user)| user.email.is_none() && fold(&user.name) == fold(name))
        .map(|(id, _)| id)
        .collect();
    let (kind, record) = match of_name[..] {
        [] => {
            set.insert("name".into(), json!(name));
            (MutationKind::Create, app.entropy().uuid_v7(app.clock().now_ms()))
        }
        [one] => (MutationKind::Update, one),
        _ => {
            return Err(ApiError::new(CONFLICT).detail(format!(
                "{} users without an address are called {name:?}; give the right one its address in her record.",
                of_name.len()
            )));
        }
    };
    Ok(Change { kind, entity: "user".into(), record: RecordId(record), base: None, set, ops: Vec::new() })
}

async fn team_of_name(app: &App, name: &str) -> Result<Uuid, ApiError> {
    let snapshot = app.live().snapshot();
    let Some((_, code)) = snapshot.catalogue.entity("team") else {
        return Err(unknown("team", "The model has no teams.".into()));
    };
    let teams: Vec<(Uuid, sqlx::types::Json<Fields>)> = sqlx::query_as("SELECT id, body FROM record WHERE entity = $1")
        .bind(code)
        .fetch_all(app.db().readers())
        .await?;
    let called = |fields: &Fields| fields.get("name").and_then(|own| own.as_str()).map(fold) == Some(fold(name));
    let mut found = teams.iter().filter(|(_, fields)| called(fields));
    match (found.next(), found.next()) {
        (Some((id, _)), None) => Ok(*id),
        (None, _) => Err(unknown("team", format!("There is no team {name:?}; make it first, or leave it out."))),
        _ => Err(unknown("team", format!("Several teams are called {name:?}; rename all but one."))),
    }
}

fn unknown(field: &str, message: String) -> ApiError {
    let problem = FieldProblem { field: field.into(), code: "unknown".into(), message: message.clone() };
    ApiError::new(INVALID).detail(message).fields([problem])
}

fn accepted(decision: Decision) -> Result<(), ApiError> {
    match (decision.verdict, decision.reason) {
        (Verdict::Applied | Verdict::Merged, _) => Ok(()),
        (Verdict::Rejected | Verdict::Deferred, Some(reason)) => {
            let kind = match reason.code.as_str() {
                "forbidden" => NOT_PERMITTED,
                "limit-users" => LIMIT_USERS,
                _ => INVALID,
            };
            Err(ApiError::new(kind).detail(reason.message).fields(reason.fields))
        }
        (Verdict::Rejected | Verdict::Deferred, None) => Err(ApiError::new(INVALID)),
    }
}
