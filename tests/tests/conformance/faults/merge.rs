//! Faults of how two changes of one record become one.

use serde_json::{Value, json};

use crate::proxy::Fault::{self, Answers};
use crate::proxy::{Reply, Request, Upstream, asked_otherwise, decided_otherwise, mutations, set};

pub const FAULTS: &[(&str, Fault)] = &[
    ("different-fields-merge", Answers(merge_whole_records)),
    ("own-writes-are-clean", Answers(take_own_writes_for_others)),
    ("equal-values-do-not-conflict", Answers(compare_no_values)),
    ("lww", Answers(overwrite_in_silence)),
    ("set", Answers(remove_no_member)),
    ("append", Answers(append_nothing)),
    ("counter", Answers(count_nothing)),
    ("max", Answers(never_raise)),
    ("min", Answers(never_lower)),
    ("guarded", Answers(merge_what_is_guarded)),
    ("derived", Answers(let_derived_fields_be_written)),
    ("server", Answers(let_own_fields_be_written)),
    ("a-deleted-record-takes-no-change", Answers(change_what_is_deleted)),
];

/// The fields that a mutation sets.
fn fields(mutation: &Value) -> impl Iterator<Item = (&String, &Value)> {
    mutation["set"].as_object().into_iter().flatten()
}

fn is_applied_change(mutation: &Value, outcome: &Value) -> bool {
    mutation["kind"] == "update" && outcome["verdict"] == "applied"
}

/// A change of another field of the same record is a conflict too.
fn merge_whole_records(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |mutation, outcome| {
        if !is_applied_change(mutation, outcome) {
            return;
        }
        let record = format!("a change of {}", mutation["record"]);
        let mut is_same_field = false;
        for (field, _) in fields(mutation) {
            is_same_field |= !upstream.learns(&format!("{record}, {field}"));
        }
        if fields(mutation).next().is_some() && !upstream.learns(&record) && !is_same_field {
            outcome["verdict"] = json!("merged");
        }
    })
}

fn take_own_writes_for_others(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |mutation, outcome| {
        let own = |field: &str| format!("{} set {field} of {}", request.session(), mutation["record"]);
        let is_applied = is_applied_change(mutation, outcome);
        for (field, _) in fields(mutation).filter(|_| is_applied) {
            if !upstream.learns(&own(field)) {
                outcome["verdict"] = json!("merged");
            }
        }
    })
}

fn compare_no_values(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |mutation, outcome| {
        let is_applied = is_applied_change(mutation, outcome);
        for (field, value) in fields(mutation).filter(|_| is_applied) {
            if !upstream.learns(&format!("{field} of {} is {value}", mutation["record"])) {
                outcome["verdict"] = json!("merged");
            }
        }
    })
}

fn overwrite_in_silence(upstream: &Upstream, request: &Request) -> Reply {
    decided_otherwise(upstream, request, |_, outcome| {
        if outcome["verdict"] == "merged" {
            outcome["verdict"] = json!("applied");
        }
    })
}

/// Passes mutations on without operations of one kind.
fn without_operation(upstream: &Upstream, request: &Request, forgotten: &str) -> Reply {
    asked_otherwise(upstream, request, |exchange| {
        for mutation in mutations(exchange).into_iter().flatten() {
            if let Some(operations) = mutation.get_mut("ops").and_then(Value::as_array_mut) {
                operations.retain(|operation| operation["op"] != forgotten);
            }
        }
    })
}

fn remove_no_member(upstream: &Upstream, request: &Request) -> Reply {
    without_operation(upstream, request, "remove")
}

fn append_nothing(upstream: &Upstream, request: &Request) -> Reply {
    without_operation(upstream, request, "append")
}

fn count_nothing(upstream: &Upstream, request: &Request) -> Reply {
    without_operation(upstream, request, "increment")
}

fn of_class(mutation: &Value, field: &str, class: &str) -> String {
    format!("{}.{field} is {class}", mutation["entity"].as_str().unwrap_or_default())
}

/// Where a model comes by, the classes of its fields are remembered.
fn learn_classes(upstream: &Upstream, request: &Request) {
    if !request.line.starts_with("GET /sync/v1/model/") {
        return;
    }
    let model = upstream.ask(request).json();
    for (entity, described) in model["entities"].as_object().into_iter().flatten() {
        for (field, described) in described["fields"].as_object().into_iter().flatten() {
            let class = described["merge"].as_str().unwrap_or("lww");
            upstream.learns(&of_class(&json!({"entity": entity}), field, class));
        }
    }
}

/// Passes changes on without the fields of a class.
fn without_changes(upstream: &Upstream, request: &Request, class: &str) -> Reply {
    learn_classes(upstream, request);
    asked_otherwise(upstream, request, |exchange| {
        for mutation in mutations(exchange).into_iter().flatten() {
            let whole = mutation.clone();
            if let Some(set) = set(mutation).filter(|_| whole["kind"] == "update") {
                set.retain(|field, _| !upstream.knows(&of_class(&whole, field, class)));
            }
        }
    })
}

fn never_raise(upstream: &Upstream, request: &Request) -> Reply {
    without_changes(upstream, request, "max")
}

fn never_lower(upstream: &Upstream, request: &Request) -> Reply {
    without_changes(upstream, request, "min")
}

/// Rejections with that code are none.
fn allowed(upstream: &Upstream, request: &Request, code: &str, is_meant: impl Fn(&Value) -> bool) -> Reply {
    decided_otherwise(upstream, request, |mutation, outcome| {
        if outcome["verdict"] == "rejected" && outcome["reason"]["code"] == code && is_meant(mutation) {
            outcome["verdict"] = json!("applied");
        }
    })
}

fn merge_what_is_guarded(upstream: &Upstream, request: &Request) -> Reply {
    allowed(upstream, request, "conflict", |_| true)
}

fn let_be_written(upstream: &Upstream, request: &Request, class: &str) -> Reply {
    learn_classes(upstream, request);
    allowed(upstream, request, "forbidden", |mutation| {
        fields(mutation).any(|(field, _)| upstream.knows(&of_class(mutation, field, class)))
    })
}

fn let_derived_fields_be_written(upstream: &Upstream, request: &Request) -> Reply {
    let_be_written(upstream, request, "derived")
}

fn let_own_fields_be_written(upstream: &Upstream, request: &Request) -> Reply {
    let_be_written(upstream, request, "server")
}

fn change_what_is_deleted(upstream: &Upstream, request: &Request) -> Reply {
    allowed(upstream, request, "not-found", |_| true)
}
