//! What to try with the demo: commands that work as they are printed.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;
use uuid::Uuid;

use super::folder::{Demo, Login, PASSWORD};
use crate::app::App;

/// What the folders of the tour's phones begin with, in the demo's data folder.
pub const PHONE: &str = "phone-";

/// Everything that is said when the demo is up.
#[derive(Debug, Serialize)]
pub struct Tour {
    /// Where it answers.
    pub url: String,
    /// Its data folder.
    pub data: String,
    /// The day on which it was made.
    pub made_on: String,
    /// The password of all.
    pub password: &'static str,
    /// Everybody who can sign in.
    pub logins: Vec<Login>,
    /// Steps to try, in order.
    pub steps: Vec<Step>,
}

/// Something to try.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What it shows.
    pub title: &'static str,
    /// Lines for a shell.
    pub commands: Vec<String>,
}

/// Looks up what the commands name, and writes the tour.
///
/// # Errors
/// When the database does not answer.
pub async fn plan(app: &App, demo: &Demo, url: String, data_dir: &Path) -> anyhow::Result<Tour> {
    let representatives: Vec<&Login> = demo.logins.iter().filter(|login| login.role == "sales_rep").collect();
    let manager = demo.logins.iter().find(|login| login.role == "sales_manager");
    let mut steps = Vec::new();
    // The first manager's first representative: what one writes the other sees.
    if let (Some(representative), Some(manager)) = (representatives.first(), manager) {
        let guide = Guide { url: &url, data_dir, representative, manager };
        steps.push(guide.two_phones());
        if let Some((deal, name)) = open_deal(app, representative).await? {
            steps.extend([guide.edit_offline(deal, &name), guide.rules_on_the_device(deal)]);
        }
        steps.push(guide.beside_the_server());
    }
    let data = data_dir.display().to_string();
    Ok(Tour { url, data, made_on: demo.made_on.clone(), password: PASSWORD, logins: demo.logins.clone(), steps })
}

/// The latest of her deals that is being negotiated, else any that is open.
async fn open_deal(app: &App, login: &Login) -> Result<Option<(Uuid, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT r.id, r.body ->> 'name' FROM record AS r JOIN entity AS e ON e.code = r.entity
         WHERE e.name = 'opportunity' AND r.owner = $1 AND r.body ->> 'stage' NOT IN ('won', 'lost')
         ORDER BY r.body ->> 'stage' = 'negotiation' DESC, r.seq DESC LIMIT 1",
    )
    .bind(login.user.0)
    .fetch_optional(app.db().readers())
    .await
}

struct Guide<'a> {
    url: &'a str,
    data_dir: &'a Path,
    representative: &'a Login,
    manager: &'a Login,
}

impl Guide<'_> {
    fn phone(&self, whose: &str) -> String {
        format!("{} --home {}/{PHONE}{whose}", command("cartera-device"), self.data_dir.display())
    }

    fn two_phones(&self) -> Step {
        let (one, other) = (self.phone("rep"), self.phone("manager"));
        Step {
            title: "Two phones: a representative has her team's records, her manager the whole territory's",
            commands: vec![
                format!("export CARTERA_PASSWORD={PASSWORD}"),
                format!("{one} enrol {} --user {}", self.url, self.representative.email),
                format!("{one} sync"),
                format!("{one} list opportunity --where \"stage.kind == 'open' && amount > 2000000\" --limit 5"),
                format!("{one} search horno panaderia"),
                format!("{other} enrol {} --user {}", self.url, self.manager.email),
                format!("{other} sync"),
                format!("{other} sum opportunity amount --where \"stage.kind == 'won'\""),
            ],
        }
    }

    fn edit_offline(&self, deal: Uuid, name: &str) -> Step {
        let (one, other) = (self.phone("rep"), self.phone("manager"));
        let mut title = format!("# {name}");
        title.truncate(title.char_indices().nth(100).map_or(title.len(), |(end, _)| end));
        Step {
            title: "Both edit one deal without a network: different fields merge, of the same field one is told",
            commands: vec![
                title,
                format!("{one} set opportunity {deal} next_step='Visita el lunes' own_probability=80"),
                format!(
                    "{other} set opportunity {deal} next_step='Llamar al gerente' description='Piden entrega antes de Navidad'"
                ),
                format!("{one} outbox"),
                format!("{one} sync"),
                format!("{other} sync"),
                format!("{other} conflicts"),
                format!("{one} sync"),
                format!("{one} show opportunity {deal}"),
            ],
        }
    }

    fn rules_on_the_device(&self, deal: Uuid) -> Step {
        let one = self.phone("rep");
        Step {
            title: "The model's rules hold on the phone: a lost deal needs a reason",
            commands: vec![
                format!("{one} --lang en set opportunity {deal} stage=lost"),
                format!("{one} --lang en set opportunity {deal} stage=lost close_reason=price"),
                format!("{one} sync"),
            ],
        }
    }

    fn beside_the_server(&self) -> Step {
        let cartera = command("cartera");
        let data = self.data_dir.display();
        Step {
            title: "Commands beside the running server",
            commands: vec![
                format!("{cartera} user list --data {data}"),
                format!("{cartera} export opportunity --data {data} -o opportunities.csv"),
            ],
        }
    }
}

/// A command as it can be called from here: beside the running one where it lies there, else by its name.
fn command(name: &str) -> String {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(name)).filter(|path| path.is_file());
    let here = std::env::current_dir().ok();
    beside.map_or_else(|| name.to_owned(), |path| below(&path, here.as_deref()).display().to_string())
}

fn below<'a>(path: &'a Path, folder: Option<&Path>) -> &'a Path {
    folder.and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path)
}

impl Tour {
    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(text, "Tresolmos, a made-up dealer in kitchen equipment, is at {}", self.url);
        let _ = writeln!(text, "Its data lies in {}; it was made on {}. Ctrl-C stops it.\n", self.data, self.made_on);
        let _ = writeln!(text, "Everybody's password is {}\n", self.password);
        for login in &self.logins {
            let _ = writeln!(text, "  {:<14} {:<42} {}", login.role, login.email, login.place);
        }
        let _ = writeln!(text, "\nTo try in another shell, from this folder:");
        for (index, step) in self.steps.iter().enumerate() {
            let _ = writeln!(text, "\n{}. {}", index + 1, step.title);
            for command in &step.commands {
                let _ = writeln!(text, "  {command}");
            }
        }
        text
    }
}
