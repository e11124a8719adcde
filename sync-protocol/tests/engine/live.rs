//! What comes over the live stream.

use sync_protocol::store::Names;

use super::*;

fn delta(from: &str, cursor: &str, head: u64, operations: &Value) -> Input {
    Input::Live(LiveEvent::Delta(Box::new(Delta {
        from: from.to_owned(),
        cursor: cursor.to_owned(),
        head,
        operations: to_raw_value(operations).expect("JSON"),
    })))
}

fn poke(head: u64) -> Input {
    Input::Live(LiveEvent::Poke(Poke { head }))
}

#[test]
fn a_delta_at_the_devices_cursor_needs_no_exchange() {
    let mut host = in_step();
    host.give(delta("c1", "c2", 10, &json!([put(2, 10, "Eva")])));
    assert_eq!(host.store.view(record(2)).expect("seen").fields, fields("name", "Eva"));
    assert_eq!(host.store.saved().position.cursor.as_deref(), Some("c2"));
    assert!(host.take_request().is_none());
    host.give(delta("c1", "c2", 10, &json!([put(2, 10, "Eva")])));
    host.give(poke(10));
    assert!(host.take_request().is_none(), "what comes twice, and a poke for what is known, are no news");
    host.give(poke(11));
    assert_eq!(host.take_request().expect("that is").1.cursor.as_deref(), Some("c2"));
}

#[test]
fn a_delta_from_elsewhere_is_a_poke() {
    let mut host = in_step();
    host.give(delta("c7", "c8", 10, &json!([put(2, 10, "Eva")])));
    assert!(host.store.view(record(2)).is_none());
    assert_eq!(host.take_request().expect("exchanged instead").1.cursor.as_deref(), Some("c1"));
}

#[test]
fn a_delta_that_comes_during_an_exchange_waits_for_its_answer() {
    let mut host = in_step();
    host.give(Input::SyncRequested);
    host.give(delta("c1", "c2", 12, &json!([put(2, 12, "Eva")])));
    assert!(host.store.view(record(2)).is_none(), "the answer goes on from the cursor that was sent");
    host.answer(response(Vec::new(), &json!([]), "c3", false));
    assert_eq!(host.take_request().expect("its head is beyond the answer's").1.cursor.as_deref(), Some("c3"));
}

#[test]
fn a_poke_during_an_exchange_counts_unless_the_answer_has_it() {
    let mut host = in_step();
    host.give(Input::SyncRequested);
    host.give(poke(9));
    host.respond(Vec::new(), &[]);
    assert!(host.take_request().is_none(), "the answer's head is 9");
    host.give(Input::SyncRequested);
    host.give(poke(10));
    host.respond(Vec::new(), &[]);
    host.respond(Vec::new(), &[]);
    assert!(host.take_request().is_none(), "once asked, whatever the head is");
}

#[test]
fn a_delta_while_pages_are_staged_is_a_poke() {
    let mut host = Host::new();
    host.give(Input::Start);
    host.answer(response(Vec::new(), &json!([put(1, 5, "Ana")]), "page-1", true));
    let (exchange, _) = host.take_request().expect("the rest is asked for");
    host.give(Input::Answered { exchange, answer: Answer::Failed });
    host.give(delta("page-1", "c2", 12, &json!([put(2, 12, "Eva")])));
    assert_eq!(host.store.saved().position.staged_cursor.as_deref(), Some("page-1"));
    assert!(host.store.view(record(2)).is_none());
}

#[test]
fn a_delta_that_cannot_be_read_or_applied_is_left_to_the_exchange() {
    let (entity, id, set) = ("thing".to_owned(), record(77), fields("name", "Zoe"));
    let partial = Operation::Put { entity, id, seq: 12, scopes: vec![1], partial: true, set };
    for operations in [json!([{"op": "transmute"}]), json!([partial])] {
        let mut host = in_step();
        host.give(delta("c1", "c2", 12, &operations));
        assert_eq!(host.take_request().expect("exchanged instead").1.cursor.as_deref(), Some("c1"));
    }
}

#[test]
fn orders_are_obeyed_and_unknown_ones_skipped() {
    let mut host = in_step();
    host.give(Input::ModelStored { hash: "m1".to_owned(), names: Names::default() });
    let order = |text: &str| {
        let event = LiveEvent::read("order", text).expect("it is readable").expect("it is known");
        Input::Live(event)
    };
    host.give(order(r#"{"order":"upgrade","model":"m1"}"#));
    host.give(order(r#"{"order":"sing","song":"…"}"#));
    assert!(host.take_request().is_none(), "it has that model");
    host.give(order(r#"{"order":"upgrade","model":"m2"}"#));
    host.respond(Vec::new(), &[]);
    host.give(order(r#"{"order":"signed-out"}"#));
    assert_eq!(host.phase(), Phase::NeedsAttention);
    host.edit(vec![update(1, "Eva")]);
    assert!(host.take_request().is_none(), "it stops until somebody signs in");
    assert_eq!(host.engine.state().waiting, 1, "and keeps everything");
}

#[test]
fn news_are_fetched_while_a_mutation_is_deferred_and_the_person_sees_why_it_waits() {
    let mut host = in_step();
    host.edit(vec![update(1, "Eva")]);
    let reason = Reason { code: "read-only".to_owned(), message: "…".to_owned(), fields: Vec::new() };
    let deferred = Outcome { reason: Some(reason), ..outcome(1, Verdict::Deferred, 0, Fields::new()) };
    host.respond(vec![deferred], &[put(2, 7, "Ana")]);
    assert!(host.store.view(record(2)).is_some(), "what came with the answer is here");
    assert_eq!(host.engine.state().problem.expect("it is told").code, "read-only");
    let pause_ends = host.wake_at().expect("it asks to be woken");

    host.give(poke(10));
    let news = host.respond(Vec::new(), &[put(3, 10, "Zoe")]);
    assert_eq!(news.mutations, [], "what is deferred waits");
    assert!(host.store.view(record(3)).is_some());
    assert_eq!(host.engine.state().problem.expect("it still waits").code, "read-only");

    host.now_ms = pause_ends;
    host.give(Input::Tick);
    let again = host.respond(vec![outcome(1, Verdict::Applied, 11, Fields::new())], &[]);
    assert_eq!(again.mutations[0].id, 1);
    assert_eq!((host.phase(), host.engine.state().problem), (Phase::InStep, None));
}

#[test]
fn what_was_deferred_is_sent_at_once_when_the_server_misses_it() {
    let mut host = in_step();
    host.edit(vec![update(1, "Eva")]);
    host.respond(vec![outcome(1, Verdict::Deferred, 0, Fields::new())], &[]);
    host.edit(vec![update(1, "Eve")]);
    let mut gap = problem("mutation-gap", 409, None);
    let Answer::Problem { problem, .. } = &mut gap else { unreachable!("a problem") };
    problem.extra.insert("expected".to_owned(), json!(1));
    let alone = host.answer(gap);
    assert_eq!(alone.mutations.iter().map(|sent| sent.id).collect::<Vec<_>>(), [2]);
    let both = host.take_request().expect("at once").1;
    assert_eq!(both.mutations.iter().map(|sent| sent.id).collect::<Vec<_>>(), [1, 2]);
}
