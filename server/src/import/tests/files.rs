use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::json;

use super::world::{World, rows_with};

#[tokio::test(flavor = "multi_thread")]
async fn an_import_changes_what_differs_and_undo_restores_it_where_nobody_changed_it_since() {
    let world = World::new().await;
    let first = "name,industry,employees\nAcme,steel,10\nBeta,glass,20\n";
    world.import("account", "a.csv", first.into(), "{}", false).await;
    let second = "name;industry;employees\nACME;iron;10\nbeta;sand;25\nGamma;;1\n";
    let job = world.import("account", "b.csv", second.into(), "{}", false).await;
    let counts = &job["counts"];
    assert_eq!((&counts["created"], &counts["updated"], &counts["unchanged"]), (&1.into(), &2.into(), &0.into()));
    // Somebody corrects one of the values meanwhile.
    world.import("account", "c.csv", "name,employees\nBeta,30\n".into(), "{}", false).await;
    let path = format!("/api/v1/imports/{}/undo", job["id"].as_str().expect("an id"));
    let (status, undone) = world.post(&path, &json!(null)).await;
    assert_eq!(status, StatusCode::OK, "{undone}");
    assert_eq!((&undone["undo"]["deleted"], &undone["undo"]["restored"]), (&1.into(), &2.into()));
    let kept = &undone["undo"]["kept"];
    assert_eq!((&kept[0]["field"], &kept[0]["title"]), (&"employees".into(), &"Beta".into()), "{kept}");
    let accounts = world.records("account").await;
    let of = |name: &str| accounts.iter().find(|account| account["name"] == name).cloned().unwrap_or_default();
    assert_eq!(accounts.len(), 2);
    assert_eq!((&of("Acme")["industry"], &of("Beta")["industry"]), (&"steel".into(), &"glass".into()));
    assert_eq!(of("Beta")["employees"], 30, "the later correction stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_cell_clears_nothing_and_a_list_only_grows() {
    let world = World::new().await;
    let first = "name,phones,emails,job_title\nAna Peña,600111222,ana@example.es,Directora\n";
    world.import("contact", "a.csv", first.into(), "{}", false).await;
    let second = "name,phones,emails,job_title\nana pena,+34 911 22 33 44,ANA@example.es,\n";
    let job = world.import("contact", "b.csv", second.into(), "{}", false).await;
    assert_eq!(job["counts"]["updated"], 1, "{job:#}");
    let contacts = world.records("contact").await;
    assert_eq!((contacts.len(), &contacts[0]["job_title"]), (1, &"Directora".into()));
    let numbers: Vec<_> = contacts[0]["phones"].as_array().into_iter().flatten().map(|phone| &phone["e164"]).collect();
    assert_eq!(numbers, ["+34600111222", "+34911223344"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_of_one_name_stay_two() {
    let world = World::new().await;
    let text = "name,emails\nMaría García,maria@uno.es\nMaría García,mgarcia@dos.es\n";
    for round in 0..2 {
        let job = world.import("contact", "a.csv", text.into(), "{}", false).await;
        assert_eq!(job["state"], "done", "{job:#}");
        assert_eq!(world.count("contact").await, 2, "round {round}");
    }
    let job = world.import("contact", "b.csv", "name,notes\nMaría García,cuál de las dos\n".into(), "{}", false).await;
    assert_eq!(job["state"], "done");
    assert_eq!(world.count("contact").await, 3, "a name alone is neither of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_record_complete_each_other_or_are_refused() {
    let world = World::new().await;
    let text = "name,employees,industry\nAcme,10,\nAcme,,steel\n";
    let job = world.import("account", "a.csv", text.into(), "{}", false).await;
    assert_eq!((&job["state"], &job["counts"]["created"]), (&"done".into(), &1.into()));
    assert_eq!(job["problems"][0]["code"], "repeated-row");
    let text = "name,employees\nBeta,10\nBeta,11\n";
    let job = world.import("account", "b.csv", text.into(), "{}", false).await;
    assert_eq!(rows_with(&job, "error", "repeated-key", "employees"), 1, "{job:#}");
    assert_eq!(world.count("account").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_values_are_told_with_column_value_and_line_and_nothing_comes_in() {
    let world = World::new().await;
    let text = "name,employees,website,kind\nAcme,many,http://acme.test,customer\n,5,,\nBeta,3,not a url,alien\n";
    let job = world.import("account", "a.csv", text.into(), "{}", false).await;
    assert_eq!(job["state"], "refused");
    for (code, field, line) in [
        ("not-a-number", "employees", 2),
        ("required", "name", 3),
        ("format", "website", 4),
        ("unknown-option", "kind", 4),
    ] {
        let groups = job["problems"].as_array().expect("problems");
        let group = groups.iter().find(|group| group["code"] == code && group["field"] == field);
        assert_eq!(
            group.map(|group| &group["cases"][0]["lines"]),
            Some(&json!([line])),
            "{code}: {:#}",
            job["problems"]
        );
    }
    assert_eq!((&job["counts"]["rows_with_errors"], world.count("account").await), (&3.into(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_later_rows_and_to_nothing_follow_the_policy() {
    let world = World::new().await;
    let text = "name,parent\nChild,Parent\nParent,Nobody\n";
    let refused = world.import("account", "a.csv", text.into(), "{}", false).await;
    assert_eq!(rows_with(&refused, "error", "no-such-record", "parent"), 1, "{refused:#}");
    let kept = world.import("account", "a.csv", text.into(), "{on_missing: keep}", true).await;
    assert_eq!((&kept["state"], rows_with(&kept, "warning", "no-such-record", "parent")), (&"checked".into(), 1));
    let made = world.import("account", "a.csv", text.into(), "{on_missing: {parent: create}}", false).await;
    assert_eq!((&made["state"], &made["counts"]["made"]), (&"done".into(), &json!({"account": 3})));
    let linked = world.records("account").await.iter().filter(|account| account["parent"].is_string()).count();
    assert_eq!(linked, 2);
    let again = world.import("account", "a.csv", text.into(), "{on_missing: {parent: create}}", false).await;
    assert_eq!(again["counts"]["unchanged"], 2, "{again:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_or_a_file_that_does_not_fit_is_refused_before_anything_is_written() {
    let world = World::new().await;
    let job = world.import("account", "a.csv", "foo,bar\n1,2\n".into(), "{}", false).await;
    assert_eq!((&job["state"], &job["refusals"][0]["code"]), (&"refused".into(), &"mapping".into()));
    let job = world.import("account", "a.csv", "name\n\"open\n".into(), "{}", false).await;
    assert_eq!((&job["refusals"][0]["code"], &job["refusals"][0]["line"]), (&"open-quote".into(), &2.into()));
    let job = world.import("account", "a.xlsx", b"PK\x03\x04 nonsense".to_vec(), "{}", false).await;
    assert_eq!(job["refusals"][0]["code"], "damaged-workbook");
    let job = world.import("account", "a.csv", "name\nAcme\n".into(), "{currency: EURO}", false).await;
    assert_eq!(job["refusals"][0]["code"], "mapping");
    let (status, problem) = world.post("/api/v1/imports", &json!({"entity": "nothing", "file_name": "a.csv"})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &"unknown-entity".into()));
    let (status, problem) = world
        .post("/api/v1/imports", &json!({"entity": "account", "file_name": "a.csv", "mapping": {"colums": {}}}))
        .await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &"invalid-body".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_goes_nowhere_is_told_unless_it_was_dismissed() {
    let world = World::new().await;
    let text = "name,shoe size\nAcme,42\n";
    let job = world.import("account", "a.csv", text.into(), "{}", true).await;
    assert_eq!(
        (&job["problems"][0]["code"], &job["problems"][0]["column"]),
        (&"unmapped-column".into(), &"shoe size".into())
    );
    assert_eq!(job["counts"]["rows_with_warnings"], 0);
    let job = world.import("account", "a.csv", text.into(), "{columns: {shoe size: '-'}}", true).await;
    assert!(job["problems"].is_null(), "{job:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_watched_listed_and_takes_one_file() {
    let world = World::new().await;
    let job = world.import("account", "dir/a.csv", "name\nAcme\n".into(), "{}", false).await;
    assert_eq!((&job["progress"], &job["file_name"]), (&json!({"rows_total": 1, "rows_done": 1}), &"a.csv".into()));
    assert_eq!((&job["file"]["bytes"], &job["file"]["encoding"]), (&10.into(), &"UTF-8".into()));
    let path = format!("/api/v1/imports/{}/file", job["id"].as_str().expect("an id"));
    let (status, _) = world.call(Method::PUT, &path, Body::from("name\nBeta\n"), "text/csv").await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (_, list) = world.call(Method::GET, "/api/v1/imports", Body::empty(), "").await;
    assert_eq!((&list["imports"][0]["id"], &list["imports"][0]["state"]), (&job["id"], &"done".into()));
}
