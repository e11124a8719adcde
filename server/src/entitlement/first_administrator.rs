//! The first administrator: made of two files while nobody can sign in, for nobody could add her.

use std::io;
use std::path::Path;

use anyhow::Context;
use crm::Fields;
use serde_json::json;
use sync_protocol::id::RecordId;
use sync_protocol::wire::MutationKind;
use uuid::Uuid;

use crate::app::App;
use crate::platform::auth::{Caller, accept_password, give_password};
use crate::platform::http::ApiError;
use crate::record::write::Change;
use crate::user::rights::OPERATOR_ROLE;

/// Makes an administrator of the files `email` and `password`, where both say something and nobody can sign in. What was
/// cut off half-way goes on with the next look: she can sign in once the password is stored, which comes last.
pub(super) async fn make_where_nobody_signs_in(app: &App, folder: &Path) -> anyhow::Result<()> {
    let email = read(&folder.join("email"))?.to_lowercase();
    let password = read(&folder.join("password"))?;
    if email.is_empty() || password.is_empty() || somebody_signs_in(app).await? {
        return Ok(());
    }
    accept_password(app, &password).map_err(said)?;
    let user = make_administrator(app, &email).await?;
    give_password(app, user, &password).await.map_err(said)?;
    tracing::info!(user.id = %user, "the first administrator was made; she chooses a password when she signs in");
    Ok(())
}

/// What the file holds; nothing where there is none.
fn read(path: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
    }
}

async fn somebody_signs_in(app: &App) -> Result<bool, sqlx::Error> {
    let with_password: Vec<Uuid> =
        sqlx::query_scalar("SELECT user FROM credential").fetch_all(app.db().readers()).await?;
    let directory = app.directory();
    Ok(with_password.into_iter().any(|user| directory.may_sign_in(user)))
}

/// The user record of that address, made an administrator's; a new one where there is none.
async fn make_administrator(app: &App, email: &str) -> anyhow::Result<RecordId> {
    let directory = app.directory();
    let role = directory.role_by_key(OPERATOR_ROLE).context("there is no role of administrators")?;
    let mut set = Fields::from([("role".into(), json!(role)), ("active".into(), json!(true))]);
    let (kind, record) = if let Some((user, _)) = directory.user_by_email(email) {
        (MutationKind::Update, RecordId(user))
    } else {
        // Her name is not known: she is called by her address until she says it.
        set.extend([("email".into(), json!(email)), ("name".into(), json!(email))]);
        (MutationKind::Create, RecordId(app.entropy().uuid_v7(app.clock().now_ms())))
    };
    let change = Change { kind, entity: "user".into(), record, base: None, set, ops: Vec::new() };
    for decision in app.writer().write(Caller::operator(app).author(), vec![change], true).await? {
        if let (true, Some(reason)) = (decision.is_rejected(), decision.reason) {
            anyhow::bail!("her record was refused: {} {:?}", reason.message, reason.fields);
        }
    }
    Ok(record)
}

/// A problem as an error for the log.
fn said(problem: ApiError) -> anyhow::Error {
    let cause = problem.cause_chain();
    let problem = problem.into_problem();
    anyhow::anyhow!("{}", cause.or(problem.detail).unwrap_or(problem.title))
}
