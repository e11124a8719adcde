//! What travels is frozen: a change here is a change of the protocol, and `vectors/` is what other implementations
//! test themselves against.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sync_protocol::merge::{Class, Decision, apply_operation, merge_set};
use sync_protocol::wire::{
    ExchangeRequest, ExchangeResponse, FieldOperation, FieldProblem, HelloAnswer, HelloRequest, LiveAnswer, LiveEvent,
    Mutation, Operation, Order, Outcome, Problem, Reason, Report, WakeRequest,
};

const EXCHANGES: [(&str, &str); 7] = [
    ("first-sync", include_str!("../vectors/first-sync.json")),
    ("model-change", include_str!("../vectors/model-change.json")),
    ("push-applied", include_str!("../vectors/push-applied.json")),
    ("push-merged", include_str!("../vectors/push-merged.json")),
    ("push-rejected", include_str!("../vectors/push-rejected.json")),
    ("restored", include_str!("../vectors/restored.json")),
    ("scopes", include_str!("../vectors/scopes.json")),
];

#[derive(Deserialize)]
struct ExchangeVector {
    exchanges: Vec<ExchangePair>,
}

#[derive(Deserialize)]
struct ExchangePair {
    request: Value,
    response: Value,
}

fn exchanges() -> impl Iterator<Item = (&'static str, ExchangePair)> {
    EXCHANGES.into_iter().flat_map(|(name, text)| {
        let vector: ExchangeVector = serde_json::from_str(text).expect("a vector is JSON");
        vector.exchanges.into_iter().map(move |pair| (name, pair))
    })
}

/// Reads a value as `T`, from text as a device does, and writes it again.
fn read_and_write<T: DeserializeOwned + Serialize>(value: &Value) -> Value {
    let read: T = serde_json::from_str(&value.to_string()).expect("the vector is readable");
    serde_json::to_value(read).expect("what was read can be written")
}

/// The same with keys that nobody knows in every object of the protocol's own (a record's fields are not).
fn with_unknown_keys(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let known = object.iter().map(|(key, inner)| {
                let is_data = matches!(key.as_str(), "set" | "server" | "values");
                (key.clone(), if is_data { inner.clone() } else { with_unknown_keys(inner) })
            });
            known.chain([("of_a_later_version".to_owned(), json!({"deep": [1, null]}))]).collect()
        }
        Value::Array(items) => items.iter().map(with_unknown_keys).collect(),
        other => other.clone(),
    }
}

#[test]
fn golden_exchanges_are_read_and_written_without_a_difference() {
    for (name, pair) in exchanges() {
        assert_eq!(read_and_write::<ExchangeRequest>(&pair.request), pair.request, "{name}");
        assert_eq!(read_and_write::<ExchangeResponse>(&pair.response), pair.response, "{name}");
        let operations = &pair.response["operations"];
        assert_eq!(&read_and_write::<Vec<Operation>>(operations), operations, "{name}");
    }
}

#[test]
fn golden_problems_are_read_and_written_without_a_difference() {
    let vector: Value = serde_json::from_str(include_str!("../vectors/problems.json")).expect("a vector is JSON");
    assert_eq!(read_and_write::<Vec<Problem>>(&vector["problems"]), vector["problems"]);
}

