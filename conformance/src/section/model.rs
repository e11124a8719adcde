use serde_json::{Value, json};
use ureq::http::Method;

use crate::check::{Check, Section, Seen, ensure};
use crate::phone::{Phone, read};
use crate::world::{World, expect_done};

pub const SECTION: Section = Section {
    name: "When the model changes",
    checks: &[
        Check {
            name: "only-the-present-model-is-served",
            says: "`GET /sync/v1/model/{hash}` answers for any other hash than the present one `not-found` (404), with the \
                   present one in `model`",
            run: only_the_present_model_is_served,
        },
        Check {
            name: "another-model-is-told-no-operations",
            says: "a server tells a device whose request names another model no operations; mutations are decided, and the \
                   cursor leads to what was not told",
            run: another_model_is_told_no_operations,
        },
        Check {
            name: "what-was-queued-under-another-model-is-decided",
            says: "what was queued under an older model is decided under the present one, whatever its `model` says",
            run: what_was_queued_under_another_model_is_decided,
        },
        Check {
            name: "the-oldest-devices-may-still-push",
            says: "a device whose `protocol` is below the oldest gets the outcomes of what it pushes, no operations, the cursor \
                   unchanged, `more`, and the order `update`",
            run: the_oldest_devices_may_still_push,
        },
    ],
};

fn only_the_present_model_is_served(world: &mut World) -> Seen {
    let phone = world.phone()?;
    let present: String = read(&phone.exchange(&phone.request(&[]))?.ok()?, "model")?;
    let ask = |hash: &str| phone.ask(Method::GET, &format!("/sync/v1/model/{hash}"), &[], b"");
    let model = ask(&present)?.ok()?;
    ensure(model["hash"] == json!(present), || format!("{present} was asked for, {} came", model["hash"]))?;
    let problem = ask(&"0".repeat(64))?.refused(404, "not-found")?;
    ensure(problem.extra.get("model") == Some(&json!(present)), || {
        format!("of another hash it says {:?}", problem.extra)
    })?;
    Ok(format!("{present}; of another hash it tells this one"))
}

/// A device that has news to hear of, and the record that they are about.
fn with_news(world: &mut World) -> Result<(Phone, String), crate::check::Unmet> {
    let phone = world.phone_in_step()?;
    let mut author = world.phone()?;
    let (record, _) = world.make(&mut author, &json!({}))?;
    Ok((phone, record.to_string()))
}

fn another_model_is_told_no_operations(world: &mut World) -> Seen {
    let (mut phone, news) = with_news(world)?;
    let mutation = world.creation(&mut phone);
    let mut request = phone.request_page(std::slice::from_ref(&mutation));
    request["model"] = json!("0".repeat(64));
    let answer = phone.exchange(&request)?.ok()?;
    let outcome = &answer["outcomes"][0];
    ensure(outcome["verdict"] == json!("applied"), || format!("what it pushed came to {outcome}"))?;
    phone.note_own(&mutation, outcome["seq"].as_u64().unwrap_or_default());
    ensure(answer["operations"] == json!([]), || format!("it was told {}", answer["operations"]))?;
    phone.cursor = answer["cursor"].as_str().map(str::to_owned);
    let told = json!(phone.pull()?).to_string();
    ensure(told.contains(&news), || "under the present model it is not told what it was not told before".into())?;
    Ok("its mutation was applied; the news came with the present model".into())
}

fn what_was_queued_under_another_model_is_decided(world: &mut World) -> Seen {
    let mut phone = world.phone()?;
    let mut mutation = world.creation(&mut phone);
    mutation.model = Some("0".repeat(64));
    let outcome = phone.push_one(&mutation)?;
    expect_done(&outcome)?;
    Ok("a mutation made under a model that the server does not know was applied".into())
}

fn the_oldest_devices_may_still_push(world: &mut World) -> Seen {
    let (mut phone, _) = with_news(world)?;
    let mutation = world.creation(&mut phone);
    let mut request = phone.request_page(&[mutation]);
    request["protocol"] = json!(0);
    let answer = phone.exchange(&request)?.ok()?;
    let is_order =
        |order: &Value| order["order"] == "update" && order["protocol"].as_u64().is_some_and(|oldest| oldest > 0);
    ensure(answer["outcomes"][0]["verdict"] == json!("applied"), || format!("it came to {}", answer["outcomes"]))?;
    ensure(answer["operations"] == json!([]) && answer["more"] == json!(true), || {
        format!("operations {}, more {}", answer["operations"], answer["more"])
    })?;
    ensure(answer["cursor"] == json!(phone.cursor), || "its cursor is another one".into())?;
    ensure(answer["orders"].as_array().is_some_and(|orders| orders.iter().any(is_order)), || {
        format!("it is ordered {}", answer["orders"])
    })?;
    Ok("version 0: its mutation was applied, and it is told to update".into())
}
