//! The caller of a request: every handler that needs one takes [`Caller`], and only this file decides who it is.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use crm::model::Language;
use sync_protocol::id::{DeviceId, RecordId};
use uuid::Uuid;

use super::TokenHash;
use crate::app::App;
use crate::platform::http::ApiError;
use crate::platform::http::problem::{NO_DEVICE, NOT_PERMITTED, PASSWORD_CHANGE_REQUIRED, UNAUTHENTICATED};
use crate::record::write::Author;
use crate::user::rights::{OPERATOR_ROLE, Rights};

/// Who is asking, and what they may do.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user record; all zeros for the operator of the machine.
    pub user: RecordId,
    /// The enrolled device that the session belongs to.
    pub device: Option<CallerDevice>,
    /// What they may do.
    pub rights: Arc<Rights>,
    /// What they read.
    pub language: Language,
    /// The session's token, hashed; the operator has none.
    pub session: Option<TokenHash>,
    /// Somebody else knows her password: she has to choose her own before anything else.
    pub has_given_password: bool,
}

/// A caller who may have no password of her own yet: for the little that she may do all the same.
#[derive(Clone, Debug)]
pub struct Newcomer(pub Caller);

/// An enrolled device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerDevice {
    /// Its identity.
    pub id: DeviceId,
    /// Its number in the database.
    pub num: i64,
}

/// Marks a request that came from the operator of this machine: over the socket in the data folder, or from within the
/// process. Network listeners never set it.
#[derive(Clone, Copy, Debug)]
pub struct LocalOperator(());

impl LocalOperator {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl Caller {
    /// The operator of the machine: an administrator who is nobody's user record.
    #[must_use]
    pub fn operator(app: &App) -> Self {
        let rights = Arc::new(Rights::of_operator(&app.live().snapshot().catalogue));
        let language = app.config().language;
        let user = RecordId(Uuid::nil());
        Self { user, device: None, rights, language, session: None, has_given_password: false }
    }

    /// Whether it is the operator of the machine.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.user.0.is_nil()
    }

    /// Whether the role is the administrator's.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.rights.viewer.role == OPERATOR_ROLE
    }

    /// Refuses everybody but administrators.
    ///
    /// # Errors
    /// `forbidden`, saying what is reserved for them.
    pub fn expect_admin(&self, what: &str) -> Result<(), ApiError> {
        if self.is_admin() {
            return Ok(());
        }
        Err(ApiError::new(NOT_PERMITTED).detail(format!("Only an administrator may {what}; ask one to do it.")))
    }

    /// Refuses who has no password of her own.
    ///
    /// # Errors
    /// `password-change-required`.
    pub fn expect_own_password(&self) -> Result<(), ApiError> {
        if self.has_given_password { Err(password_change_required(self.language)) } else { Ok(()) }
    }

    /// The enrolled device that asks.
    ///
    /// # Errors
    /// `no-device` for sessions that belong to none.
    pub fn expect_device(&self) -> Result<CallerDevice, ApiError> {
        self.device.ok_or_else(|| {
            ApiError::new(NO_DEVICE)
                .detail("Enrol this device with POST /api/v1/devices and use the token of its answer.")
        })
    }

    /// As the author of a change.
    #[must_use]
    pub fn author(&self) -> Author {
        Author {
            user: (!self.is_operator()).then_some(self.user),
            device: self.device.map_or(0, |device| device.num),
            rights: self.rights.clone(),
            language: self.language,
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Newcomer(caller) = Newcomer::from_request_parts(parts, app).await?;
        caller.expect_own_password()?;
        Ok(caller)
    }
}

impl FromRequestParts<App> for Newcomer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = authenticate(parts, app).await?;
        let span = tracing::Span::current();
        span.record("user.id", tracing::field::display(caller.user));
        if let Some(device) = caller.device {
            span.record("device.id", tracing::field::display(device.id));
        }
        Ok(Self(caller))
    }
}

/// Decides who is asking. The one place that sessions bound to a device's key will take over.
async fn authenticate(parts: &Parts, app: &App) -> Result<Caller, ApiError> {
    let asked = asked_language(&parts.headers);
    let Some(header) = parts.headers.get(header::AUTHORIZATION) else {
        return match parts.extensions.get::<LocalOperator>() {
            Some(_) => Ok(Caller { language: asked.unwrap_or(app.config().language), ..Caller::operator(app) }),
            None => Err(unauthenticated(
                "Sign in with POST /api/v1/sessions and send its token as `Authorization: Bearer`.",
            )),
        };
    };
    let token = bearer(header)
        .ok_or_else(|| unauthenticated("The header `Authorization` must be `Bearer` and the token of a session."))?;
    let hash = TokenHash::of(token);
    let session = app.auth().sessions.find(app.db(), hash, &app.config().auth, app.clock().now_ms()).await?;
    let session = session.ok_or_else(|| unauthenticated("The session has ended; sign in again."))?;
    let snapshot = app.live().snapshot();
    let rights = session
        .rights(&snapshot)
        .ok_or_else(|| unauthenticated("This user may not sign in at present; ask an administrator."))?;
    let language = asked.or_else(|| snapshot.directory.user(session.user.0)?.language);
    Ok(Caller {
        user: session.user,
        device: session.device,
        rights,
        language: language.unwrap_or(app.config().language),
        session: Some(hash),
        has_given_password: session.has_given_password,
    })
}

/// The first language of `Accept-Language` that we speak: what the app shows at this moment says more than the record.
#[must_use]
pub fn asked_language(headers: &HeaderMap) -> Option<Language> {
    let named = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    named.split(',').find_map(|tag| match tag.split(['-', ';']).next()?.trim().to_ascii_lowercase().as_str() {
        "es" => Some(Language::Es),
        "en" => Some(Language::En),
        _ => None,
    })
}

/// The token of the header `Authorization`.
#[must_use]
pub fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then_some(token.trim())
}

/// The problem of who has only the password that somebody gave her.
pub(super) fn password_change_required(language: Language) -> ApiError {
    ApiError::new(PASSWORD_CHANGE_REQUIRED).detail(match language {
        Language::Es => {
            "Tu contraseña la conoce quien te la dio. Entra con el navegador, elige una que solo tú conozcas, y \
             vuelve a intentarlo."
        }
        Language::En => {
            "Your password is known to whoever gave it to you. Sign in with a browser, choose one that only you know, \
             and try again."
        }
    })
}

fn unauthenticated(detail: &str) -> ApiError {
    ApiError::new(UNAUTHENTICATED)
        .detail(detail)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"cartera\""))
}
