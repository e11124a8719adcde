//! One phone deletes a record while another edits it, neither with a network: whichever speaks first, nobody loses
//! anything without being told, and both phones end with the same.

use cartera_tests::{Company, Device, Person, Server};
use serde_json::{Value, json};

/// What the other phone wrote meanwhile.
const WRITTEN: &str = "Traer las llaves del almacén";

/// Ana with two phones that hold one activity of hers.
struct Scene {
    // Ends with the scene.
    _server: Server,
    company: Company,
    ana: Person,
    activity: String,
    deleting: Device,
    editing: Device,
}

impl Scene {
    /// Both phones know the activity; then, offline, one deletes it and the other edits it.
    fn set() -> Self {
        let server = Server::start();
        let company = Company::found(&server);
        let ana = server.person(Company::ANA);
        let visit = json!({"subject": "Visita al puerto", "type": "call", "notes": "Preguntar por Rosa"});
        let activity = ana.create("activity", &visit);
        let [deleting, editing] = [(); 2].map(|()| server.device(Company::ANA));
        for phone in [&deleting, &editing] {
            assert_eq!(phone.run(&["sync"]).ok()["in_step"], true);
        }
        let scene = Self { _server: server, company, ana, activity, deleting, editing };
        let _ = scene.deleting.run(&["delete", "activity", &scene.activity]).ok();
        let _ = scene.editing.run(&["set", "activity", &scene.activity, &format!("notes={WRITTEN}")]).ok();
        assert_eq!(listed(&scene.deleting), json!([]), "gone from the list at once");
        assert_eq!(listed(&scene.editing)[0]["fields"]["notes"], WRITTEN);
        scene
    }

    fn on_server(&self) -> String {
        format!("/api/v1/activity/{}", self.activity)
    }
}

/// The activities that a phone shows.
#[track_caller]
fn listed(phone: &Device) -> Value {
    phone.run(&["list", "activity"]).ok()["records"].clone()
}

/// Syncs a phone whose one change is rejected with that code; returns what the phone tells of it.
#[track_caller]
fn sync_rejected(phone: &Device, code: &str) -> Value {
    let told = phone.run(&["sync"]).ok();
    assert_eq!((&told["rejected"], &told["attention"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!((&told["in_step"], &told["waiting"]), (&json!(true), &json!(0)), "{told}");
    let conflicts = phone.run(&["conflicts"]).ok();
    let conflict = conflicts["conflicts"][0].clone();
    assert_eq!((&conflicts["count"], &conflict["reason"]["code"]), (&json!(1), &json!(code)), "{conflicts}");
    let message = conflict["reason"]["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "a person has to be told what happened: {conflict}");
    conflict
}

#[test]
fn an_edit_that_comes_after_the_deletion_is_told_as_such_and_keeps_what_was_written() {
    let scene = Scene::set();
    let told = scene.deleting.run(&["sync"]).ok();
    assert_eq!((&told["applied"], &told["rejected"]), (&json!(1), &json!(0)), "{told}");

    let conflict = sync_rejected(&scene.editing, "not-found");
    assert_eq!((&conflict["kind"], &conflict["id"]), (&json!("update"), &json!(scene.activity)));
    assert_eq!(conflict["lost"], json!({"notes": WRITTEN}), "the phone still has what she wrote");

    assert_eq!(scene.ana.get(&scene.on_server()).problem().code, "not-found");
    let _ = scene.deleting.run(&["sync"]).ok();
    assert_eq!(listed(&scene.editing), json!([]));
    assert_eq!(listed(&scene.deleting), listed(&scene.editing), "both phones hold the same");

    // Who sees every activity finds the last state of the deleted one, and who deleted it.
    let history = scene.company.admin.get(&format!("{}/history", scene.on_server())).ok();
    let last = &history["items"][0];
    assert_eq!((&last["kind"], &last["who"]), (&json!("deleted"), &json!(scene.ana.user)), "{history}");
    assert_eq!(last["old"]["notes"], "Preguntar por Rosa");
}

#[test]
fn a_deletion_that_comes_after_the_edit_is_refused_and_the_record_comes_back_with_the_edit() {
    let scene = Scene::set();
    let told = scene.editing.run(&["sync"]).ok();
    assert_eq!((&told["applied"], &told["rejected"]), (&json!(1), &json!(0)), "{told}");

    let conflict = sync_rejected(&scene.deleting, "conflict");
    assert_eq!((&conflict["kind"], &conflict["id"]), (&json!("delete"), &json!(scene.activity)));
    let back = listed(&scene.deleting);
    assert_eq!(back[0]["fields"]["notes"], WRITTEN, "it is there again, as the other phone left it");
    assert_eq!(back, listed(&scene.editing), "both phones hold the same");
    assert_eq!(scene.ana.get(&scene.on_server()).ok()["fields"]["notes"], WRITTEN);

    // Now that she has seen the edit, she may delete it all the same.
    let _ = scene.deleting.run(&["delete", "activity", &scene.activity]).ok();
    assert_eq!(scene.deleting.run(&["sync"]).ok()["applied"], 1);
    assert_eq!(scene.editing.run(&["sync"]).ok()["in_step"], true);
    for phone in [&scene.deleting, &scene.editing] {
        assert_eq!(listed(phone), json!([]));
    }
    assert_eq!(scene.ana.get(&scene.on_server()).problem().code, "not-found");
    let history = scene.company.admin.get(&format!("{}/history", scene.on_server())).ok();
    assert_eq!(history["items"][0]["old"]["notes"], WRITTEN, "the history holds the edit");
}
