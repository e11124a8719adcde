//! What the representatives did with their customers, and what they have planned.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use sync_protocol::id::RecordId;

use super::Period;
use super::calendar::{Day, date_text, instant, is_working};
use super::chance::{Chance, record_id};
use super::customers::Customer;
use super::deals::Deal;
use super::staff::{Representative, Staff};
use super::story::{Story, made};

/// How far ahead people plan, in days.
const AHEAD: Day = 14;
/// Visits and calls that a representative makes in a day beside those that her deals bring.
const ROUTINE_PER_DAY: u32 = 3;

/// What happens outside of deals: kind, subject, notes and outcome.
#[rustfmt::skip]
const ROUTINE: &[(&str, &str, &str, &str)] = &[
    ("visit", "Visita de seguimiento", "Todo en marcha; piden precio de un segundo equipo para la temporada.", "positive"),
    ("visit", "Visita de seguimiento", "Sin novedades. Volver el mes que viene.", "neutral"),
    ("visit", "Visita con el servicio técnico", "Revisión de juntas y limpieza del condensador; queda funcionando.", "positive"),
    ("visit", "Visita con el servicio técnico", "El compresor pierde; presupuestar el cambio.", "negative"),
    ("visit", "Visita de presentación", "Les interesa la gama de frío; enviar catálogo.", "positive"),
    ("call", "Llamada de seguimiento", "Contentos con el equipo. Preguntan por el contrato de mantenimiento.", "positive"),
    ("call", "Llamada de seguimiento", "No estaba; volver a llamar por la tarde.", "no_answer"),
    ("call", "Consulta de recambios", "Necesitan la resistencia del horno; pasada al almacén.", "neutral"),
    ("meeting", "Reunión de planificación anual", "Dos aperturas previstas; habrá que equipar ambas cocinas.", "positive"),
    ("note", "Cambio de carta", "Abren también a mediodía: van a necesitar más frío.", "positive"),
];

/// Fills the diaries.
pub fn fill(
    story: &mut Story,
    period: Period,
    staff: &Staff,
    customers: &[Customer],
    deals: &[Deal],
    chance: &mut Chance,
) {
    let mut diary = Diary { story, period, chance, taken: BTreeMap::new() };
    for deal in deals {
        diary.along(deal, &customers[deal.customer]);
    }
    for representative in &staff.representatives {
        let own: Vec<&Customer> =
            customers.iter().filter(|customer| customer.owner == representative.person.id).collect();
        diary.routine(representative, &own);
    }
    for deal in deals.iter().filter(|deal| deal.is_open()) {
        diary.task(deal, &customers[deal.customer]);
    }
}

struct Diary<'a> {
    story: &'a mut Story,
    period: Period,
    chance: &'a mut Chance,
    /// Half hours of a person's day that are given away.
    taken: BTreeMap<(RecordId, Day), i64>,
}

/// What is about to be entered.
struct Entry<'a> {
    kind: &'a str,
    subject: String,
    about: (&'a str, RecordId),
    contact: Option<RecordId>,
    notes: Option<&'a str>,
    outcome: &'a str,
    place: Option<&'a str>,
}

