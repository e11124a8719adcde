//! Passwords against what is stored, and setting them.

use std::time::Duration;

use axum::http::StatusCode;
use sync_protocol::id::RecordId;
use sync_protocol::wire::FieldProblem;

use super::ClientAddress;
use super::backoff::Account;
use super::caller::password_change_required;
use super::password::PasswordError;
use crate::app::App;
use crate::platform::http::problem::{INVALID, TOO_MANY_REQUESTS, UNAVAILABLE};
use crate::platform::http::{ApiError, Kind};

/// Address or password is wrong; the answer never says which.
pub const WRONG_CREDENTIALS: Kind =
    Kind::new(StatusCode::UNAUTHORIZED, "wrong-credentials", "The e-mail address or the password is wrong.");

/// The user who signs in with that address and password.
///
/// # Errors
/// `wrong-credentials`, the same and as slowly for addresses that are nobody's; `too-many-requests` with the time to wait
/// after repeated failures on the account, or from the client's address.
pub async fn check_password(
    app: &App,
    client: ClientAddress,
    email: &str,
    password: &str,
) -> Result<RecordId, ApiError> {
    let account = Account::of(email);
    // Who has to wait takes no turn from those who need not.
    expect_patience(app, client)?;
    // Attempts are judged one after the other: those made at the same time count as well.
    let turn = app.auth().passwords.turn().await.map_err(|error| refused(app, error))?;
    expect_patience(app, client)?;
    let now_ms = app.clock().now_ms();
    let failures = account.failures(app.db(), now_ms).await?;
    if let Some(wait) = failures.wait(now_ms) {
        return Err(ApiError::new(TOO_MANY_REQUESTS)
            .detail("There were too many failed attempts to sign in with this address. Wait, then try again.")
            .retry_after(wait));
    }
    let user = who_signs_in(app, email);
    let stored = match user {
        Some(user) => stored_password(app, user).await?,
        None => None,
    };
    let is_right = turn.verify(password, stored.clone()).await.map_err(|error| refused(app, error))?;
    let Some(user) = user.filter(|_| is_right) else {
        app.auth().addresses.note_failure(client, now_ms);
        account.note_failure(app.db(), now_ms).await?;
        tracing::info!(failures = failures.count + 1, "an attempt to sign in failed");
        return Err(ApiError::new(WRONG_CREDENTIALS).detail(
            "Check both and try again; an administrator can set a new password and sees whether the user is active.",
        ));
    };
    if failures.count > 0 {
        account.forget_failures(app.db()).await?;
    }
    if stored.is_some_and(|stored| app.auth().passwords.is_outdated(&stored)) {
        let hash = turn.hash(password, app.entropy()).await.map_err(|error| refused(app, error))?;
        let mut tx = app.db().write().await?;
        sqlx::query("UPDATE credential SET password = $2 WHERE user = $1")
            .bind(user.0)
            .bind(&hash)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    Ok(user)
}

/// Checks a signed-in user's own password again.
///
/// # Errors
/// As [`check_password`].
pub async fn check_own_password(
    app: &App,
    client: ClientAddress,
    user: RecordId,
    password: &str,
) -> Result<(), ApiError> {
    let email = app.live().snapshot().directory.user(user.0).and_then(|user| user.email.clone());
    check_password(app, client, email.as_deref().unwrap_or_default(), password).await.map(drop)
}

/// Refuses who has only the password that somebody gave her.
///
/// # Errors
/// `password-change-required`.
pub async fn expect_own_password(app: &App, user: RecordId) -> Result<(), ApiError> {
    let is_given: Option<bool> = sqlx::query_scalar("SELECT is_given FROM credential WHERE user = $1")
        .bind(user.0)
        .fetch_optional(app.db().readers())
        .await?;
    let language = app.directory().user(user.0).and_then(|user| user.language);
    match is_given {
        Some(true) => Err(password_change_required(language.unwrap_or(app.config().language))),
        _ => Ok(()),
    }
}

/// Refuses an attempt from an address that has failed too often, right or wrong.
fn expect_patience(app: &App, client: ClientAddress) -> Result<(), ApiError> {
    match app.auth().addresses.wait(client, app.clock().now_ms()) {
        None => Ok(()),
        Some(wait) => Err(ApiError::new(TOO_MANY_REQUESTS)
            .detail("Too many attempts to sign in failed from your network address. Wait, then try again.")
            .retry_after(wait)),
    }
}

/// Gives a user a new password, which is her own. Her sessions are the caller's to end.
///
/// # Errors
/// `invalid` when the password is not acceptable.
pub async fn set_password(app: &App, user: RecordId, password: &str) -> Result<(), ApiError> {
    store(app, &[user], password, false).await
}

/// Gives a user a password that others know: she has to choose her own before she may do anything else.
///
/// # Errors
/// `invalid` when the password is not acceptable.
pub async fn give_password(app: &App, user: RecordId, password: &str) -> Result<(), ApiError> {
    store(app, &[user], password, true).await
}

/// Gives several users one new password, hashed once: for made-up people only, whose password is no secret.
///
/// # Errors
/// `invalid` when the password is not acceptable.
pub async fn set_shared_password(app: &App, users: &[RecordId], password: &str) -> Result<(), ApiError> {
    store(app, users, password, false).await
}

/// Refuses a password that could not be set, before anything else is done.
///
/// # Errors
/// `invalid`.
pub fn accept_password(app: &App, password: &str) -> Result<(), ApiError> {
    app.auth().passwords.accept(password).map_err(|error| refused(app, error))
}

fn who_signs_in(app: &App, email: &str) -> Option<RecordId> {
    let snapshot = app.live().snapshot();
    let (user, _) = snapshot.directory.user_by_email(email)?;
    snapshot.rights_of(user).map(|_| RecordId(user))
}

async fn stored_password(app: &App, user: RecordId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT password FROM credential WHERE user = $1")
        .bind(user.0)
        .fetch_optional(app.db().readers())
        .await
}

async fn store(app: &App, users: &[RecordId], password: &str, is_given: bool) -> Result<(), ApiError> {
    accept_password(app, password)?;
    let turn = app.auth().passwords.turn().await.map_err(|error| refused(app, error))?;
    let hash = turn.hash(password, app.entropy()).await.map_err(|error| refused(app, error))?;
    let mut tx = app.db().write().await?;
    for user in users {
        sqlx::query(
            "INSERT INTO credential (user, password, changed_ms, is_given) VALUES ($1, $2, $3, $4)
             ON CONFLICT (user) DO UPDATE
             SET password = excluded.password, changed_ms = excluded.changed_ms, is_given = excluded.is_given",
        )
        .bind(user.0)
        .bind(&hash)
        .bind(app.clock().now_ms())
        .bind(is_given)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

fn refused(app: &App, error: PasswordError) -> ApiError {
    match error {
        PasswordError::Busy => ApiError::new(UNAVAILABLE)
            .detail("Too many people are signing in at this moment; try again shortly.")
            .retry_after(app.entropy().spread(Duration::from_secs(5))),
        PasswordError::TooShort { .. } | PasswordError::TooLong => {
            let problem =
                FieldProblem { field: "password".into(), code: "length".into(), message: format!("{error}.") };
            ApiError::new(INVALID).detail(format!("{error}; choose another.")).fields([problem])
        }
        PasswordError::Hash(_) => ApiError::internal(error),
    }
}
