use serde_json::{Value, json};
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::wire::{FieldOperation, Fields, MutationKind, Outcome, Verdict};

use crate::check::{Check, Section, Seen, Unmet, broken, ensure};
use crate::phone::Phone;
use crate::subject::{Probe, Subject};
use crate::world::{World, expect_done, expect_rejected, shown};

pub const SECTION: Section = Section {
    name: "Merge classes",
    checks: &[
        Check {
            name: "different-fields-merge",
            says: "a change of a field is clean when the field's last change has a sequence of at most `base`",
            run: different_fields_merge,
        },
        Check {
            name: "own-writes-are-clean",
            says: "a change is clean when the field's last change was made by the same device",
            run: own_writes_are_clean,
        },
        Check {
            name: "equal-values-do-not-conflict",
            says: "a value equal to the one that stands is never a conflict",
            run: equal_values_do_not_conflict,
        },
        Check {
            name: "lww",
            says: "`lww`: on an old base the server's value stands; `merged`, and `server` says what stands",
            run: lww,
        },
        Check {
            name: "set",
            says: "`set`: `add` and `remove` always apply; sets come out sorted, each member once",
            run: set,
        },
        Check { name: "append", says: "`append` always applies: no entry is removed", run: append },
        Check { name: "counter", says: "`counter`: `increment` always applies", run: counter },
        Check { name: "max", says: "`max`: the larger stands", run: max },
        Check { name: "min", says: "`min`: the smaller stands", run: min },
        Check {
            name: "guarded",
            says: "`guarded`: on an old base the whole mutation is rejected with `conflict`",
            run: guarded,
        },
        Check {
            name: "derived",
            says: "`derived`: the whole mutation is rejected with `forbidden`, clean or not",
            run: derived,
        },
        Check {
            name: "server",
            says: "`server`: the whole mutation is rejected with `forbidden`, clean or not",
            run: server,
        },
        Check {
            name: "a-deleted-record-takes-no-change",
            says: "`not-found`: a change of a record that somebody deleted",
            run: a_deleted_record_takes_no_change,
        },
    ],
};

/// One record that two devices know at the same sequence.
struct Scene {
    subject: Subject,
    first: Phone,
    second: Phone,
    record: RecordId,
    base: Sequence,
}

impl Scene {
    fn set(world: &mut World, subject: Subject, fields: &Value) -> Result<Self, Unmet> {
        let mut first = world.phone()?;
        let second = world.phone()?;
        let (record, base) = world.make_of(&subject, &mut first, fields)?;
        // The maker's own writes are clean: both who meet here are others.
        let first = world.phone()?;
        Ok(Self { subject, first, second, record, base })
    }

    fn change(&mut self, is_first: bool, set: &Value, ops: Vec<FieldOperation>) -> Result<Outcome, Unmet> {
        let Self { subject, first, second, record, base } = self;
        let phone = if is_first { first } else { second };
        let mut mutation = phone.mutation(MutationKind::Update, &subject.entity, *record, *base, set);
        mutation.ops = ops;
        phone.push_one(&mutation)
    }

    /// The record as a device that starts over is told it.
    fn fields(&self, world: &mut World) -> Result<Fields, Unmet> {
        let phone = world.phone_in_step()?;
        let told = phone.records.get(&self.record).map(|told| told.fields.clone());
        told.map_or_else(|| broken("the record is not there"), Ok)
    }
}

fn two_texts(world: &World) -> Result<(Subject, String, String), Unmet> {
    let subject = world.subject().clone();
    match &subject.texts[..] {
        [one, ..] => Ok((subject.clone(), subject.title.clone(), one.name.clone())),
        [] => Err(Unmet::Unchecked(format!("`{}` has no text beside its title", subject.entity))),
    }
}

fn different_fields_merge(world: &mut World) -> Seen {
    let (subject, title, text) = two_texts(world)?;
    let mut scene = Scene::set(world, subject, &json!({}))?;
    for (is_first, field) in [(true, &title), (false, &text)] {
        let outcome = scene.change(is_first, &json!({field: "Conformance, merged"}), Vec::new())?;
        ensure(outcome.verdict == Verdict::Applied, || format!("a clean change came to {}", shown(&outcome)))?;
    }
    let fields = scene.fields(world)?;
    for field in [&title, &text] {
        let value = fields.get(field);
        ensure(value == Some(&json!("Conformance, merged")), || format!("`{field}` is {value:?}"))?;
    }
    Ok(format!("`{title}` from one device and `{text}` from another stand both"))
}

