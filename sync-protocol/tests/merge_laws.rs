//! The laws that merge classes promise.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use sync_protocol::merge::{Class, Decision, OperationError, apply_operation, is_clean, merge_set};
use sync_protocol::wire::FieldOperation;

fn classes() -> impl Strategy<Value = Class> {
    prop::sample::select(vec![
        Class::Lww,
        Class::Set,
        Class::Append,
        Class::Counter,
        Class::Max,
        Class::Min,
        Class::Derived,
        Class::Server,
        Class::Guarded,
    ])
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-5_i64..5).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        vec("[a-d]", 0..4).prop_map(Value::from),
        (0_i64..5, "[EU]").prop_map(|(minor, currency)| json!({"minor": minor, "currency": currency})),
    ]
}

fn logs() -> impl Strategy<Value = Value> {
    vec("[a-d]", 1..5).prop_map(Value::from)
}

fn tags() -> impl Strategy<Value = Vec<Value>> {
    vec("[a-f]".prop_map(Value::from), 0..4)
}

fn merged(class: Class, current: &Value, incoming: &Value) -> Value {
    merge_set(class, Some(current), incoming, false).standing(Some(current), incoming)
}

fn add(values: Vec<Value>) -> FieldOperation {
    FieldOperation::Add { field: "tags".to_owned(), values }
}

fn remove(values: Vec<Value>) -> FieldOperation {
    FieldOperation::Remove { field: "tags".to_owned(), values }
}

fn increment(by: i64) -> FieldOperation {
    FieldOperation::Increment { field: "visits".to_owned(), by }
}

fn after(class: Class, current: &Value, operations: &[&FieldOperation]) -> Value {
    operations.iter().fold(current.clone(), |value, operation| {
        apply_operation(class, Some(&value), operation).expect("an operation of the field's class")
    })
}

