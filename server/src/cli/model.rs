//! `cartera model`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Context;
use super::local_api::LocalApi;
use super::output::{Answer, Failure};

/// Shows the model, and checks and applies overlays
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera model apply crm-sales.yaml --data ./cartera-data")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Apply(Apply),
    Check(Check),
    Show(Show),
}

/// Applies an overlay, at once and for everybody
#[derive(Args, Debug)]
#[command(
    long_about = "Applies an overlay, at once and for everybody: all of it, or nothing when something in it is wrong.\n\nAn overlay that was applied under the same name is replaced.",
    after_help = "Example:\n  cartera model apply crm-sales.yaml"
)]
struct Apply {
    #[command(flatten)]
    overlay: OverlayFile,
}

/// Says what is wrong with an overlay, and changes nothing
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera model check crm-sales.yaml")]
struct Check {
    #[command(flatten)]
    overlay: OverlayFile,
}

#[derive(Args, Debug)]
struct OverlayFile {
    /// Definitions in YAML, as docs/model.md describes them.
    file: PathBuf,
    /// What the overlay is called; the file's name without its ending when left out.
    #[arg(long)]
    name: Option<String>,
}

/// Shows the entities of the model, or the fields of one
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  cartera model show opportunity")]
struct Show {
    /// The entity; all when left out.
    entity: Option<String>,
}

pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Answer, Failure> {
    // Read before the data is opened: a file that is not there is no reason to wait for it.
    let body = match &arguments.action {
        Action::Apply(Apply { overlay }) | Action::Check(Check { overlay }) => overlay.read()?,
        Action::Show(_) => Value::Null,
    };
    let api = LocalApi::open(context).await?;
    let done = match &arguments.action {
        Action::Apply(_) => apply(&api, &body).await,
        Action::Check(_) => check(&api, &body).await,
        Action::Show(show) => show_model(&api, show.entity.as_deref()).await,
    };
    api.close().await;
    done
}

impl OverlayFile {
    /// The overlay as the API takes it.
    fn read(&self) -> Result<Value, Failure> {
        let yaml = std::fs::read_to_string(&self.file)
            .map_err(|error| Failure::usage(format!("could not read the overlay {}: {error}", self.file.display())))?;
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        Ok(json!({ "name": self.name.as_deref().unwrap_or(&stem), "yaml": yaml }))
    }
}

async fn apply(api: &LocalApi, body: &Value) -> Result<Answer, Failure> {
    let applied: Value = api.post("/api/v1/model/layers", body).await?;
    let name = applied["name"].as_str().unwrap_or_default();
    let text = if applied["changed"] == true {
        format!("The overlay {name} is in force.")
    } else {
        format!("The overlay {name} was in force already; nothing changed.")
    };
    Ok(Answer::new(&applied, text))
}

async fn check(api: &LocalApi, body: &Value) -> Result<Answer, Failure> {
    let checked: Value = api.post("/api/v1/model/layers?check=true", body).await?;
    let name = checked["name"].as_str().unwrap_or_default();
    let text = if checked["changed"] == true {
        format!("The overlay {name} is in order; `cartera model apply` would put it in force.")
    } else {
        format!("The overlay {name} is in order; applying it would change nothing.")
    };
    Ok(Answer::new(&checked, text))
}

async fn show_model(api: &LocalApi, entity: Option<&str>) -> Result<Answer, Failure> {
    let mut model: Value = api.get("/api/v1/model").await?;
    let Some(name) = entity else {
        let entities = model["entities"].as_object().into_iter().flatten();
        let mut lines = vec![format!("{:<20} {:<28} FIELDS", "ENTITY", "NAME")];
        lines.extend(entities.map(|(name, entity)| {
            let fields = entity["fields"].as_object().map_or(0, serde_json::Map::len);
            format!("{name:<20} {:<28} {fields}", label(&entity["labels"]["en"][1]))
        }));
        lines.push(format!("model {}", label(&model["hash"])));
        return Ok(Answer::new(&model, lines.join("\n")));
    };
    let entity = model["entities"].get_mut(name).map(Value::take).ok_or_else(|| {
        Failure::new(
            "unknown-entity",
            "There is no such entity.",
            format!("the model has no entity {name:?}; `cartera model show` lists all"),
        )
    })?;
    let fields = entity["fields"].as_object().into_iter().flatten();
    let mut lines = vec![format!("{:<20} {:<12} NAME", "FIELD", "TYPE")];
    lines
        .extend(fields.map(|(name, field)| {
            format!("{name:<20} {:<12} {}", label(&field["type"]), label(&field["labels"]["en"]))
        }));
    Ok(Answer::new(&entity, lines.join("\n")))
}

fn label(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
