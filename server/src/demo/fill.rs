//! Tells the story to the writer.

use std::sync::Arc;

use crm::model::Language;
use crm::rules::Gaps;
use sync_protocol::id::RecordId;

use super::{Seed, Size, Staff, make_up};
use crate::app::App;
use crate::record::write::{Author, Decision, Then};
use crate::user::rights::Rights;

/// How many changes of the setting are decided together.
const AT_ONCE: usize = 500;

/// Writes the company into a tenant that has none, whole or not at all; `progress` is told how many of how many changes
/// are written.
///
/// # Errors
/// When the writer fails, or refuses anything: then nothing is stored.
pub async fn fill(
    app: &App,
    seed: Seed,
    size: Size,
    mut progress: impl FnMut(usize, usize) + Send,
) -> anyhow::Result<Staff> {
    let directory = app.directory();
    let (story, staff) = make_up(seed, app.clock().today(), size, |key| directory.role_by_key(key).map(RecordId));
    let all = story.number_of_changes();
    let mut written = 0;
    let operator = Author {
        user: None,
        device: 0,
        rights: Arc::new(Rights::of_operator(&app.catalogue())),
        language: Language::Es,
    };
    let mut bulk = app.writer().bulk(operator.clone(), Gaps::Keep).await?;
    for changes in story.setting.chunks(AT_ONCE) {
        accept(&bulk.write(changes.to_vec()).await?)?;
        written += changes.len();
        progress(written, all);
    }
    for sitting in story.into_sittings() {
        // The writer looks the rights up again: the people were made in this very transaction.
        let author = Author { user: Some(sitting.user), ..operator.clone() };
        let then = Then { author, gaps: Gaps::Refuse, at_ms: sitting.at_ms };
        written += sitting.changes.len();
        accept(&bulk.write_then(then, sitting.changes).await?)?;
        progress(written, all);
    }
    bulk.commit().await?;
    Ok(staff)
}

fn accept(decisions: &[Decision]) -> anyhow::Result<()> {
    for decision in decisions {
        if decision.is_rejected() {
            anyhow::bail!("the writer refused record {} of the demo: {:?}", decision.record, decision.reason);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::platform::clock::ManualClock;
    use crate::platform::config::Config;
    use crate::platform::entropy::SeededEntropy;

    const NOW_MS: i64 = 20_779 * 86_400_000;
    const SMALL: Size = Size { accounts: 120, contacts: 300, opportunities: 150 };

    async fn filled(folder: &tempfile::TempDir) -> (App, Staff) {
        let config = Config::with_data_dir(folder.path());
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let app = App::open(config, clock, Arc::new(SeededEntropy::new(1))).await.expect("an empty folder is opened");
        let staff = fill(&app, 1, SMALL, |_, _| {}).await.expect("the writer takes the whole story");
        (app, staff)
    }

    async fn count(app: &App, sql: &'static str) -> i64 {
        let (count,) = sqlx::query_as::<_, (i64,)>(sql).fetch_one(app.db().readers()).await.expect("it can be counted");
        count
    }

    #[tokio::test]
    async fn the_year_is_told_by_those_who_lived_it() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (app, staff) = filled(&folder).await;

        let opportunities = "SELECT count(*) FROM record JOIN entity ON code = entity WHERE name = 'opportunity'";
        assert_eq!(count(&app, opportunities).await, 150);
        let told: Vec<(Option<Uuid>, i64, i64)> = sqlx::query_as(
            "SELECT who, min(at_ms), max(at_ms) FROM history WHERE who IS NOT NULL GROUP BY who ORDER BY who",
        )
        .fetch_all(app.db().readers())
        .await
        .expect("history can be read");
        assert_eq!(told.len(), 12, "each representative told a part");
        for (who, first, last) in told {
            assert!(staff.representatives.iter().any(|representative| Some(representative.person.id.0) == who));
            assert!(first > NOW_MS - 366 * 86_400_000 && last < NOW_MS, "{first} to {last}");
            assert!(last - first > 180 * 86_400_000, "over the whole year");
        }
    }

    #[tokio::test]
    async fn every_record_stands_in_its_owners_team() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (app, _) = filled(&folder).await;
        let directory = app.directory();
        let rows: Vec<(Uuid, Option<Uuid>, Option<Uuid>, String)> = sqlx::query_as(
            "SELECT owner, team, territory, name || body FROM record JOIN entity ON code = entity WHERE owner IS NOT NULL",
        )
        .fetch_all(app.db().readers())
        .await
        .expect("records can be read");
        assert!(rows.len() > 1_000, "{} records have an owner", rows.len());
        for (owner, team, territory, record) in rows {
            let place = directory.place_of_owner(owner);
            assert_eq!((team, territory), (place.team, place.territory), "{record}");
        }
    }
}
