use serde_json::Value;

use super::super::world::{World, rows_with};

const ACCOUNTS: &str = include_str!("../../../../../tests/crm-sales/accounts.yaml");
const PRODUCTS: &str = include_str!("../../../../../tests/crm-sales/products.yaml");
const TEAMS: &str = include_str!("../../../../../tests/crm-sales/sales_teams.yaml");
const PIPELINE: &str = include_str!("../../../../../tests/crm-sales/sales_pipeline.yaml");

const FILES: [(&str, &str, &str); 4] = [
    ("account", "accounts.csv", ACCOUNTS),
    ("product", "products.csv", PRODUCTS),
    ("user", "sales_teams.csv", TEAMS),
    ("opportunity", "sales_pipeline.csv", PIPELINE),
];

async fn import_all(world: &World) -> Vec<Value> {
    let mut jobs = Vec::new();
    for (entity, name, mapping) in FILES {
        let job = world.import_sales(entity, name, mapping, false).await;
        assert_eq!(job["state"], "done", "{name}: {:#}", job["problems"]);
        jobs.push(job);
    }
    jobs
}

const BY_STAGE: &str = "SELECT count(*) FROM record WHERE json_extract(body, '$.stage') = ";

#[tokio::test(flavor = "multi_thread")]
async fn the_real_company_comes_in_whole() {
    let world = World::with_overlay().await;
    let jobs = import_all(&world).await;

    assert_eq!(jobs[0]["counts"]["created"], 85);
    let accounts = world.records("account").await;
    let parents = accounts.iter().filter(|account| account["parent"].is_string()).count();
    assert_eq!((accounts.len(), parents), (85, 15));
    let acme = accounts.iter().find(|account| account["name"] == "Acme Corporation").expect("Acme");
    assert_eq!(acme["revenue"], serde_json::json!({"currency": "USD", "minor": 110_004}));
    assert_eq!((&acme["industry"], &acme["employees"]), (&"technolgy".into(), &2822.into()));

    assert_eq!(world.count("product").await, 7);
    assert_eq!(jobs[2]["counts"]["made"], serde_json::json!({"user": 41, "team": 6, "territory": 3}));
    let users = world.records("user").await;
    let with_team = users.iter().filter(|user| user["team"].is_string()).count();
    assert_eq!((users.len(), with_team), (41, 35));
    assert!(
        world.records("team").await.iter().all(|team| team["manager"].is_string() && team["territory"].is_string())
    );

    assert_eq!(world.count("opportunity").await, 8_800);
    for (stage, count) in [("won", 4_238), ("lost", 2_473), ("engaging", 1_589), ("prospecting", 500)] {
        let sql: &'static str = format!("{BY_STAGE}'{stage}'").leak();
        assert_eq!(world.number(sql).await, count, "{stage}");
    }
    let won = world
        .number(
            "SELECT sum(json_extract(body, '$.amount.minor')) FROM record WHERE json_extract(body, '$.stage') = 'won'",
        )
        .await;
    assert_eq!(won, 1_000_553_400);
    let placed = world.number("SELECT count(*) FROM record WHERE owner IS NOT NULL AND team IS NOT NULL AND territory IS NOT NULL AND json_extract(body, '$.stage') IS NOT NULL").await;
    assert_eq!(placed, 8_800, "every deal stands with its agent, her team and its territory");
    let job = &jobs[3];
    assert_eq!(rows_with(job, "warning", "required", "account"), 1_425);
    assert_eq!(job["counts"]["rows_with_errors"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_every_row_that_is_not_as_it_should_be_and_changes_nothing() {
    let world = World::with_overlay().await;
    for (entity, name, mapping) in &FILES[..3] {
        world.import_sales(entity, name, mapping, false).await;
    }
    let before = world.number("SELECT head FROM tenant").await;
    let job = world.import_sales("opportunity", "sales_pipeline.csv", "{currency: USD}", true).await;
    assert_eq!(job["state"], "refused");
    assert_eq!(rows_with(&job, "error", "no-such-record", "products"), 1_480);
    assert_eq!(rows_with(&job, "error", "required", "account"), 1_425);
    assert_eq!(rows_with(&job, "warning", "rule", "close_date"), 2_089, "{:#}", job["problems"]);
    assert_eq!(rows_with(&job, "warning", "required", "close_reason"), 2_473);
    let groups = job["problems"].as_array().expect("problems");
    let product = groups.iter().find(|group| group["field"] == "products").expect("a group");
    assert_eq!((&product["column"], &product["cases"][0]["value"]), (&"product".into(), &"GTXPro".into()));
    assert_eq!(product["cases"][0]["lines"][0], 3, "the line of the file that the row stands on");
    assert_eq!(product["cases"][0]["lines"].as_array().map(Vec::len), Some(1_480));
    assert_eq!(world.number("SELECT head FROM tenant").await, before, "nothing changed");
    assert_eq!(world.count("opportunity").await, 0);

    let real = world.import_sales("opportunity", "sales_pipeline.csv", "{currency: USD}", false).await;
    assert_eq!((&real["state"], world.count("opportunity").await), (&"refused".into(), 0), "nothing is half imported");
    let checked = world.import_sales("opportunity", "sales_pipeline.csv", PIPELINE, true).await;
    assert_eq!((&checked["state"], &checked["counts"]["created"]), (&"checked".into(), &8_800.into()));
    assert_eq!(world.number("SELECT head FROM tenant").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_the_same_files_again_changes_nothing() {
    let world = World::with_overlay().await;
    import_all(&world).await;
    let (head, history) =
        (world.number("SELECT head FROM tenant").await, world.number("SELECT max(num) FROM history").await);
    for job in import_all(&world).await {
        let counts = &job["counts"];
        assert_eq!((&counts["created"], &counts["updated"]), (&0.into(), &0.into()), "{}", job["file_name"]);
        assert_eq!(counts["unchanged"], counts["rows"]);
    }
    assert_eq!(world.number("SELECT head FROM tenant").await, head);
    assert_eq!(world.number("SELECT max(num) FROM history").await, history);
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_takes_back_what_an_import_made() {
    let world = World::with_overlay().await;
    let jobs = import_all(&world).await;
    let undo = async |job: &Value| {
        let (status, job) =
            world.post(&format!("/api/v1/imports/{}/undo", job["id"].as_str().expect("an id")), &Value::Null).await;
        assert_eq!((status.as_u16(), &job["state"]), (200, &"undone".into()), "{job}");
        job["undo"].clone()
    };
    let undone = undo(&jobs[3]).await;
    assert_eq!((&undone["deleted"], undone["kept"].as_array().map(Vec::len)), (&8_800.into(), Some(0)));
    assert_eq!((world.count("opportunity").await, world.count("stage_history").await), (0, 0));
    let undone = undo(&jobs[0]).await;
    assert_eq!((&undone["deleted"], world.count("account").await), (&85.into(), 0), "{:#}", undone["kept"]);
    // Nobody may delete people, teams and territories, for records of the past name them.
    let undone = undo(&jobs[2]).await;
    assert_eq!(undone["kept"].as_array().map(Vec::len), Some(50));
    let (status, problem) =
        world.post(&format!("/api/v1/imports/{}/undo", jobs[0]["id"].as_str().expect("an id")), &Value::Null).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &"conflict".into()));
}
