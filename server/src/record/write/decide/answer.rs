//! Refusals, and the sentences that tell a person why and what to do.

use crm::model::{Entity, Label, Language};
use crm::rules::Finding;
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::wire::{FieldProblem, Reason, Verdict};

use crate::record::write::Decision;

/// Why a change is not made.
#[derive(Clone, Debug)]
pub struct Refusal {
    code: &'static str,
    message: Label,
    fields: Vec<Finding>,
    server: crm::Fields,
}

impl Refusal {
    fn new(code: &'static str, es: String, en: String) -> Self {
        Self { code, message: Label { es, en }, fields: Vec::new(), server: crm::Fields::new() }
    }

    pub(super) fn unknown_entity(name: &str) -> Self {
        Self::new(
            "unknown-entity",
            format!("No existe «{name}», o tu rol no lo ve. Actualiza la aplicación o pide acceso."),
            format!("There is no \"{name}\", or your role does not see it. Update the app or ask for access."),
        )
    }

    pub(super) fn not_found(entity: &Entity) -> Self {
        let (es, en) = (entity.labels.one(Language::Es), entity.labels.one(Language::En));
        Self::new(
            "not-found",
            format!("{es}: el registro no existe, se ha eliminado o ya no es visible para ti."),
            format!("{en}: the record does not exist, was deleted, or is no longer visible to you."),
        )
    }

    pub(super) fn already_exists(entity: &Entity) -> Self {
        let (es, en) = (entity.labels.one(Language::Es), entity.labels.one(Language::En));
        Self::new(
            "already-exists",
            format!("{es}: ya hay o hubo un registro con este identificador. Créalo de nuevo con otro."),
            format!("{en}: there is or was a record with this id. Create it again with another one."),
        )
    }

    pub(super) fn forbidden(entity: &Entity, doing: (&str, &str)) -> Self {
        let (es, en) = (entity.labels.many(Language::Es), entity.labels.many(Language::En));
        Self::new(
            "forbidden",
            format!(
                "Tu rol no permite {} este registro de {es}. Pídeselo a quien lo lleva o a tu responsable.",
                doing.0
            ),
            format!("Your role does not let you {} this record of {en}. Ask its owner or your manager.", doing.1),
        )
    }

    pub(super) fn invalid(fields: Vec<Finding>) -> Self {
        let first = fields
            .first()
            .map_or_else(|| Label { es: String::new(), en: String::new() }, |finding| finding.message.clone());
        Self { code: "invalid", message: first, fields, server: crm::Fields::new() }
    }

    pub(super) fn forbidden_fields(fields: Vec<Finding>) -> Self {
        Self { code: "forbidden", ..Self::invalid(fields) }
    }

    pub(super) fn conflict(fields: Vec<Finding>, server: crm::Fields) -> Self {
        let refusal = Self::new(
            "conflict",
            "Otra persona cambió esto antes de que llegara tu cambio. Mira el valor actual y decide de nuevo.".into(),
            "Somebody else changed this before your change arrived. Look at the current value and decide again.".into(),
        );
        Self { fields, server, ..refusal }
    }

    pub(super) fn changed_since(entity: &Entity) -> Self {
        let (es, en) = (entity.labels.one(Language::Es), entity.labels.one(Language::En));
        Self::new(
            "conflict",
            format!("{es}: otra persona lo ha cambiado desde que lo viste. Míralo otra vez antes de eliminarlo."),
            format!("{en}: somebody changed it after you saw it. Look at it again before you delete it."),
        )
    }

    pub(super) fn restricted(entity: &Entity, by: &Entity, count: usize) -> Self {
        let (es, en) = (entity.labels.one(Language::Es), entity.labels.one(Language::En));
        let (by_es, by_en) = (by.labels.many(Language::Es), by.labels.many(Language::En));
        Self::new(
            "restricted",
            format!(
                "{es}: no se puede eliminar porque lo usan {count} registros ({by_es}). Cámbialos o elimínalos antes."
            ),
            format!("{en}: cannot be deleted because {count} records use it ({by_en}). Change or delete those first."),
        )
    }

    pub(super) fn limit_users(limit: usize) -> Self {
        Self::new(
            "limit-users",
            format!(
                "Tu empresa tiene contratados {limit} usuarios y ya están todos. Desactiva a quien ya no entra, o pide \
                 más a quien os lleva Cartera."
            ),
            format!(
                "Your company has a plan for {limit} users, and there are as many. Deactivate somebody who no longer \
                 signs in, or ask whoever runs Cartera for you for more."
            ),
        )
    }

    pub(super) fn group() -> Self {
        Self::new(
            "group-rejected",
            "No se ha hecho porque otro cambio del mismo grupo fue rechazado. Corrige aquel y repite.".into(),
            "Not done because another change of the same group was rejected. Correct that one and repeat.".into(),
        )
    }

    /// The change that this one builds on was rejected.
    #[must_use]
    pub fn dependency() -> Self {
        Self::new(
            "dependency-rejected",
            "No se ha hecho porque el cambio del que depende fue rechazado. Corrige aquel y repite.".into(),
            "Not done because the change that it depends on was rejected. Correct that one and repeat.".into(),
        )
    }

