//! The walk in `docs/import-export.md`, done as it is written: its files, its commands, and word for word what they say.

use std::collections::BTreeMap;
use std::path::Path;

use cartera_tests::product;
use uuid::Uuid;

/// How the guide writes an id: its beginning and what stands for the rest.
const CUT: &str = "-…";

/// One block of the walk.
#[derive(Debug)]
enum Step {
    Write { name: String, text: String },
    Run { command: String, says: String },
}

fn walk() -> Vec<Step> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/import-export.md");
    let guide = std::fs::read_to_string(guide).expect("the guide is there");
    let (_, walk) = guide.split_once("\n## A walk\n").expect("the guide has a walk");
    let (walk, _) = walk.split_once("\n## ").expect("something follows the walk");
    let mut steps = Vec::new();
    let mut blocks = walk.split("```");
    let mut before = blocks.next().expect("a text comes first");
    while let (Some(block), Some(after)) = (blocks.next(), blocks.next()) {
        let (language, text) = block.split_once('\n').expect("a block has lines");
        if language == "console" {
            let (command, says) = text.split_once('\n').expect("a command and what it says");
            let command = command.strip_prefix("$ ").expect("a command begins with its prompt").to_owned();
            steps.push(Step::Run { command, says: says.trim_end().to_owned() });
        } else {
            let name = before.split('`').rev().nth(1).expect("the text before a file names it").to_owned();
            steps.push(Step::Write { name, text: text.to_owned() });
        }
        before = after;
    }
    steps
}

/// What was said, with its ids cut as the guide cuts them. An id that stands where the guide has another one for the
/// first time is that one from here on.
fn as_the_guide_writes(said: &str, guide: &str, ids: &mut BTreeMap<String, String>) -> String {
    let mut cut = guide.split_whitespace().filter(|word| word.ends_with(CUT));
    let mut said = said.trim_start_matches('\u{feff}').replace('\r', "").trim_end().to_owned();
    let whole: Vec<String> =
        said.split_whitespace().filter(|word| Uuid::parse_str(word).is_ok()).map(str::to_owned).collect();
    for id in whole {
        let Some(short) = cut.next() else { break };
        ids.entry(short.to_owned()).or_insert_with(|| id.clone());
        if ids[short] == id {
            said = said.replace(&id, short);
        }
    }
    said
}

#[test]
fn the_guide_says_what_happens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let mut commands = 0;
    for step in walk() {
        match step {
            Step::Write { name, text } => std::fs::write(folder.path().join(name), text).expect("a file"),
            Step::Run { command, says } => {
                let whole =
                    ids.iter().fold(command.clone(), |command, (short, id)| command.replace(short.as_str(), id));
                let words: Vec<&str> = whole.split_whitespace().collect();
                let mut run = product(words[0]);
                run.args(&words[1..]).current_dir(folder.path()).env("CARTERA_LANGUAGE", "en");
                let output = run.output().expect("the command starts");
                let said = String::from_utf8(output.stdout).expect("text");
                let complaint = String::from_utf8_lossy(&output.stderr);
                assert_eq!(as_the_guide_writes(&said, &says, &mut ids), says, "{command}\n{complaint}");
                commands += 1;
            }
        }
    }
    assert!(commands > 3, "the walk has {commands} commands");
}
