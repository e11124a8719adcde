use std::collections::BTreeMap;

use serde_json::json;
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::digest::{SetDigest, combine, deep_leaf, leaf};
use sync_protocol::id::{RecordId, ScopeId, Sequence};
use sync_protocol::wire::{
    DigestRange, MAX_RANGES_PER_DIGEST, MAX_RECORDS_PER_DIGEST, MAX_SCOPES_PER_DIGEST, Operation, RangeAnswer,
};

use crate::check::{Check, Section, Seen, Unmet, broken, ensure};
use crate::compare::{DIGEST, ask, leaves, scopes_of, search, weighed};
use crate::machine;
use crate::phone::{Phone, exit, ids_of, put, seq_of};
use crate::world::{World, shown_all};

pub const SECTION: Section = Section {
    name: "Digests",
    checks: &[
        Check {
            name: "a-digest-is-of-what-was-sent",
            says: "an answer's `digest` is of what the device holds when the page is applied, only where `more` is false, and \
                   with `compare` also if nothing is new",
            run: a_digest_is_of_what_was_sent,
        },
        Check {
            name: "what-is-equal-is-the-same",
            says: "of `scopes` those that differ are told, of `ranges` `same` where both sides have the same",
            run: what_is_equal_is_the_same,
        },
        Check {
            name: "a-scope-that-was-not-named-differs",
            says: "the scopes that differ are told, also ones that the device did not name",
            run: a_scope_that_was_not_named_differs,
        },
        Check {
            name: "a-search-ends-at-what-differs",
            says: "a listed range is answered with what makes the device's records like the server's: whole `put` for what it \
                   lacks or has otherwise",
            run: a_search_ends_at_what_differs,
        },
        Check {
            name: "what-is-out-of-reach-is-an-exit",
            says: "`exit` for what the user does not see; it does not say whether it still exists",
            run: what_is_out_of_reach_is_an_exit,
        },
        Check {
            name: "deep-leaves-have-the-fields",
            says: "a deep leaf is the hash of id, sequence and the record's fields, those that the user sees, as canonical JSON",
            run: deep_leaves_have_the_fields,
        },
        Check {
            name: "digests-are-bounded",
            says: "at most 10,000 scopes, 256 ranges and 1,024 listed records, else `digest-too-large`",
            run: digests_are_bounded,
        },
    ],
};

fn own_digest(phone: &Phone) -> String {
    combine(scopes_of(&phone.records).into_iter().map(|scope| (scope, weighed(&phone.records, scope)))).to_string()
}

fn a_digest_is_of_what_was_sent(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut phone = world.phone_in_step()?;
    for _ in 0..3 {
        world.make(&mut author, &json!({}))?;
    }
    let mut news = Vec::new();
    loop {
        let page = phone.page(256)?;
        let digest = page.answer.get("digest").filter(|digest| !digest.is_null()).cloned();
        news.extend(page.operations);
        if page.more {
            ensure(digest.is_none(), || "a page with `more` has a digest".into())?;
            continue;
        }
        phone.take(&news)?;
        let own = own_digest(&phone);
        ensure(digest.as_ref().is_none_or(|digest| *digest == own), || {
            format!("after {} news the device holds {own}, the answer says {digest:?}", news.len())
        })?;
        break;
    }
    let mut request = phone.request_page(&[]);
    request["compare"] = json!(true);
    let answer = phone.exchange(&request)?.ok()?;
    let own = own_digest(&phone);
    ensure(answer["digest"] == own, || {
        format!("asked to compare, it says {}; the device holds {own}", answer["digest"])
    })?;
    Ok(format!("{own} of {} records, after news and where there were none", phone.records.len()))
}