#[test]
fn golden_live_answers_are_read_and_written_without_a_difference() {
    let vector: Value = read(include_str!("../vectors/live.json"));
    assert_eq!(read_and_write::<Vec<LiveAnswer>>(&vector["answers"]), vector["answers"]);
    let strewn = with_unknown_keys(&vector["answers"]);
    let read = read_and_write::<Vec<LiveAnswer>>(&strewn);
    assert_eq!(read[1], vector["answers"][1]);
    assert_eq!(read_and_write::<Vec<Operation>>(&read[2]["delta"]["operations"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn golden_hellos_and_reports_are_read_and_written_without_a_difference() {
    let vector: Value = read(include_str!("../vectors/hello.json"));
    let alike = [
        read_and_write::<Vec<HelloRequest>>(&with_unknown_keys(&vector["requests"])) == vector["requests"],
        read_and_write::<Vec<HelloAnswer>>(&with_unknown_keys(&vector["answers"])) == vector["answers"],
        read_and_write::<Vec<Report>>(&with_unknown_keys(&vector["reports"])) == vector["reports"],
    ];
    assert_eq!(alike, [true; 3]);
}

#[test]
fn golden_subscriptions_are_read_with_what_browsers_add() {
    let vector: Value = read(include_str!("../vectors/wake.json"));
    let read: Vec<WakeRequest> = serde_json::from_value(vector["requests"].clone()).expect("subscriptions");
    assert_eq!(json!(read[1]), vector["requests"][1]);
    assert_eq!(json!(read[0].endpoint), vector["requests"][0]["endpoint"]);
}

#[test]
fn the_void_mutation_of_a_restore_is_known_to_be_one() {
    let is_void = |mutation: &Mutation| mutation.is_void();
    let request: ExchangeRequest = serde_json::from_value(
        exchanges().filter(|(name, _)| *name == "restored").nth(1).expect("the second exchange").1.request,
    )
    .expect("a request");
    assert_eq!(request.mutations.iter().map(is_void).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn the_golden_stream_says_what_its_names_and_data_say() {
    let vector: Value = read(include_str!("../vectors/live.json"));
    let lines: Vec<&str> = vector["stream"].as_array().expect("lines").iter().filter_map(Value::as_str).collect();
    let named = lines.windows(2).filter_map(|pair| Some((pair[0].strip_prefix("event: ")?, pair[1])));
    let events: Vec<LiveEvent> = named
        .filter_map(|(name, data)| {
            LiveEvent::read(name, data.strip_prefix("data: ").expect("data follow the name")).expect("it is readable")
        })
        .collect();
    let [LiveEvent::Delta(delta), LiveEvent::Poke(poke), LiveEvent::Order(upgrade), LiveEvent::Order(last)] =
        events.as_slice()
    else {
        panic!("four events: {events:?}")
    };
    assert_eq!((delta.from.as_str(), delta.cursor.as_str(), delta.head, poke.head), ("c1", "c2", 812, 900));
    assert!(lines.contains(&format!("id: {}", delta.cursor).as_str()), "the event's id is the cursor");
    assert_eq!((upgrade, last), (&Order::Upgrade { model: "m2".to_owned() }, &Order::SignedOut));
    assert!(LiveEvent::read("weather", "sunny").expect("nothing to read").is_none(), "unknown events are skipped");
}

#[test]
fn unknown_keys_are_skipped_everywhere() {
    for (name, pair) in exchanges() {
        assert_eq!(read_and_write::<ExchangeRequest>(&with_unknown_keys(&pair.request)), pair.request, "{name}");
        let response = read_and_write::<ExchangeResponse>(&with_unknown_keys(&pair.response));
        let operations = read_and_write::<Vec<Operation>>(&response["operations"]);
        assert_eq!(operations, pair.response["operations"], "{name}");
        assert_eq!(response["outcomes"], pair.response["outcomes"], "{name}");
    }
}

#[test]
fn the_least_request_has_defaults_for_the_rest() {
    let request: ExchangeRequest = serde_json::from_str(r#"{"protocol":1}"#).expect("only the version is required");
    insta::assert_compact_json_snapshot!(request, @r#"{"protocol": 1, "acknowledged": 0, "mutations": [], "limit_bytes": 1048576}"#);
}

#[test]
fn an_operation_of_an_unknown_kind_is_an_error_and_not_skipped() {
    assert!(serde_json::from_str::<Operation>(r#"{"op":"transmute","id":"x"}"#).is_err());
}

#[test]
fn every_part_of_a_message_looks_like_this() {
    let mutation: Mutation =
        read(r#"{"id":1,"kind":"delete","entity":"e","record":"01930c1e-7a10-7000-8000-00000000a001","at_ms":5}"#);
    insta::assert_compact_json_snapshot!(mutation, @r#"{"id": 1, "kind": "delete", "entity": "e", "record": "01930c1e-7a10-7000-8000-00000000a001", "base": 0, "at_ms": 5}"#);
    let increment = FieldOperation::Increment { field: "f".to_owned(), by: -3 };
    insta::assert_compact_json_snapshot!(increment, @r#"{"op": "increment", "field": "f", "by": -3}"#);
    let add = FieldOperation::Add { field: "f".to_owned(), values: vec![json!("x")] };
    insta::assert_compact_json_snapshot!(add, @r#"{"op": "add", "field": "f", "values": ["x"]}"#);
    let remove = FieldOperation::Remove { field: "f".to_owned(), values: vec![json!("x")] };
    insta::assert_compact_json_snapshot!(remove, @r#"{"op": "remove", "field": "f", "values": ["x"]}"#);
    let append = FieldOperation::Append { field: "f".to_owned(), values: vec![json!({"at": 1, "text": "x"})] };
    insta::assert_compact_json_snapshot!(append, @r#"{"op": "append", "field": "f", "values": [{"at": 1, "text": "x"}]}"#);
    let outcome: Outcome = read(r#"{"mutation":1,"verdict":"applied","seq":9}"#);
    insta::assert_compact_json_snapshot!(outcome, @r#"{"mutation": 1, "verdict": "applied", "seq": 9}"#);
    let problem = FieldProblem { field: "f".to_owned(), code: "required".to_owned(), message: "m".to_owned() };
    insta::assert_compact_json_snapshot!(problem, @r#"{"field": "f", "code": "required", "message": "m"}"#);
    let reason = Reason { code: "invalid".to_owned(), message: "m".to_owned(), fields: vec![problem] };
    insta::assert_compact_json_snapshot!(reason, @r#"{"code": "invalid", "message": "m", "fields": [{"field": "f", "code": "required", "message": "m"}]}"#);
    let scope = Operation::ScopeDrop { scope: 4 };
    insta::assert_compact_json_snapshot!(scope, @r#"{"op": "scope_drop", "scope": 4}"#);
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("it is readable")
}

#[test]
fn merge_vectors_hold() {
    let vector: BTreeMap<String, Value> = read(include_str!("../vectors/merge.json"));
    for case in vector["set"].as_array().expect("cases") {
        let class: Class = serde_json::from_value(case["class"].clone()).expect("a class");
        let decision =
            merge_set(class, case.get("current"), &case["incoming"], case["clean"].as_bool().expect("clean is given"));
        let name = match &decision {
            Decision::Take => "take",
            Decision::Same => "same",
            Decision::Keep => "keep",
            Decision::Combine(_) => "combine",
            Decision::Conflict => "conflict",
            Decision::Refuse => "refuse",
        };
        assert_eq!(name, case["decision"], "{case}");
        assert_eq!(decision.standing(case.get("current"), &case["incoming"]), case["standing"], "{case}");
    }
    for case in vector["ops"].as_array().expect("cases") {
        let class: Class = serde_json::from_value(case["class"].clone()).expect("a class");
        let operation: FieldOperation = serde_json::from_value(case["operation"].clone()).expect("an operation");
        assert_eq!(apply_operation(class, case.get("current"), &operation).as_ref(), Ok(&case["standing"]), "{case}");
    }
}