proptest! {
    #[test]
    fn nothing_is_dropped_in_silence(class in classes(), current in values(), incoming in values(), clean: bool) {
        let decision = merge_set(class, Some(&current), &incoming, clean);
        let standing = decision.standing(Some(&current), &incoming);
        match decision {
            Decision::Take | Decision::Same => prop_assert_eq!(standing, incoming),
            Decision::Combine(_) => {
                let (standing, incoming) = (standing.as_array().cloned(), incoming.as_array().cloned());
                let standing = standing.expect("only logs combine");
                prop_assert!(incoming.expect("only logs combine").iter().all(|entry| standing.contains(entry)));
            }
            Decision::Keep | Decision::Conflict | Decision::Refuse => {
                prop_assert!(decision.loses());
                prop_assert_eq!(standing, current);
            }
        }
    }

    #[test]
    fn a_value_sent_twice_changes_nothing_the_second_time(
        class in classes(), current in values(), incoming in values(), clean: bool,
    ) {
        let once = merge_set(class, Some(&current), &incoming, clean).standing(Some(&current), &incoming);
        let twice = merge_set(class, Some(&once), &incoming, clean).standing(Some(&once), &incoming);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn a_clean_value_stands_unless_only_the_server_writes_the_field_or_it_is_a_log(
        class in classes(), current in values(), incoming in values(),
    ) {
        prop_assume!(!matches!(class, Class::Derived | Class::Server | Class::Append));
        prop_assert_eq!(merge_set(class, Some(&current), &incoming, true).standing(Some(&current), &incoming), incoming);
    }

    #[test]
    fn max_and_min_do_not_care_who_comes_first(start: i64, a: i64, b: i64, max: bool) {
        let class = if max { Class::Max } else { Class::Min };
        let (start, a, b) = (json!(start), json!(a), json!(b));
        let there = merged(class, &merged(class, &start, &a), &b);
        let back = merged(class, &merged(class, &start, &b), &a);
        prop_assert_eq!(there, back);
    }

    #[test]
    fn a_log_never_loses_an_entry(current in logs(), incoming in logs(), clean: bool) {
        let standing = merge_set(Class::Append, Some(&current), &incoming, clean).standing(Some(&current), &incoming);
        let standing = standing.as_array().expect("a log stays a log");
        for entry in current.as_array().expect("a log").iter().chain(incoming.as_array().expect("a log")) {
            prop_assert!(standing.contains(entry));
        }
    }

    #[test]
    fn increments_commute_and_associate(start in -1000_i64..1000, a in -1000_i64..1000, b in -1000_i64..1000) {
        let start = json!(start);
        let (first, second) = (increment(a), increment(b));
        let there = after(Class::Counter, &start, &[&first, &second]);
        prop_assert_eq!(&there, &after(Class::Counter, &start, &[&second, &first]));
        prop_assert_eq!(there, after(Class::Counter, &start, &[&increment(a + b)]));
    }

    #[test]
    fn additions_and_removals_commute_among_their_kind_and_repeat_harmlessly(
        start in tags(), a in tags(), b in tags(), adding: bool,
    ) {
        let operation = if adding { add } else { remove };
        let start = after(Class::Set, &Value::Null, &[&add(start)]);
        let (first, second) = (operation(a.clone()), operation(b.clone()));
        let there = after(Class::Set, &start, &[&first, &second]);
        prop_assert_eq!(&there, &after(Class::Set, &start, &[&second, &first]));
        prop_assert_eq!(&there, &after(Class::Set, &start, &[&first, &second, &first]));
        prop_assert_eq!(there, after(Class::Set, &start, &[&operation(a.into_iter().chain(b).collect())]));
    }

    #[test]
    fn an_addition_and_a_removal_of_other_members_commute(start in tags(), a in tags(), b in tags()) {
        let b: Vec<Value> = b.into_iter().filter(|member| !a.contains(member)).collect();
        let start = after(Class::Set, &Value::Null, &[&add(start)]);
        let (added, removed) = (add(a), remove(b));
        let there = after(Class::Set, &start, &[&added, &removed]);
        prop_assert_eq!(there, after(Class::Set, &start, &[&removed, &added]));
    }

    #[test]
    fn appending_associates(start in logs(), a in tags(), b in tags()) {
        let append = |values| FieldOperation::Append { field: "journal".to_owned(), values };
        let there = after(Class::Append, &start, &[&append(a.clone()), &append(b.clone())]);
        prop_assert_eq!(there, after(Class::Append, &start, &[&append(a.into_iter().chain(b).collect())]));
    }

    #[test]
    fn operations_on_any_value_are_an_error_or_a_value_and_no_panic(
        class in classes(), current in values(), by: i64, members in tags(),
    ) {
        for operation in [increment(by), add(members.clone()), remove(members.clone())] {
            let _ = apply_operation(class, Some(&current), &operation);
        }
    }
}

#[test]
fn a_dirty_value_loses_to_the_one_that_reached_the_server_first() {
    assert_eq!(merge_set(Class::Lww, Some(&json!("Ana")), &json!("Eva"), false), Decision::Keep);
    assert_eq!(merge_set(Class::Lww, Some(&json!("Ana")), &Value::Null, false), Decision::Keep);
    assert_eq!(merge_set(Class::Lww, None, &json!("Eva"), false), Decision::Keep, "cleared by somebody meanwhile");
}

#[test]
fn two_who_say_the_same_have_no_conflict() {
    assert_eq!(merge_set(Class::Guarded, Some(&json!(5)), &json!(5), false), Decision::Same);
    assert_eq!(merge_set(Class::Guarded, Some(&json!(5)), &json!(6), false), Decision::Conflict);
    assert_eq!(merge_set(Class::Lww, None, &Value::Null, false), Decision::Same);
}

#[test]
fn amounts_compare_in_one_currency_only() {
    let euros = |minor: i64| json!({"minor": minor, "currency": "EUR"});
    let dollars = json!({"minor": 900, "currency": "USD"});
    assert_eq!(merge_set(Class::Max, Some(&euros(5)), &euros(7), false), Decision::Take);
    assert_eq!(merge_set(Class::Max, Some(&euros(5)), &euros(3), false), Decision::Keep);
    assert_eq!(merge_set(Class::Max, Some(&euros(5)), &dollars, false), Decision::Keep);
}

#[test]
fn a_change_is_clean_when_the_last_one_was_known_or_its_own() {
    assert!(is_clean(7, false, 7));
    assert!(!is_clean(8, false, 7));
    assert!(is_clean(8, true, 7));
}

#[test]
fn a_set_that_is_emptied_is_no_value() {
    let current = json!(["a"]);
    assert_eq!(apply_operation(Class::Set, Some(&current), &remove(vec![json!("a")])), Ok(Value::Null));
}

#[test]
fn an_operation_of_another_class_says_so() {
    let error = apply_operation(Class::Lww, None, &increment(1)).expect_err("a counter's operation");
    assert_eq!(
        error,
        OperationError::WrongClass { field: "visits".to_owned(), needed: Class::Counter, class: Class::Lww }
    );
    let error = apply_operation(Class::Counter, Some(&json!(i64::MAX)), &increment(1)).expect_err("too large");
    assert_eq!(error, OperationError::Overflow { field: "visits".to_owned() });
}
