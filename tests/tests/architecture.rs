//! The rules of `docs/architecture.md` that neither the compiler nor a lint holds: each test is one of its sentences.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 8] =
    ["sync-protocol", "crm", "conformance", "server", "client", "operator", "tests", "tests/cluster"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files of the workspace with one of these endings, by their path from its root.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path.strip_prefix(root()).expect("it lies in the workspace").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// What is wrong, a line each; the test fails when there is any.
fn expect_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}\n  {}\n", offences.join("\n  "));
}

/// The crates that a package names in one section of its manifest.
fn dependencies(package: &str, section: &str) -> BTreeSet<String> {
    let manifest = read(&root().join(package).join("Cargo.toml"));
    let from = manifest.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    from.take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Where code of `folder`, its tests aside, names one of `paths`.
fn mentions(folder: &str, except: &[&str], paths: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files(folder, &[".rs"]) {
        let is_test = file.iter().any(|part| part == "tests" || part == "tests.rs");
        if is_test || except.iter().any(|allowed| file.starts_with(allowed)) {
            continue;
        }
        for (number, line) in read(&root().join(&file)).lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            if !is_comment && paths.iter().any(|path| line.contains(path)) {
                offences.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    offences
}

#[test]
fn crates_know_only_what_lies_below_them() {
    let own = ["sync-protocol", "crm", "cartera-conformance", "cartera-server", "cartera-client", "cartera-tests"];
    let allowed: [(&str, &[&str]); 6] = [
        ("sync-protocol", &[]),
        ("crm", &[]),
        ("conformance", &["sync-protocol"]),
        ("server", &["sync-protocol", "crm", "cartera-conformance"]),
        ("client", &["sync-protocol", "crm"]),
        ("tests", &["sync-protocol", "crm", "cartera-conformance", "cartera-server", "cartera-client"]),
    ];
    for (package, may_know) in allowed {
        for section in ["dependencies", "dev-dependencies"] {
            for dependency in dependencies(package, section) {
                let is_own = own.contains(&dependency.as_str());
                assert!(
                    !is_own || may_know.contains(&dependency.as_str()),
                    "{package}/Cargo.toml names {dependency}: see the layers in docs/architecture.md"
                );
            }
        }
    }
}

#[test]
fn every_crate_keeps_the_workspace_lints() {
    for package in CRATES {
        let manifest = read(&root().join(package).join("Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{package}/Cargo.toml lacks the workspace's lints");
    }
}

#[test]
fn only_the_command_line_starts_a_demo_and_nothing_starts_the_command_line() {
    expect_none(
        "Only cli/ may use the demo.",
        &mentions("server/src", &["server/src/demo", "server/src/cli"], &["crate::demo"]),
    );
    expect_none("Nothing but the binary may use cli/.", &mentions("server/src", &["server/src/cli"], &["crate::cli"]));
}

#[test]
fn only_the_disk_that_loses_power_is_unsafe() {
    let lint = concat!("uns", "afe_code");
    let sources = CRATES.iter().flat_map(|package| files(package, &[".rs"]));
    let offences =
        sources.filter(|file| !file.ends_with("tests/power/disk.rs") && read(&root().join(file)).contains(lint));
    let offences: Vec<String> = offences.map(|file| file.display().to_string()).collect();
    expect_none("Only the tests' virtual file system may expect the lint against unsafe code.", &offences);
}

#[test]
fn what_is_horizontal_does_not_know_the_slices() {
    // Authentication tells who asks, and a caller has rights: it alone knows users.
    let slices = ["record", "exchange", "import", "export", "model", "demo", "scope", "device", "entitlement", "cli"];
    let paths: Vec<String> = slices.iter().map(|slice| format!("crate::{slice}::")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    expect_none(
        "platform/ is what every slice stands on; it may not use one of them.",
        &mentions("server/src/platform", &["server/src/platform/auth"], &paths),
    );
}

#[test]
fn records_are_written_by_the_writer_alone() {
    let statements = ["INSERT INTO record ", "UPDATE record ", "DELETE FROM record ", "INSERT INTO record("];
    expect_none(
        "Only record/write/ may change the table of records.",
        &mentions("server/src", &["server/src/record/write"], &statements),
    );
}

#[test]
fn files_stay_short_enough_to_read() {
    let long: Vec<String> = CRATES
        .iter()
        .flat_map(|package| files(package, &[".rs", ".yaml", ".sql"]))
        .map(|file| (read(&root().join(&file)).lines().count(), file))
        .filter(|(lines, _)| *lines > 500)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    expect_none("A file has at most 500 lines; cut it where its subject changes.", &long);
}

#[test]
fn nothing_is_called_a_drawer() {
    let drawers = ["utils", "util", "common", "helpers", "helper", "misc", "shared"];
    let named: Vec<String> = CRATES
        .iter()
        .flat_map(|package| files(package, &[".rs"]))
        .filter(|file| {
            let stem = |part: &std::ffi::OsStr| part.to_string_lossy().trim_end_matches(".rs").to_owned();
            file.iter().any(|part| drawers.contains(&stem(part).as_str()))
        })
        .map(|file| file.display().to_string())
        .collect();
    expect_none("Name a file or folder by its subject.", &named);
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK")];
    let left: Vec<String> = CRATES
        .iter()
        .flat_map(|package| files(package, &[".rs", ".yaml", ".sql", ".toml"]))
        .flat_map(|file| {
            let text = read(&root().join(&file));
            let lines = text.lines().enumerate().filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
            lines.map(|(number, line)| format!("{}:{}: {line}", file.display(), number + 1)).collect::<Vec<_>>()
        })
        .collect();
    expect_none("Do it, or describe the limit where a reader needs to know it.", &left);
}

#[test]
fn migrations_are_numbered_and_their_tables_strict() {
    let migrations = files("migrations/sqlite", &[".sql"]);
    let database = rusqlite::Connection::open_in_memory().expect("SQLite opens a database in memory");
    let mut last = 0;
    for file in &migrations {
        let name = file.file_name().expect("a file has a name").to_string_lossy();
        let number =
            name.split_once('_').filter(|(number, _)| number.len() == 4).and_then(|(number, _)| number.parse().ok());
        // A gap is no fault: numbers are given out before the files are written.
        assert!(
            number.is_some_and(|number: u32| number > last),
            "{name} breaks the numbering: it comes after {last:04}"
        );
        last = number.unwrap_or(last);
        database.execute_batch(&read(&root().join(file))).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let query = |sql: &str| {
        let mut statement = database.prepare(sql).expect("the catalogue can be read");
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("the catalogue can be read");
        rows.map(|row| row.expect("the catalogue holds text")).collect::<Vec<String>>()
    };
    expect_none(
        "Every table is STRICT.",
        &query(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'",
        ),
    );
    expect_none(
        "Every foreign key has an index that begins with it, but those to entities, which are never deleted.",
        &query(
            "SELECT t.name || '.' || fk.\"from\"
             FROM pragma_table_list AS t, pragma_foreign_key_list(t.name) AS fk
             WHERE t.schema = 'main' AND t.type = 'table' AND fk.\"table\" <> 'entity'
               AND NOT EXISTS (
                   SELECT 1 FROM pragma_index_list(t.name) AS i, pragma_index_info(i.name) AS c
                   WHERE c.seqno = 0 AND c.name = fk.\"from\")
               AND NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) AS c WHERE c.name = fk.\"from\" AND c.pk = 1)",
        ),
    );
}

#[test]
fn documents_point_to_what_is_there() {
    let mut broken = Vec::new();
    for file in files("", &[".md"]) {
        let text = read(&root().join(&file));
        let folder = root().join(file.parent().expect("a file lies in a folder"));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let is_elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && !folder.join(target).exists() {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    expect_none("A link in a document leads nowhere.", &broken);
}

#[test]
fn the_map_names_every_room() {
    let map = read(&root().join("docs/architecture.md"));
    let mut missing = Vec::new();
    for package in ["sync-protocol", "crm", "conformance", "server", "client"] {
        let source = root().join(package).join("src");
        for entry in fs::read_dir(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display())) {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            if path.is_dir() && !map.contains(&format!("{name}/")) {
                missing.push(format!("{package}/src/{name}/"));
            }
        }
    }
    expect_none("docs/architecture.md names every folder of every crate.", &missing);
}