impl Diary<'_> {
    /// An entry for each step of a deal.
    fn along(&mut self, deal: &Deal, customer: &Customer) {
        for step in &deal.steps {
            let (kind, what, notes, outcome) = match step.stage {
                "prospecting" => ("call", "Primer contacto", None, "positive"),
                "qualification" => {
                    ("visit", "Visita a la cocina", Some("Medidas y tomas de agua y luz, apuntadas."), "positive")
                }
                "proposal" => ("meeting", "Presentación de la propuesta", None, "neutral"),
                "negotiation" => ("call", "Condiciones de pago y entrega", None, "neutral"),
                "won" => ("meeting", "Firma del pedido", Some("Entrega en tres semanas."), "positive"),
                _ => ("note", "Oportunidad perdida", Some("Volver a intentarlo dentro de un año."), "negative"),
            };
            let entry = Entry {
                kind,
                subject: format!("{what}: {}", customer.name),
                about: ("opportunity", deal.id),
                contact: Some(deal.contact),
                notes,
                outcome,
                place: Some(customer.city.name),
            };
            self.done(customer.owner, step.day, &entry);
        }
    }

    /// Visits and calls to a representative's customers, past and to come.
    fn routine(&mut self, representative: &Representative, own: &[&Customer]) {
        let person = representative.person.id;
        for day in (self.period.first..=self.period.last + AHEAD).filter(|day| is_working(*day)) {
            for _ in 0..self.chance.random_range(0..=ROUTINE_PER_DAY + 1) {
                let Some(customer) = own.choose(self.chance).filter(|customer| customer.since <= day) else { continue };
                let (kind, what, notes, outcome) = *ROUTINE.choose(self.chance).expect("the list is not empty");
                let is_past = day <= self.period.last;
                let entry = Entry {
                    kind: if !is_past && kind == "note" { "visit" } else { kind },
                    subject: format!("{what}: {}", customer.name),
                    about: ("account", customer.id),
                    contact: customer.contacts.first().map(|contact| contact.id),
                    notes: is_past.then_some(notes),
                    outcome,
                    place: Some(customer.city.name),
                };
                if is_past {
                    self.done(person, day, &entry);
                } else {
                    self.planned(person, day, &entry);
                }
            }
        }
    }

    /// What is to be done next for an open deal; some of it is late.
    fn task(&mut self, deal: &Deal, customer: &Customer) {
        let subject = match deal.steps.last().map(|step| step.stage) {
            Some("prospecting") => "Concertar una visita",
            Some("qualification") => "Preparar la propuesta",
            Some("proposal") => "Llamar para comentar la propuesta",
            _ => "Cerrar las condiciones",
        };
        let made_on = deal.steps.last().map_or(self.period.last, |step| step.day);
        let due = (made_on + self.chance.random_range(3..20)).max(self.period.last - 10);
        let id = record_id(instant(made_on, 18, 0), self.chance);
        let fields = [
            ("subject", json!(format!("{subject}: {}", customer.name))),
            ("type", json!("task")),
            ("status", json!("planned")),
            ("about", about(("opportunity", deal.id))),
            ("due", json!(date_text(due))),
            ("priority", json!(if self.chance.random_ratio(1, 5) { "high" } else { "normal" })),
        ];
        self.story.did(made_on, customer.owner, made("activity", id, fields));
    }

    fn done(&mut self, person: RecordId, day: Day, entry: &Entry<'_>) {
        let outcome = if entry.kind == "note" { Value::Null } else { json!(entry.outcome) };
        self.enter(person, day, day, entry, [("status", json!("done")), ("outcome", outcome)]);
    }

    fn planned(&mut self, person: RecordId, day: Day, entry: &Entry<'_>) {
        let made_on = self.period.last;
        self.enter(person, made_on, day, entry, [("status", json!("planned")), ("outcome", Value::Null)]);
    }

    fn enter(
        &mut self,
        person: RecordId,
        made_on: Day,
        day: Day,
        entry: &Entry<'_>,
        state: [(&'static str, Value); 2],
    ) {
        let (start, end) = self.time(person, day, entry.kind);
        let id = record_id(instant(made_on, 18, 0), self.chance);
        let is_call = entry.kind == "call";
        let is_abroad = matches!(entry.kind, "visit" | "meeting");
        let direction = if self.chance.random_ratio(1, 4) { "incoming" } else { "outgoing" };
        let fields = [
            ("subject", json!(entry.subject)),
            ("type", json!(entry.kind)),
            ("about", about(entry.about)),
            ("start", json!(start)),
            ("end", json!(end)),
            ("direction", if is_call { json!(direction) } else { Value::Null }),
            ("location", if is_abroad { json!(entry.place) } else { Value::Null }),
            ("participants", entry.contact.map_or(Value::Null, |contact| json!([contact.to_string()]))),
            ("notes", json!(entry.notes)),
        ];
        self.story.did(made_on, person, made("activity", id, fields.into_iter().chain(state)));
    }

    /// The next free half hours of the day, from nine o'clock on.
    fn time(&mut self, person: RecordId, day: Day, kind: &str) -> (i64, i64) {
        let half_hours = match kind {
            "visit" | "meeting" => 2,
            _ => 1,
        };
        let next = self.taken.entry((person, day)).or_insert(18);
        let start = *next;
        // A full day ends at eight in the evening.
        *next = (start + half_hours).min(38);
        let at = |half_hour: i64| instant(day, half_hour / 2, half_hour % 2 * 30);
        (at(start), at(start + half_hours))
    }
}

/// A record as a link that may point to several entities holds it.
fn about((entity, record): (&str, RecordId)) -> Value {
    json!({ "entity": entity, "id": record.to_string() })
}
