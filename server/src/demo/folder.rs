//! The demo's own data folder: made up once, served from then on, and never mixed up with anybody's real data.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sync_protocol::id::RecordId;

use super::calendar::date_text;
use super::{Person, Seed, Size, Staff, fill};
use crate::app::App;
use crate::platform::auth::set_shared_password;
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::entropy::Entropy;
use crate::serve::data_folder::DataFolder;

/// The password of everybody in the demo.
pub const PASSWORD: &str = "demo-tresolmos";

/// Marks a folder as a demo's; without it nothing in a folder is ever removed.
const MARK: &str = "demo.json";
const DATABASE: &str = "cartera.db";

/// Why a folder cannot become a demo.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It holds something else.
    #[error(
        "the folder {0} holds data that is no demo's: choose another with --data, or serve this one with `cartera serve`"
    )]
    NotADemo(PathBuf),
}

/// What is known of a demo that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Demo {
    /// What it was made from.
    pub seed: Seed,
    /// The day on which it was made; its year ends the day before.
    pub made_on: String,
    /// Everybody who can sign in.
    pub logins: Vec<Login>,
    /// Making it up came to its end.
    is_complete: bool,
}

/// Somebody who can sign in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    /// Her user record.
    pub user: RecordId,
    /// With which she signs in.
    pub email: String,
    /// Her full name.
    pub name: String,
    /// The role's key.
    pub role: String,
    /// Where she works.
    pub place: String,
}

impl From<&Person> for Login {
    fn from(person: &Person) -> Self {
        Self {
            user: person.id,
            email: person.email.clone(),
            name: format!("{} {}", person.name.first, person.name.last),
            role: person.role.to_owned(),
            place: person.place.clone(),
        }
    }
}

/// How a demo is made where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// What the company is made from.
    pub seed: Seed,
    /// How large it is.
    pub size: Size,
    /// Whether a demo that is there is thrown away.
    pub is_fresh: bool,
}

/// Makes the demo in the configured folder where there is none, or its making was cut off.
///
/// # Errors
/// [`FolderError`], or when the folder is in use or the demo cannot be written.
pub async fn prepare(
    config: &Config,
    recipe: Recipe,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    progress: impl FnMut(usize, usize) + Send,
) -> anyhow::Result<Demo> {
    let folder = DataFolder::lock(&config.data_dir)?;
    let mark = read_mark(folder.path())?;
    match mark {
        Some(demo) if demo.is_complete && !recipe.is_fresh => return Ok(demo),
        Some(_) => empty(folder.path())?,
        None if holds_data(folder.path()) => return Err(FolderError::NotADemo(folder.path().to_owned()).into()),
        None => {}
    }
    let mut demo =
        Demo { seed: recipe.seed, made_on: date_text(clock.today()), logins: Vec::new(), is_complete: false };
    write_mark(folder.path(), &demo)?;
    let app = App::open(config.clone(), clock, entropy).await?;
    let staff = fill(&app, recipe.seed, recipe.size, progress).await?;
    open_doors(&app, &staff).await?;
    app.close().await;
    demo.logins = staff.people().map(Login::from).collect();
    demo.is_complete = true;
    write_mark(folder.path(), &demo)?;
    Ok(demo)
}

async fn open_doors(app: &App, staff: &Staff) -> anyhow::Result<()> {
    let users: Vec<RecordId> = staff.people().map(|person| person.id).collect();
    set_shared_password(app, &users, PASSWORD)
        .await
        .map_err(|error| anyhow::anyhow!("could not set the demo's passwords: {error:?}"))
}

fn holds_data(folder: &Path) -> bool {
    fs::metadata(folder.join(DATABASE)).is_ok_and(|database| database.len() > 0)
}

fn read_mark(folder: &Path) -> anyhow::Result<Option<Demo>> {
    let path = folder.join(MARK);
    match fs::read(&path) {
        Ok(bytes) => {
            let demo = serde_json::from_slice(&bytes);
            Ok(Some(demo.with_context(|| format!("{} is damaged: remove its folder and start again", path.display()))?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
    }
}

fn write_mark(folder: &Path, demo: &Demo) -> anyhow::Result<()> {
    let path = folder.join(MARK);
    fs::write(&path, serde_json::to_vec_pretty(demo)?).with_context(|| format!("could not write {}", path.display()))
}

/// Removes a demo's database; phones that were enrolled there know another tenant then.
fn empty(folder: &Path) -> anyhow::Result<()> {
    for name in [DATABASE, "cartera.db-wal", "cartera.db-shm"] {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("could not remove {}", path.display()));
            }
            _ => {}
        }
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_phone = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(super::tour::PHONE));
        if is_phone && path.is_dir() {
            fs::remove_dir_all(&path).with_context(|| format!("could not remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::clock::ManualClock;
    use crate::platform::entropy::SeededEntropy;

    const SMALL: Recipe =
        Recipe { seed: 1, size: Size { accounts: 24, contacts: 30, opportunities: 12 }, is_fresh: false };

    async fn prepare_at(folder: &Path, day: i64, recipe: Recipe) -> (anyhow::Result<Demo>, bool) {
        let mut has_written = false;
        let config = Config::with_data_dir(folder);
        let clock = Arc::new(ManualClock::at(day * 86_400_000));
        let demo = prepare(&config, recipe, clock, Arc::new(SeededEntropy::new(1)), |_, _| has_written = true).await;
        (demo, has_written)
    }

    #[tokio::test]
    async fn a_demo_is_made_once_and_made_anew_when_asked() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (first, is_made) = prepare_at(folder.path(), 20_779, SMALL).await;
        assert!(is_made);
        assert_eq!(first.expect("it is made").logins.len(), 16);

        let (second, is_made) = prepare_at(folder.path(), 20_780, SMALL).await;
        assert_eq!((second.expect("it is there").made_on.as_str(), is_made), ("2026-11-22", false));

        let (third, is_made) = prepare_at(folder.path(), 20_780, Recipe { is_fresh: true, ..SMALL }).await;
        assert_eq!((third.expect("it is made anew").made_on.as_str(), is_made), ("2026-11-23", true));
    }

    #[tokio::test]
    async fn a_demo_whose_making_was_cut_off_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (demo, _) = prepare_at(folder.path(), 20_779, SMALL).await;
        let cut_off = Demo { is_complete: false, ..demo.expect("it is made") };
        write_mark(folder.path(), &cut_off).expect("it can be written");
        let (again, is_made) = prepare_at(folder.path(), 20_779, SMALL).await;
        assert!(again.is_ok() && is_made);
    }

    #[tokio::test]
    async fn real_data_is_never_taken_for_a_demo() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let config = Config::with_data_dir(folder.path());
        let clock = Arc::new(ManualClock::at(1));
        let app = App::open(config, clock, Arc::new(SeededEntropy::new(1))).await.expect("an empty folder is opened");
        app.close().await;
        let before = fs::read(folder.path().join(DATABASE)).expect("there is a database");
        for is_fresh in [false, true] {
            let (refused, _) = prepare_at(folder.path(), 20_779, Recipe { is_fresh, ..SMALL }).await;
            let error = refused.expect_err("it is somebody's data");
            assert!(error.to_string().contains("--data"), "{error}");
        }
        assert!(before == fs::read(folder.path().join(DATABASE)).expect("it is still there"));
    }
}