fn what_is_equal_is_the_same(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    world.make(&mut author, &json!({}))?;
    let phone = world.phone_in_step()?;
    let scopes = scopes_of(&phone.records);
    let claims: Vec<_> = scopes.iter().map(|scope| claim(*scope, weighed(&phone.records, *scope))).collect();
    let answer = ask(&phone, &json!({"cursor": phone.cursor, "why": "digest", "scopes": claims}))?;
    ensure(answer.scopes.is_empty() && answer.operations.is_empty(), || {
        format!("a device that has everything differs in the scopes {:?}", answer.scopes)
    })?;
    let mut ranges = Vec::new();
    for scope in scopes {
        let all = leaves(&phone.records, scope);
        let middle = all.get(all.len() / 2).map_or(0, |(seq, ..)| *seq);
        for (after, until) in [(0, Some(middle)), (middle, None)] {
            let inside = all.iter().filter(|(seq, ..)| *seq > after && until.is_none_or(|until| *seq <= until));
            let digest = SetDigest::of(inside.map(|(.., leaf)| *leaf));
            ranges.push(DigestRange { scope, after, until, digest, records: None });
        }
    }
    ranges.truncate(MAX_RANGES_PER_DIGEST);
    let mut done = 0;
    while done < ranges.len() {
        let answer = ask(&phone, &json!({"cursor": answer.cursor, "ranges": ranges[done..]}))?;
        let is_same = |range: &RangeAnswer| matches!(range, RangeAnswer::Same);
        ensure(!answer.ranges.is_empty() && answer.ranges.iter().all(is_same), || {
            format!("of ranges as the server has them it says {}", json!(answer.ranges))
        })?;
        done += answer.ranges.len();
    }
    Ok(format!("{} scopes and {} ranges", claims.len(), ranges.len()))
}

fn claim(scope: ScopeId, digest: SetDigest) -> serde_json::Value {
    json!({"scope": scope, "count": digest.count, "hash": digest.hash})
}

fn a_scope_that_was_not_named_differs(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let (record, _) = world.make(&mut author, &json!({}))?;
    let phone = world.phone_in_step()?;
    let (_, _, unnamed) = told(&phone, record)?;
    let named = scopes_of(&phone.records).into_iter().filter(|scope| *scope != unnamed);
    let claims: Vec<_> = named.map(|scope| claim(scope, weighed(&phone.records, scope))).collect();
    let answer = ask(&phone, &json!({"cursor": phone.cursor, "why": "digest", "scopes": claims}))?;
    ensure(answer.scopes == [unnamed], || format!("{unnamed} was not named, it tells {:?}", answer.scopes))?;
    Ok(format!("of {} scopes one was left out, and told", claims.len() + 1))
}

/// A record's sequence, its fields, and one of its scopes.
fn told(phone: &Phone, record: RecordId) -> Result<(Sequence, sync_protocol::wire::Fields, ScopeId), Unmet> {
    let told = phone.records.get(&record).and_then(|told| Some((told.seq, told.fields.clone(), *told.scopes.first()?)));
    told.map_or_else(|| broken(format!("{record} was made, and a device in step was not told of it")), Ok)
}

fn a_search_ends_at_what_differs(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(world.make(&mut author, &json!({}))?.0);
    }
    let phone = world.phone_in_step()?;
    let mut device = phone.clone();
    let missing = device.records.remove(&made[0]);
    let stale = device.records.get_mut(&made[1]);
    let (Some(missing), Some(stale)) = (missing, stale) else {
        return broken("records were made, and a device in step was not told of them");
    };
    stale.seq -= 1;
    let surplus = machine::new_record_id();
    device.records.insert(surplus, missing);
    let found = search(&mut device)?;
    let whole =
        |operation: &Operation| put(operation).filter(|_| matches!(operation, Operation::Put { partial: false, .. }));
    let (expected, given) = (made[..2].iter().copied().collect(), ids_of(&found.operations, whole));
    ensure(given == expected, || format!("two records differed, this came: {}", shown_all(&found.operations)))?;
    ensure(!device.records.contains_key(&surplus), || "a record that there is not stays on the device".into())?;
    let most = 4 + 2 * phone.records.len().checked_ilog2().unwrap_or(0);
    ensure(found.requests <= most, || format!("{} requests for {} records", found.requests, phone.records.len()))?;
    device.pull()?;
    let differing = made.iter().find(|id| device.records.get(id) != phone.records.get(id));
    ensure(differing.is_none(), || format!("after the search and an exchange the device has another {differing:?}"))?;
    Ok(format!("three of {} records, found and mended by {} requests", phone.records.len(), found.requests))
}

