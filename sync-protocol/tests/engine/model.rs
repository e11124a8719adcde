//! Another model while the device is away.

use std::sync::Arc;

use sync_protocol::store::{Names, Renaming, Store as _};
use sync_protocol::wire::Order;

use super::*;

/// `name` is called `title` now, and `colour` is no more.
#[derive(Debug)]
struct Renamed;

impl Renaming for Renamed {
    fn name(&self, _entity: &str, field: &str) -> Option<String> {
        match field {
            "colour" => None,
            "name" => Some("title".to_owned()),
            other => Some(other.to_owned()),
        }
    }

    fn follow(&self, entity: &str, fields: &mut Fields) -> Fields {
        let (mut kept, mut gone) = (Fields::new(), Fields::new());
        for (field, value) in std::mem::take(fields) {
            match self.name(entity, &field) {
                Some(now) => kept.insert(now, value),
                None => gone.insert(field, value),
            };
        }
        *fields = kept;
        gone
    }
}

fn under(model: &str, outcomes: Vec<Outcome>, operations: &Value, cursor: &str) -> Answer {
    let Answer::Response(mut response) = response(outcomes, operations, cursor, false) else {
        unreachable!("it is a response")
    };
    model.clone_into(&mut response.model);
    Answer::Response(response)
}

/// A device with the model `m1`, and Ana as its record 1.
fn with_a_model() -> Host {
    in_step()
}

impl Host {
    fn wants_model(&mut self) -> Option<String> {
        let at = self.effects.iter().rposition(|effect| matches!(effect, Effect::FetchModel { .. }))?;
        match self.effects.remove(at) {
            Effect::FetchModel { hash } => Some(hash),
            other => panic!("not a model: {other:?}"),
        }
    }
}

#[test]
fn a_new_device_takes_the_model_before_anything_that_is_said_in_its_words() {
    let mut host = Host::with(MemoryStore::default(), Settings::default());
    host.give(Input::Start);
    let asked = host.answer(under("m1", Vec::new(), &json!([put(1, 5, "Ana")]), "c1"));
    assert_eq!((asked.model, asked.limit_bytes), (None, 0), "which model it is, and no more");
    assert_eq!(host.wants_model().as_deref(), Some("m1"));
    assert_eq!(host.store.bases().count(), 0);
    host.give(Input::SyncRequested);
    assert!(host.take_request().is_none(), "the model comes first");

    // Another one is in force before that one could be fetched.
    host.give(Input::ModelFailed);
    host.now_ms = host.wake_at().expect("it tries again");
    host.give(Input::Tick);
    host.answer(under("m2", Vec::new(), &json!([]), "c1"));
    assert_eq!(host.wants_model().as_deref(), Some("m2"));
    host.give(Input::ModelStored { hash: "m2".to_owned(), names: Names::default() });
    let asked = host.answer(under("m2", Vec::new(), &json!([put(1, 5, "Ana")]), "c1"));
    assert_eq!((asked.model.as_deref(), asked.cursor, asked.limit_bytes), (Some("m2"), None, 1 << 20));
    assert_eq!(host.store.bases().count(), 1);
}

#[test]
fn nothing_is_taken_in_the_words_of_a_model_that_is_not_here() {
    let mut host = with_a_model();
    host.edit(vec![update(1, "Eva")]);
    let done = outcome(1, Verdict::Applied, 9, fields("title", "EVA"));
    host.answer(under("m2", vec![done.clone()], &json!([]), "c1"));
    assert_eq!(host.wants_model().as_deref(), Some("m2"));
    assert_eq!(host.store.saved().outbox.len(), 1, "the outcome comes again");
    host.give(Input::SyncRequested);
    assert!(host.take_request().is_none(), "the model comes first");

    host.give(Input::ModelStored { hash: "m2".to_owned(), names: Names::of(Arc::new(Renamed)) });
    assert_eq!(host.store.saved().outbox[0].set, fields("title", "Eva"), "called as the new model calls it");
    assert_eq!(host.store.view(record(1)).expect("it is seen").fields, fields("title", "Eva"));
    let request = host.answer(under("m2", vec![done], &json!([]), "c1"));
    assert_eq!((request.model.as_deref(), request.mutations.len()), (Some("m2"), 1));
    assert_eq!(host.store.view(record(1)).expect("it is seen").fields, fields("title", "EVA"));
}

#[test]
fn what_may_have_to_be_offered_again_is_called_as_the_new_model_calls_it() {
    let mut host = with_a_model();
    host.edit(vec![update(1, "Eva")]);
    host.respond(vec![outcome(1, Verdict::Applied, 9, Fields::new())], &[]);
    host.give(Input::SyncRequested);
    host.answer(under("m2", Vec::new(), &json!([]), "c1"));
    host.give(Input::ModelStored { hash: "m2".to_owned(), names: Names::of(Arc::new(Renamed)) });
    let Ok(journal) = host.store.journal(1);
    assert_eq!(journal[0].mutation.set, fields("title", "Eva"));
}

