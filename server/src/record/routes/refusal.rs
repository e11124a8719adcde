//! What did not go through, as problems in the caller's language.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use crm::model::{Label, Language};
use sync_protocol::id::Sequence;
use sync_protocol::wire::FieldProblem;

use crate::app::App;
use crate::entitlement::LIMIT_USERS;
use crate::platform::http::problem::{CONFLICT, INVALID, NOT_FOUND, NOT_PERMITTED};
use crate::platform::http::{ApiError, Kind};
use crate::record::read::ReadError;
use crate::record::write::{Decision, WriteError};

/// No such entity, or not for this role.
pub const UNKNOWN_ENTITY: Kind = Kind::new(StatusCode::NOT_FOUND, "unknown-entity", "There is no such entity.");
/// A parameter names a field that is not there, or not for this role.
pub const UNKNOWN_FIELD: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-field", "The entity has no such field.");
/// A filter that is not an expression over the entity's fields.
pub const INVALID_EXPRESSION: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-expression", "The expression is not understood.");
/// A parameter out of its bounds.
pub const INVALID_PARAMETER: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-parameter", "A parameter is not allowed like this.");
/// The record is not as `If-Match` says.
pub const STALE: Kind = Kind::new(StatusCode::PRECONDITION_FAILED, "conflict", CONFLICT.title);
/// A record with this id is or was there.
pub const ALREADY_EXISTS: Kind = Kind::new(StatusCode::CONFLICT, "already-exists", "There is or was such a record.");
/// Other records use it.
pub const RESTRICTED: Kind = Kind::new(StatusCode::CONFLICT, "restricted", "Other records use it.");

/// The problem of a read that was not made.
pub fn refuse(error: ReadError, language: Language) -> ApiError {
    let say = |es: String, en: String| match language {
        Language::Es => es,
        Language::En => en,
    };
    match error {
        ReadError::UnknownEntity { entity } => ApiError::new(UNKNOWN_ENTITY).detail(say(
            format!("No existe la entidad «{entity}», o tu rol no la ve. GET /api/v1/model dice las que hay."),
            format!("There is no entity \"{entity}\", or your role does not see it. GET /api/v1/model tells which there are."),
        )),
        ReadError::NotFound { entity, id } => ApiError::new(NOT_FOUND).detail(say(
            format!("No hay ningún registro {id} de «{entity}», o no es visible para ti."),
            format!("There is no {entity} {id}, or it is not visible to you."),
        )),
        ReadError::UnknownField { entity, parameter, field } => {
            let message = Label {
                es: format!("«{entity}» no tiene ningún campo «{field}». GET /api/v1/model dice los que hay."),
                en: format!("{entity} has no field \"{field}\". GET /api/v1/model tells which there are."),
            };
            about(UNKNOWN_FIELD, parameter, &field, "unknown-field", &message, language)
        }
        ReadError::UnfitField { parameter, field, reason } => {
            about(INVALID_PARAMETER, parameter, &field, "invalid", &reason, language)
        }
        ReadError::Filter { source } => {
            let refusal = ApiError::new(INVALID_EXPRESSION).fact("parameter", "where");
            let refusal = match source.position {
                Some(position) => refusal.fact("position", position),
                None => refusal,
            };
            let Label { es, en } = source.reason();
            refusal.detail(say(format!("No se entiende where: {es}."), format!("where is not understood: {en}.")))
        }
        ReadError::NoCondition => ApiError::new(INVALID_EXPRESSION).fact("parameter", "where").detail(say(
            "where no es una condición: debe ser verdadera o falsa, como stage == 'won'.".into(),
            "where is not a condition: it must be true or false, such as stage == 'won'.".into(),
        )),
        ReadError::Evaluation { reason } => {
            let reason = reason.text(language);
            ApiError::new(INVALID_EXPRESSION).fact("parameter", "where").detail(say(
                format!("where no se puede calcular para algún registro: {reason}. Exclúyelo con otra condición."),
                format!("where cannot be evaluated for some record: {reason}. Exclude it by another condition."),
            ))
        }
        ReadError::Parameter { parameter, reason } => ApiError::new(INVALID_PARAMETER)
            .fact("parameter", parameter)
            .detail(format!("{parameter}: {}.", reason.text(language))),
        ReadError::Overflow { field } => {
            let message = Label {
                es: "la suma es mayor que el mayor número posible; filtre con where".into(),
                en: "the sum is larger than the largest number there is; filter with where".into(),
            };
            about(INVALID_PARAMETER, "sum", &field, "overflow", &message, language)
        }
        ReadError::Damaged { .. } | ReadError::Database(_) => ApiError::internal(error),
    }
}

fn about(
    kind: Kind,
    parameter: &'static str,
    field: &str,
    code: &str,
    message: &Label,
    language: Language,
) -> ApiError {
    let message = message.text(language);
    ApiError::new(kind)
        .fact("parameter", parameter)
        .detail(format!("{parameter}: {field}: {message}"))
        .fields([FieldProblem { field: field.to_owned(), code: code.to_owned(), message: message.to_owned() }])
}

/// The problem of a change that was rejected.
pub fn rejected(decision: Decision) -> ApiError {
    let Some(reason) = decision.reason else { return ApiError::new(CONFLICT) };
    let kind = match reason.code.as_str() {
        "unknown-entity" => UNKNOWN_ENTITY,
        "not-found" => NOT_FOUND,
        "forbidden" => NOT_PERMITTED,
        "invalid" => INVALID,
        "already-exists" => ALREADY_EXISTS,
        "restricted" => RESTRICTED,
        "limit-users" => LIMIT_USERS,
        _ => CONFLICT,
    };
    let refusal = ApiError::new(kind).detail(reason.message).fields(reason.fields);
    if decision.seq == 0 { refusal } else { refusal.fact("seq", decision.seq) }
}

/// The problem of a record that is not as `If-Match` says.
pub fn stale(seq: Sequence, language: Language) -> ApiError {
    let detail = match language {
        Language::Es => {
            "El registro ha cambiado desde que lo leíste; no se ha hecho nada. Léelo otra vez y repite el cambio."
        }
        Language::En => "The record changed after you read it; nothing was done. Read it again and repeat the change.",
    };
    ApiError::new(STALE).detail(detail).fact("seq", seq)
}

/// After this long it is worth trying again when too much waits to be written.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// The problem of a write that could not be tried.
pub fn unwritten(app: &App, error: WriteError) -> ApiError {
    use crate::platform::http::problem::{UNAUTHENTICATED, UNAVAILABLE};
    match error {
        WriteError::NoRights => ApiError::new(UNAUTHENTICATED).cause(error),
        WriteError::Stopped => ApiError::new(UNAVAILABLE).cause(error),
        WriteError::Busy => ApiError::new(UNAVAILABLE)
            .detail(
                "More changes wait to be written than the server takes at once; nothing was done. Repeat the change.",
            )
            .retry_after(app.entropy().spread(BUSY_RETRY)),
        WriteError::Database(_) => ApiError::internal(error),
    }
}

/// The sequences that an `If-Match` or `If-None-Match` names; `None` without the header, and for `*`, which any record
/// matches. What is not one of this server's tags matches nothing.
pub fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<Sequence>> {
    let header = headers.get(name)?.to_str().unwrap_or_default();
    if header.trim() == "*" {
        return None;
    }
    Some(
        header
            .split(',')
            .filter_map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').parse().ok())
            .collect(),
    )
}
