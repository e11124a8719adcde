use std::path::PathBuf;

use crm::model::{Label, Language};
use crm::rules::Finding;
use sync_protocol::wire::{FieldProblem, Problem};

use crate::message::say;
use crate::storage::StorageError;
use crate::transport::TransportError;

/// Why a device did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The folder is no device yet.
    #[error("{} is not enrolled", home.display())]
    NotEnrolled {
        /// The folder.
        home: PathBuf,
    },
    /// The folder is a device already.
    #[error("{} is the device of {email} at {server} already", home.display())]
    AlreadyEnrolled {
        /// The folder.
        home: PathBuf,
        /// Its user.
        email: String,
        /// Its server.
        server: String,
    },
    /// The device has no model before its first sync.
    #[error("the device has not synced yet")]
    NeverSynced,
    /// The device's file could not be read or written.
    #[error("the device's data could not be read or written")]
    Storage(#[from] StorageError),
    /// The server gave no answer, or a refusal.
    #[error("the server did not do what was asked")]
    Transport(#[from] TransportError),
    /// The model that the server sent cannot be used.
    #[error("the model that the server sent cannot be used: {reason}")]
    Model {
        /// What is wrong with it.
        reason: String,
    },
    /// The server speaks in a way that this device does not understand.
    #[error("the server's answer does not follow the protocol: {reason}")]
    Protocol {
        /// What is wrong with it.
        reason: String,
    },
    /// The model has no such entity, or the user may not see it.
    #[error("there is no entity {name}")]
    UnknownEntity {
        /// As it was given.
        name: String,
    },
    /// The entity has no such field, or the user may not see it.
    #[error("{entity} has no field {field}")]
    UnknownField {
        /// The entity.
        entity: String,
        /// As it was given.
        field: String,
    },
    /// The device has no such record.
    #[error("there is no {entity} {id} on this device")]
    NotFound {
        /// The entity.
        entity: String,
        /// As it was given.
        id: String,
    },
    /// The change breaks the model's rules.
    #[error("the change of {entity} breaks {} rules", findings.len())]
    Invalid {
        /// The entity.
        entity: String,
        /// What is wrong, field by field.
        findings: Vec<Finding>,
    },
    /// The user may not do that.
    #[error("the user may not do that with {entity}")]
    Forbidden {
        /// The entity.
        entity: String,
        /// What was tried.
        attempt: Label,
    },
    /// The condition is no expression that the device understands.
    #[error("{expression} is no condition: {}", reason.en)]
    Condition {
        /// As it was given.
        expression: String,
        /// What is wrong with it.
        reason: Label,
    },
    /// The arguments make no sense.
    #[error("{}", .0.en)]
    Usage(Label),
}

impl DeviceError {
    /// The problem that scripts read: a stable code and a sentence in `language`.
    #[must_use]
    pub fn problem(&self, language: Language) -> Problem {
        if let Self::Transport(TransportError::Refused { problem, .. }) = self {
            return Problem { detail: Some(self.sentence().text(language).to_owned()), ..problem.as_ref().clone() };
        }
        let (code, status, title) = self.class();
        Problem {
            kind: format!("urn:cartera:problem:{code}"),
            code: code.to_owned(),
            title: title.to_owned(),
            status,
            detail: Some(self.sentence().text(language).to_owned()),
            fields: self.fields(language),
            extra: serde_json::Map::new(),
        }
    }

    fn class(&self) -> (&'static str, u16, &'static str) {
        match self {
            Self::NotEnrolled { .. } => ("not-enrolled", 409, "The folder is no device yet."),
            Self::AlreadyEnrolled { .. } => ("already-enrolled", 409, "The folder is a device already."),
            Self::NeverSynced => ("never-synced", 409, "The device has not synced yet."),
            Self::Storage(StorageError::Busy { .. }) => ("busy", 503, "Another command is at work."),
            Self::Storage(StorageError::Condition { .. }) | Self::Condition { .. } => {
                ("invalid-expression", 422, "The condition cannot be understood.")
            }
            Self::Storage(_) => ("storage", 500, "The device's data could not be read or written."),
            Self::Transport(TransportError::Unreachable { .. }) => ("unreachable", 503, "The server gave no answer."),
            Self::Transport(_) => ("transport", 502, "The server could not be talked to."),
            Self::Model { .. } => ("unusable-model", 502, "The server's model cannot be used."),
            Self::Protocol { .. } => ("protocol", 502, "The server's answer does not follow the protocol."),
            Self::UnknownEntity { .. } => ("unknown-entity", 404, "There is no such entity."),
            Self::UnknownField { .. } => ("unknown-field", 422, "There is no such field."),
            Self::NotFound { .. } => ("not-found", 404, "There is no such record on the device."),
            Self::Invalid { .. } => ("invalid", 422, "The change breaks the model's rules."),
            Self::Forbidden { .. } => ("forbidden", 403, "The user may not do that."),
            Self::Usage(_) => ("usage", 400, "The arguments make no sense."),
        }
    }

    /// What happened, and what to do about it.
    #[must_use]
    pub fn sentence(&self) -> Label {
        match self {
            Self::NotEnrolled { home } => say(
                format!(
                    "{} aún no es un dispositivo; da de alta uno con: cartera-device --home {0} enrol URL --user CORREO.",
                    home.display()
                ),
                format!(
                    "{} is not a device yet; make it one with: cartera-device --home {0} enrol URL --user EMAIL.",
                    home.display()
                ),
            ),
            Self::AlreadyEnrolled { home, email, server } => say(
                format!("{} ya es un dispositivo de {email} en {server}; elige otra carpeta.", home.display()),
                format!("{} is a device of {email} at {server} already; choose another folder.", home.display()),
            ),
            Self::NeverSynced => say(
                "El dispositivo aún no se ha sincronizado; hazlo con: cartera-device sync.",
                "The device has not synced yet; do so with: cartera-device sync.",
            ),
            Self::Storage(error) => error.sentence(),
            Self::Transport(error) => transport_sentence(error),
            Self::Model { reason } => say(
                format!(
                    "El modelo que envía el servidor no se puede usar: actualiza cartera-device. En inglés: «{reason}»."
                ),
                format!("The model that the server sends cannot be used: {reason}. Upgrade cartera-device."),
            ),
            Self::Protocol { reason } => say(
                format!(
                    "La respuesta del servidor no sigue el protocolo: actualiza cartera-device. En inglés: «{reason}»."
                ),
                format!("The server's answer does not follow the protocol: {reason}. Upgrade cartera-device."),
            ),
            Self::UnknownEntity { name } => say(
                format!("No hay ninguna entidad «{name}» que puedas ver."),
                format!("There is no entity “{name}” that you may see."),
            ),
            Self::UnknownField { entity, field } => say(
                format!("{entity} no tiene ningún campo «{field}» que puedas ver."),
                format!("{entity} has no field “{field}” that you may see."),
            ),
            Self::NotFound { entity, id } => say(
                format!("En este dispositivo no hay ningún registro {id} de {entity}; quizá haga falta sincronizar."),
                format!("There is no record {id} of {entity} on this device; it may need a sync."),
            ),
            Self::Invalid { findings, .. } => {
                Label { es: join(findings, Language::Es), en: join(findings, Language::En) }
            }
            Self::Forbidden { attempt, .. } => attempt.clone(),
            Self::Condition { expression, reason } => say(
                format!("«{expression}» no sirve de condición: {}.", reason.es),
                format!("“{expression}” is no condition: {}.", reason.en),
            ),
            Self::Usage(sentence) => sentence.clone(),
        }
    }

    fn fields(&self, language: Language) -> Vec<FieldProblem> {
        match self {
            Self::Invalid { findings, .. } => findings.iter().map(|finding| field_problem(finding, language)).collect(),
            _ => Vec::new(),
        }
    }
}

/// A finding as it goes on the wire, in one language.
#[must_use]
pub fn field_problem(finding: &Finding, language: Language) -> FieldProblem {
    FieldProblem {
        field: finding.field.clone(),
        code: finding.code.to_owned(),
        message: finding.message.text(language).to_owned(),
    }
}

fn join(findings: &[Finding], language: Language) -> String {
    let sentences: Vec<&str> = findings.iter().map(|finding| finding.message.text(language)).collect();
    sentences.join(" ")
}

fn transport_sentence(error: &TransportError) -> Label {
    match error {
        TransportError::Address { address, reason } => say(
            format!("«{address}» no es la dirección de un servidor: {reason}."),
            format!("“{address}” is not the address of a server: {reason}."),
        ),
        TransportError::Certificates { file, reason } => say(
            format!("Los certificados de {file} no se pueden usar: {reason}."),
            format!("The certificates in {file} cannot be used: {reason}."),
        ),
        TransportError::Unreachable { url, source } => say(
            format!("{url} no responde ({source}); lo hecho aquí queda guardado: sincroniza de nuevo cuando haya red."),
            format!(
                "{url} does not answer ({source}); what was done here is kept: sync again when there is a network."
            ),
        ),
        TransportError::Refused { problem, .. } => {
            let detail = problem.detail.as_deref().unwrap_or(&problem.title);
            if error.is_unauthorised() {
                return say(
                    format!(
                        "{detail} Da de alta otra vez el dispositivo, con la misma URL y el mismo correo: lo hecho aquí se conserva."
                    ),
                    format!(
                        "{detail} Enrol the device again, with the same URL and e-mail address: what was done here is kept."
                    ),
                );
            }
            say(detail, detail)
        }
        TransportError::Unintelligible { url, reason } => say(
            format!("La respuesta de {url} no se entiende: {reason}."),
            format!("The answer of {url} cannot be read: {reason}."),
        ),
    }
}