#[test]
fn what_is_gone_leaves_the_base_and_stays_in_the_outbox_for_the_server_to_decide() {
    let mut host = with_a_model();
    host.edit(vec![Draft { set: fields("colour", "red"), ..update(1, "") }]);
    host.answer(under("m2", Vec::new(), &json!([]), "c1"));
    host.give(Input::ModelStored { hash: "m2".to_owned(), names: Names::of(Arc::new(Renamed)) });
    assert_eq!(host.store.saved().outbox[0].set, fields("colour", "red"));
}

#[test]
fn pages_that_are_staged_under_former_names_come_again_from_the_checkpoint() {
    let mut host = with_a_model();
    host.give(Input::SyncRequested);
    host.answer(response(Vec::new(), &json!([put(2, 6, "Eva")]), "page-1", true));
    host.answer(under("m2", Vec::new(), &json!([]), "page-1"));
    host.give(Input::ModelStored { hash: "m2".to_owned(), names: Names::of(Arc::new(Renamed)) });
    let request = host.take_request().expect("it goes on").1;
    assert_eq!(request.cursor.as_deref(), Some("c1"), "from where all was in");
    assert_eq!(host.store.view(record(1)).expect("it is seen").fields, fields("title", "Ana"));
}

#[test]
fn a_model_that_cannot_be_had_is_asked_for_again_after_a_pause() {
    let mut host = with_a_model();
    host.give(Input::SyncRequested);
    host.answer(under("m2", Vec::new(), &json!([]), "c1"));
    host.give(Input::ModelFailed);
    assert!(host.take_request().is_none(), "not at once");
    assert!(host.wake_at().is_some());
}

#[test]
fn a_model_that_cannot_be_stored_is_fetched_again_after_a_pause() {
    let mut host = Host::with(MemoryStore::default(), Settings::default());
    host.give(Input::Start);
    host.answer(under("m1", Vec::new(), &json!([]), "c1"));
    let stored = Input::ModelStored { hash: "m1".to_owned(), names: Names::default() };
    let effects = host.engine.handle(host.now_ms, stored);
    let Some(Effect::Commit { commit, .. }) = effects.first() else { panic!("it is committed") };
    host.give(Input::CommitFailed { commit: *commit, failure: CommitFailure::Storage });
    assert!(host.take_request().is_none(), "not at once");
    host.now_ms = host.wake_at().expect("it tries again");
    host.give(Input::Tick);
    assert!(host.take_request().is_some());
}

#[test]
fn after_a_restore_to_before_another_model_everything_comes_anew() {
    let mut host = with_a_model();
    host.give(Input::SyncRequested);
    host.answer(under("m0", Vec::new(), &json!([]), "c1"));
    host.give(Input::ModelStored { hash: "m0".to_owned(), names: Names::default() });
    let mut order = under("m0", Vec::new(), &json!([]), "c1");
    if let Answer::Response(response) = &mut order {
        response.mend = Some(MendReason::Epoch);
        response.more = true;
    }
    host.answer(order);
    let request = host.take_request().expect("it begins again").1;
    assert_eq!((request.cursor, host.store.saved().position.resets), (None, 1));
    assert_eq!(host.store.bases().count(), 1, "what it has is there until then");
}

#[test]
fn two_models_since_the_checkpoint_make_everything_come_anew() {
    let mut host = with_a_model();
    host.give(Input::SyncRequested);
    for model in ["m2", "m1"] {
        host.answer(under(model, Vec::new(), &json!([]), "c1"));
        host.give(Input::ModelStored { hash: model.to_owned(), names: Names::of(Arc::new(Renamed)) });
    }
    let request = host.take_request().expect("it begins again").1;
    assert_eq!((request.cursor, request.model.as_deref()), (None, Some("m1")));
    assert_eq!(host.store.bases().count(), 1, "what it has is there until then");
}

#[test]
fn a_device_that_is_too_old_takes_its_outcomes_and_nothing_else_and_starts_over_when_it_is_newer() {
    let mut host = with_a_model();
    host.edit(vec![update(1, "Eva")]);
    let mut answer = under("m9", vec![outcome(1, Verdict::Applied, 9, Fields::new())], &json!([]), "c1");
    if let Answer::Response(response) = &mut answer {
        response.orders = vec![Order::Update { protocol: 2 }];
        response.more = true;
    }
    host.answer(answer);
    let saved = host.store.saved();
    assert!(saved.outbox.is_empty(), "handed in");
    assert_eq!((saved.position.cursor, saved.position.model.as_deref()), (None, Some("m1")));
    assert_eq!(host.engine.state().problem.map(|problem| problem.code).as_deref(), Some("client-too-old"));
    assert!(host.take_request().is_none(), "asking again changes nothing");
}