fn what_is_out_of_reach_is_an_exit(world: &mut World) -> Seen {
    /// Behind every record: nothing that is not listed is told.
    const BEHIND: Sequence = 1 << 52;
    let mut author = world.phone()?;
    let (record, seq) = world.make(&mut author, &json!({}))?;
    let (other, _) = world.other_in_step()?;
    let absent = machine::new_record_id();
    let Some(scope) = scopes_of(&other.records).first().copied() else {
        return Err(Unmet::Unchecked("the other person has no records".into()));
    };
    if other.records.contains_key(&record) {
        return Err(Unmet::Unchecked("the other person sees every record that the first one makes".into()));
    }
    let listed = [(record, leaf(record, seq)), (absent, leaf(absent, seq))];
    let digest = SetDigest::of(listed.map(|(_, leaf)| leaf));
    let range = DigestRange { scope, after: BEHIND, until: None, digest, records: Some(listed.to_vec()) };
    let answer = ask(&other, &json!({"cursor": other.cursor, "why": "digest", "ranges": [range]}))?;
    let told: BTreeMap<RecordId, Option<Sequence>> =
        answer.operations.iter().filter_map(|operation| Some((exit(operation)?, seq_of(operation)))).collect();
    let is_so = answer.operations.len() == 2 && told.len() == 2 && told.get(&record) == told.get(&absent);
    ensure(is_so, || {
        format!("{record} is out of reach and {absent} was never there; this came: {}", shown_all(&answer.operations))
    })?;
    Ok("one that she may not see and one that there is not: two equal exits".into())
}

fn deep_leaves_have_the_fields(world: &mut World) -> Seen {
    let mut author = world.phone()?;
    let (record, _) = world.make(&mut author, &json!({}))?;
    let phone = world.phone_in_step()?;
    let (seq, fields, scope) = told(&phone, record)?;
    let mut damaged = fields.clone();
    damaged.insert(world.subject().title.clone(), json!("damaged"));
    let range = |fields, records: bool| {
        let leaf = deep_leaf(record, seq, fields);
        let records = records.then(|| vec![(record, leaf)]);
        DigestRange { scope, after: seq - 1, until: Some(seq), digest: SetDigest::of([leaf]), records }
    };
    let ranges = [range(&fields, false), range(&damaged, false), range(&damaged, true)];
    let mut answers = Vec::new();
    let mut operations = Vec::new();
    while answers.len() < ranges.len() {
        let request = json!({"cursor": phone.cursor, "why": "deep", "deep": true, "ranges": ranges[answers.len()..]});
        let answer = ask(&phone, &request)?;
        ensure(!answer.ranges.is_empty(), || "an answer is about none of the ranges".into())?;
        answers.extend(answer.ranges);
        operations.extend(answer.operations);
    }
    let expected = [RangeAnswer::Same, RangeAnswer::Differs, RangeAnswer::Mended { until: None }];
    ensure(answers == expected, || format!("of a right and twice a damaged field it says {}", json!(answers)))?;
    let is_mended = matches!(&operations[..], [Operation::Put { id, set, .. }] if *id == record && *set == fields);
    ensure(is_mended, || format!("the damaged record was mended with {}", shown_all(&operations)))?;
    Ok("the record as it is: the same; with a damaged field: differs, and is put".into())
}

fn digests_are_bounded(world: &mut World) -> Seen {
    let phone = world.phone_in_step()?;
    let scope = scopes_of(&phone.records).first().copied().unwrap_or(1);
    let digest = SetDigest::default();
    let range = |records| DigestRange { scope, after: 0, until: Some(0), digest, records };
    let listed = vec![(machine::new_record_id(), leaf(machine::new_record_id(), 1)); MAX_RECORDS_PER_DIGEST + 1];
    let too_large = [
        json!({"scopes": vec![claim(scope, digest); MAX_SCOPES_PER_DIGEST + 1]}),
        json!({"ranges": vec![range(None); MAX_RANGES_PER_DIGEST + 1]}),
        json!({"ranges": [range(Some(listed))]}),
    ];
    for mut request in too_large {
        request["protocol"] = json!(PROTOCOL_VERSION);
        request["cursor"] = json!(phone.cursor);
        request["limit_bytes"] = json!(1 << 20);
        phone.post(DIGEST, &request)?.refused(422, "digest-too-large")?;
    }
    Ok("one scope, one range, one listed record too many: 422".into())
}