    /// The decision that tells it.
    #[must_use]
    pub fn into_decision(self, record: RecordId, seq: Sequence, language: Language) -> Decision {
        let fields = self.fields.iter().map(|finding| field_problem(finding, language)).collect();
        let message = self.message.text(language).to_owned();
        Decision {
            record,
            verdict: Verdict::Rejected,
            seq,
            reason: Some(Reason { code: self.code.into(), message, fields }),
            warnings: Vec::new(),
            server: self.server,
        }
    }
}

/// A finding in the author's language.
pub(super) fn field_problem(finding: &Finding, language: Language) -> FieldProblem {
    FieldProblem {
        field: finding.field.clone(),
        code: finding.code.into(),
        message: finding.message.text(language).to_owned(),
    }
}

/// The code of a field, and of the reason, where a value came too late for its field.
const FIELD_REMOVED: &str = "field-removed";

/// Why a change was made only in part.
pub(super) fn merged(lost: &[Finding], language: Language) -> Reason {
    let is_removed = |finding: &&Finding| finding.code == FIELD_REMOVED;
    let (code, message) = match lost.iter().find(is_removed) {
        Some(removed) if lost.iter().all(|finding| is_removed(&finding)) => (FIELD_REMOVED, removed.message.clone()),
        _ => (
            "conflict",
            Label {
                es: "Otra persona cambió los mismos campos antes: su valor queda y el tuyo está en el historial."
                    .into(),
                en: "Somebody else changed the same fields first: their value stands and yours is in the history."
                    .into(),
            },
        ),
    };
    Reason {
        code: code.into(),
        message: message.text(language).to_owned(),
        fields: lost.iter().map(|finding| field_problem(finding, language)).collect(),
    }
}

/// The finding of one field that lost to, or was stopped by, an earlier change.
pub(super) fn conflicting(field: &crm::model::Field) -> Finding {
    let (es, en) = (&field.labels.es, &field.labels.en);
    Finding {
        field: field.name.clone(),
        code: "conflict",
        message: Label {
            es: format!("{es}: otra persona lo cambió antes."),
            en: format!("{en}: somebody else changed it first."),
        },
    }
}

/// The finding of a field that the author may not write, or that does not exist for her.
pub(super) fn not_writable(field: &str) -> Finding {
    Finding {
        field: field.to_owned(),
        code: "forbidden",
        message: Label {
            es: format!("«{field}» lo calcula el servidor: no se envía."),
            en: format!("\"{field}\" is set by the server: it is not sent."),
        },
    }
}

/// The finding of a field that the model, or the author's part of it, does not have.
pub(super) fn unknown_field(entity: &Entity, field: &str) -> Finding {
    let (es, en) = (entity.labels.one(Language::Es), entity.labels.one(Language::En));
    Finding {
        field: field.to_owned(),
        code: "unknown-field",
        message: Label {
            es: format!("{es} no tiene ningún campo «{field}». Actualiza el modelo o corrige el nombre."),
            en: format!("{en} has no field \"{field}\". Update the model or correct the name."),
        },
    }
}

/// The finding of a field that the model no longer has.
pub(super) fn no_longer_there(entity: &Entity, field: &str) -> Finding {
    let (es, en) = (entity.labels.one(Language::Es), entity.labels.one(Language::En));
    Finding {
        field: field.to_owned(),
        code: FIELD_REMOVED,
        message: Label {
            es: format!(
                "{es} ya no tiene el campo «{field}». Lo que escribiste está en el historial: pásalo a otro campo."
            ),
            en: format!(
                "{en} no longer has the field \"{field}\". What you wrote is in the history: put it into another field."
            ),
        },
    }
}

/// The finding of a link to a record that is not there for the author.
pub(super) fn missing_target(field: &crm::model::Field) -> Finding {
    let (es, en) = (&field.labels.es, &field.labels.en);
    Finding {
        field: field.name.clone(),
        code: "not-found",
        message: Label {
            es: format!("{es}: el registro enlazado no existe o no es visible para ti. Elige otro."),
            en: format!("{en}: the linked record does not exist or is not visible to you. Choose another."),
        },
    }
}

/// The finding of a share with somebody who may not sign in.
pub(super) fn inactive_user(field: &crm::model::Field) -> Finding {
    let (es, en) = (&field.labels.es, &field.labels.en);
    Finding {
        field: field.name.clone(),
        code: "inactive",
        message: Label {
            es: format!("{es}: esa persona ya no está activa y no lo vería. Elige otra, o un equipo."),
            en: format!("{en}: this person is no longer active and would not see it. Choose another, or a team."),
        },
    }
}

/// The finding of a value that another record holds.
pub(super) fn not_unique(field: &crm::model::Field) -> Finding {
    let (es, en) = (&field.labels.es, &field.labels.en);
    Finding {
        field: field.name.clone(),
        code: "not-unique",
        message: Label {
            es: format!("{es}: otro registro ya tiene este valor. Usa aquel o escribe otro valor."),
            en: format!("{en}: another record has this value already. Use that one or enter another value."),
        },
    }
}
