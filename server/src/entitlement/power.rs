//! While no changes are taken, people read; the server's own work goes on.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use crm::model::Language;
use sync_protocol::wire::Reason;

use super::Power;
use crate::app::App;
use crate::platform::auth::{LocalOperator, asked_language};
use crate::platform::http::ApiError;
use crate::platform::http::problem::READ_ONLY;

/// Who is told to come again does so after this and up to twice as long.
const RETRY: Duration = Duration::from_mins(1);

/// What goes on all the same, for it changes no record: signing in and out, passwords, devices and what they are told.
const GOES_ON: [&str; 12] = [
    "/api/v1/sessions",
    "/api/v1/sessions/current",
    "/api/v1/users/{id}/password",
    "/api/v1/devices",
    "/api/v1/devices/{id}",
    "/sync/v1/hello",
    "/sync/v1/report",
    "/sync/v1/wake",
    "/sync/v1/manifest",
    "/sync/v1/chunks",
    "/sync/v1/digest",
    // Defers what it is pushed, and tells what is new.
    "/sync/v1/exchange",
];

/// Stands before every route: refuses whatever may change something, unless it is known to go on. A route that is new is
/// so refused until somebody thinks of it.
pub async fn refuse_changes(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let goes_on = request.method().is_safe() || GOES_ON.contains(&path) || is_local_operator(&request);
    if goes_on || app.entitlements().power == Power::Running {
        return next.run(request).await;
    }
    let language = asked_language(request.headers()).unwrap_or(app.config().language);
    refusal(&app, language).into_response()
}

/// Why what a device pushes is not decided for now, in its user's language, while no change is taken.
#[must_use]
pub fn reason_to_defer(app: &App, language: Language) -> Option<Reason> {
    let reason =
        || Reason { code: READ_ONLY.code.to_owned(), message: detail(language).to_owned(), fields: Vec::new() };
    (app.entitlements().power == Power::ReadOnly).then(reason)
}

fn refusal(app: &App, language: Language) -> ApiError {
    ApiError::new(READ_ONLY).detail(detail(language)).retry_after(app.entropy().spread(RETRY))
}

fn detail(language: Language) -> &'static str {
    match language {
        Language::Es => {
            "Por ahora Cartera es de solo lectura: puedes consultarlo todo, pero no se guarda ningún cambio. Lo que \
             escribas en tu dispositivo se queda en él y se enviará más tarde. Tu administrador sabe más."
        }
        Language::En => {
            "Cartera is read-only for now: you can look at everything, but no change is taken. What you write on your \
             device stays there and is sent later. Your administrator knows more."
        }
    }
}

fn is_local_operator(request: &Request) -> bool {
    request.extensions().get::<LocalOperator>().is_some() && !request.headers().contains_key(header::AUTHORIZATION)
}