fn own_writes_are_clean(world: &mut World) -> Seen {
    let (subject, title, _) = two_texts(world)?;
    let mut scene = Scene::set(world, subject, &json!({}))?;
    for value in ["Conformance, one", "Conformance, two"] {
        let outcome = scene.change(true, &json!({&title: value}), Vec::new())?;
        ensure(outcome.verdict == Verdict::Applied, || format!("“{value}” came to {}", shown(&outcome)))?;
    }
    Ok("two changes of one field on one base, both applied".into())
}

fn equal_values_do_not_conflict(world: &mut World) -> Seen {
    let (subject, title, _) = two_texts(world)?;
    let mut scene = Scene::set(world, subject, &json!({}))?;
    for is_first in [true, false] {
        let outcome = scene.change(is_first, &json!({&title: "Conformance, the same"}), Vec::new())?;
        ensure(outcome.verdict == Verdict::Applied, || format!("an equal value came to {}", shown(&outcome)))?;
    }
    Ok("two devices set the same on one base, both applied".into())
}

fn lww(world: &mut World) -> Seen {
    let (subject, title, text) = two_texts(world)?;
    let mut scene = Scene::set(world, subject, &json!({}))?;
    expect_done(&scene.change(true, &json!({&title: "Conformance, first"}), Vec::new())?)?;
    let late = json!({&title: "Conformance, second", &text: "its own"});
    let outcome = scene.change(false, &late, Vec::new())?;
    ensure(outcome.verdict == Verdict::Merged, || format!("the later change came to {}", shown(&outcome)))?;
    ensure(outcome.server.get(&title) == Some(&json!("Conformance, first")), || {
        format!("the outcome does not say what stands: {}", shown(&outcome))
    })?;
    let fields = scene.fields(world)?;
    ensure(fields.get(&title) == Some(&json!("Conformance, first")), || format!("what stands is {fields:?}"))?;
    ensure(fields.get(&text) == Some(&json!("its own")), || "the clean field of the same mutation was lost".into())?;
    Ok("the first value stands, the author of the second was told, her other field came in".into())
}

fn set(world: &mut World) -> Seen {
    let (subject, Probe { field, values: [one, two, three] }) = world.probe("set")?;
    let member = |value: &Value| value[0].clone();
    let (one, two, three) = (member(&one), member(&two), member(&three));
    let mut scene = Scene::set(world, subject, &json!({&field: [one]}))?;
    let add = |values: Vec<Value>| FieldOperation::Add { field: field.clone(), values };
    expect_done(&scene.change(true, &json!({}), vec![add(vec![three.clone()])])?)?;
    expect_done(&scene.change(false, &json!({}), vec![add(vec![two.clone(), three.clone()])])?)?;
    let remove = FieldOperation::Remove { field: field.clone(), values: vec![one] };
    expect_done(&scene.change(true, &json!({}), vec![remove])?)?;
    let fields = scene.fields(world)?;
    let mut expected = [three, two];
    expected.sort_by_key(Value::to_string);
    ensure(fields.get(&field) == Some(&json!(expected)), || format!("`{field}` is {:?}", fields.get(&field)))?;
    Ok(format!("`{field}`: two members added by two devices, one of them by both, one removed: {}", json!(expected)))
}

fn append(world: &mut World) -> Seen {
    let (subject, Probe { field, values }) = world.probe("append")?;
    let [one, two, three] = values.map(|value| value[0].clone());
    let mut scene = Scene::set(world, subject, &json!({&field: [one]}))?;
    for (is_first, entry) in [(true, &two), (false, &three)] {
        let append = FieldOperation::Append { field: field.clone(), values: vec![entry.clone()] };
        expect_done(&scene.change(is_first, &json!({}), vec![append])?)?;
    }
    let fields = scene.fields(world)?;
    let entries = fields.get(&field).and_then(Value::as_array).cloned().unwrap_or_default();
    ensure([one, two, three].iter().all(|entry| entries.contains(entry)) && entries.len() == 3, || {
        format!("three entries were appended, `{field}` has {}", json!(entries))
    })?;
    Ok(format!("`{field}`: one entry from its maker and one from each of two devices"))
}

