//! Exports through their routes, read back by the importer.

use std::io::{Cursor, Read};

use axum::http::StatusCode;
use calamine::{Data, Reader, Xlsx};
use serde_json::{Value, json};

use crate::import::tests::world::World;

const CONTACTS: &str = "name;teléfonos;correos;direcciones;notas;etiquetas;cumpleaños;cuenta\n\
    =SUMA(A1);+34 600 111 222 (móvil, trabajo), 91 123;ana@example.es (casa);Mayor 1, 3º;\"una\nnota; con \"\"comillas\"\"\";vip|norte;31/12/1980;Acme; Hijos\n\
    'Peña;;;\"street: Mayor 1; city: Madrid; country: ES\";-1;;;\n";

async fn filled() -> World {
    let world = World::new().await;
    let accounts = "name,revenue,employees,created_on\n\"Acme; Hijos\",1100.04,10,2020-01-02\n@Beta,-3.5,,\n";
    let job = world.import("account", "a.csv", accounts.into(), "{currency: USD, decimal: '.'}", false).await;
    assert_eq!(job["state"], "done", "{job:#}");
    let contacts = CONTACTS.replace("Acme; Hijos", "\"Acme; Hijos\"");
    let job = world.import("contact", "b.csv", contacts.into(), "{}", false).await;
    assert_eq!(job["state"], "done", "{job:#}");
    world
}

async fn text(world: &World, path: &str) -> String {
    let (status, bytes) = world.fetch(path, None).await;
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert_eq!(status, StatusCode::OK, "{text}");
    text
}

/// Records without what the server writes at each making.
fn comparable(records: Vec<Value>) -> Vec<Value> {
    let mut records: Vec<Value> = records
        .into_iter()
        .map(|mut record| {
            for name in ["updated_on", "updated_by", "account"] {
                record.as_object_mut().expect("fields").remove(name);
            }
            record
        })
        .collect();
    records.sort_by_key(|record| record["name"].to_string());
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_csv_export_writes_an_import_reads_back_as_it_was() {
    let world = filled().await;
    for query in ["", "?language=es", "?language=en", "?links=ids"] {
        for entity in ["account", "contact"] {
            let csv = text(&world, &format!("/api/v1/{entity}/export{query}")).await;
            let job = world.import(entity, "x.csv", csv.clone().into(), "{}", false).await;
            assert_eq!(
                (&job["state"], &job["counts"]["unchanged"]),
                (&json!("done"), &json!(2)),
                "{entity}{query}: {:#}\n{csv}",
                job["problems"]
            );
        }
    }
    let other = World::new().await;
    for entity in ["account", "contact"] {
        let csv = text(&world, &format!("/api/v1/{entity}/export")).await;
        let job = other.import(entity, "x.csv", csv.into(), "{}", false).await;
        assert_eq!(job["counts"]["created"], 2, "{:#}", job["problems"]);
        assert_eq!(comparable(other.records(entity).await), comparable(world.records(entity).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_is_a_formula() {
    let world = filled().await;
    let csv = text(&world, "/api/v1/contact/export?fields=name,notes").await;
    assert!(csv.starts_with('\u{feff}'));
    assert_eq!(csv.lines().next(), Some("\u{feff}name,notes"));
    assert!(csv.contains("'=SUMA(A1)") && csv.contains("''Peña") && csv.contains("'-1"), "{csv}");
    let accounts = text(&world, "/api/v1/account/export?fields=name,revenue&sort=name").await;
    assert!(accounts.contains("'@Beta,-3.50,USD"), "a number is no formula: {accounts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_order_language_and_condition_are_those_asked_for() {
    let world = filled().await;
    let csv = text(&world, "/api/v1/account/export?fields=revenue,name&language=es&where=employees%20==%2010").await;
    assert_eq!(
        csv.trim_start_matches('\u{feff}'),
        "Facturación;Facturación (moneda);Nombre\r\n1100,04;USD;\"Acme; Hijos\"\r\n"
    );
    for (query, code) in
        [("fields=nonsense", "unknown-field"), ("where=1", "invalid-expression"), ("nothing=1", "invalid-query")]
    {
        let (status, bytes) = world.fetch(&format!("/api/v1/account/export?{query}"), None).await;
        let problem: Value = serde_json::from_slice(&bytes).expect("a problem");
        assert!(status.is_client_error() && problem["code"] == code, "{query}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_has_typed_cells() {
    let world = filled().await;
    let (status, bytes) =
        world.fetch("/api/v1/account/export?format=xlsx&fields=name,revenue,created_on&sort=-name", None).await;
    assert_eq!(status, StatusCode::OK);
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes.clone())).expect("a workbook");
    let sheet = book.worksheet_range("account").expect("the sheet");
    let row: Vec<&Data> = sheet.rows().nth(1).expect("a row").iter().collect();
    assert_eq!(
        (row[0], row[1], row[2]),
        (&Data::String("Acme; Hijos".into()), &Data::Float(1100.04), &Data::String("USD".into()))
    );
    let Data::DateTime(at) = row[3] else { panic!("{:?} is no instant", row[3]) };
    assert_eq!(at.to_ymd_hms_milli().0, 2020);
    let job = world.import("account", "x.xlsx", bytes, "{}", false).await;
    assert_eq!(job["counts"]["unchanged"], 2, "{:#}", job["problems"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_tenant_leaves_in_one_archive() {
    let world = filled().await;
    let (status, bytes) = world.fetch("/api/v1/exports/all", None).await;
    assert_eq!(status, StatusCode::OK);
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let mut manifest = String::new();
    archive.by_name("manifest.json").expect("a manifest").read_to_string(&mut manifest).expect("text");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let entities = manifest["entities"].as_array().expect("entities");
    assert_eq!(entities.len(), world.app.model().entities.len());
    for entity in entities {
        let name = entity["entity"].as_str().expect("a name");
        assert_eq!(entity["records"], world.count(name).await, "{name}");
        assert!(archive.by_name(entity["file"].as_str().expect("a file")).is_ok(), "{name}");
    }
    assert!(archive.by_name("model.json").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_shows_what_its_reader_may_see_and_takes_the_right() {
    let world = filled().await;
    let manager = world.sign_in("manager@example.es", "sales_manager").await;
    let rep = world.sign_in("rep@example.es", "sales_rep").await;
    let (status, _) = world.fetch("/api/v1/account/export", Some(&rep)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    for path in ["/api/v1/exports/all", "/api/v1/nothing/export"] {
        let (status, _) = world.fetch(path, Some(&manager)).await;
        assert!(matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND), "{path}");
    }
    let (status, csv) = world.fetch("/api/v1/opportunity/export", Some(&manager)).await;
    let head = String::from_utf8(csv).expect("UTF-8");
    assert!(status.is_success() && head.contains(",cost,"), "a manager sees level 1: {head}");
    let request = json!({"entity": "account", "file_name": "a.csv"});
    let refused = world.call_as(&rep, "/api/v1/imports", &request).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN, "{}", refused.1);
}