fn counter(world: &mut World) -> Seen {
    let (subject, Probe { field, values: [start, ..] }) = world.probe("counter")?;
    let mut scene = Scene::set(world, subject, &json!({&field: start}))?;
    for (is_first, by) in [(true, 5), (false, 7)] {
        let increment = FieldOperation::Increment { field: field.clone(), by };
        expect_done(&scene.change(is_first, &json!({}), vec![increment])?)?;
    }
    let fields = scene.fields(world)?;
    let expected = start.as_i64().unwrap_or(0) + 12;
    ensure(fields.get(&field) == Some(&json!(expected)), || {
        format!("{start} and 5 and 7 make {:?}", fields.get(&field))
    })?;
    Ok(format!("`{field}`: {start} and 5 and 7 make {expected}"))
}

/// Two devices set the second and the third value on the base of the first.
fn extreme(world: &mut World, class: &str, expected: usize) -> Seen {
    let (subject, Probe { field, values }) = world.probe(class)?;
    let mut scene = Scene::set(world, subject, &json!({&field: values[0]}))?;
    expect_done(&scene.change(true, &json!({&field: values[1]}), Vec::new())?)?;
    expect_done(&scene.change(false, &json!({&field: values[2]}), Vec::new())?)?;
    let fields = scene.fields(world)?;
    ensure(fields.get(&field) == Some(&values[expected]), || {
        format!("of {}, {} and {} stands {:?}", values[0], values[1], values[2], fields.get(&field))
    })?;
    Ok(format!("`{field}`: of {}, {} and {} stands {}", values[0], values[1], values[2], values[expected]))
}

fn max(world: &mut World) -> Seen {
    extreme(world, "max", 1)
}

fn min(world: &mut World) -> Seen {
    extreme(world, "min", 2)
}

fn guarded(world: &mut World) -> Seen {
    let (subject, Probe { field, values: [start, first, second] }) = world.probe("guarded")?;
    let title = subject.title.clone();
    let mut scene = Scene::set(world, subject, &json!({&field: start}))?;
    expect_done(&scene.change(true, &json!({&field: first}), Vec::new())?)?;
    let late = json!({&field: second, &title: "Conformance, with it"});
    expect_rejected(&scene.change(false, &late, Vec::new())?, "conflict")?;
    let fields = scene.fields(world)?;
    ensure(fields.get(&field) == Some(&first), || format!("`{field}` is {:?}", fields.get(&field)))?;
    ensure(fields.get(&title) != Some(&json!("Conformance, with it")), || {
        "another field of the rejected mutation was written".into()
    })?;
    Ok(format!("`{field}`: {first} stands, the change to {second} was rejected with all that came with it"))
}

fn unwritable(world: &mut World, class: &str) -> Seen {
    let (subject, Probe { field, values }) = world.probe(class)?;
    let title = subject.title.clone();
    let mut scene = Scene::set(world, subject, &json!({}))?;
    let change = json!({&field: values[0], &title: "Conformance, with it"});
    expect_rejected(&scene.change(true, &change, Vec::new())?, "forbidden")?;
    let fields = scene.fields(world)?;
    ensure(fields.get(&title) != Some(&json!("Conformance, with it")), || {
        "another field of the rejected mutation was written".into()
    })?;
    Ok(format!("`{field}` of `{}` was not written, nor what came with it", scene.subject.entity))
}

fn derived(world: &mut World) -> Seen {
    unwritable(world, "derived")
}

fn server(world: &mut World) -> Seen {
    unwritable(world, "server")
}

fn a_deleted_record_takes_no_change(world: &mut World) -> Seen {
    let (subject, title, _) = two_texts(world)?;
    let mut scene = Scene::set(world, subject, &json!({}))?;
    let Scene { subject, first, record, base, .. } = &mut scene;
    let delete = first.mutation(MutationKind::Delete, &subject.entity, *record, *base, &json!({}));
    expect_done(&first.push_one(&delete)?)?;
    expect_rejected(&scene.change(false, &json!({&title: "Conformance, too late"}), Vec::new())?, "not-found")?;
    Ok("the change of the second device was rejected".into())
}
