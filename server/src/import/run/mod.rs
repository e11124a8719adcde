//! The run of an import: survey the file, open one transaction, read it again row by row, write, and keep all of it or
//! nothing. A dry run is the same run, rolled back.

mod batch;
mod feed;
mod photos;
mod store;

use std::fs::File;
use std::sync::Arc;

use crm::expr::Variables;
use crm::model::{Language, Model};
use crm::rules::Gaps;
use sync_protocol::id::RecordId;

use super::job::{ColumnReport, FileReport, ImportJob, ImportRequest, Meter, Refusal, State};
use super::mapping::{Layout, Policy};
use super::plan::{Drafting, Resolver, RowProblem};
use super::read::{ReadError, Survey};
use super::report::Problems;
use super::value::{Locale, Trouble, country_of};
use crate::app::App;
use crate::record::write::{Author, WriteError};
use batch::Importing;
use photos::Photos;
pub(super) use store::last_history;

/// A file that came, and what is to be done with it.
pub struct Run {
    /// The server.
    pub app: App,
    /// Who imports.
    pub author: Author,
    /// What was asked.
    pub request: ImportRequest,
    /// The file.
    pub file: File,
    /// Its size and hash.
    pub file_report: FileReport,
    /// Who asks how far it is reads it here.
    pub meter: Arc<Meter>,
}

/// Why an import ended early.
enum Ended {
    /// The file cannot be imported: the sender has to do something.
    Refused(Vec<Refusal>),
    /// The server could not go on.
    Failed(WriteError),
}

impl From<WriteError> for Ended {
    fn from(error: WriteError) -> Self {
        Self::Failed(error)
    }
}

impl Run {
    /// Runs it to its end and returns the import as it then stands, stored.
    ///
    /// # Errors
    /// When even its failure cannot be stored.
    pub async fn to_end(self, mut job: ImportJob) -> Result<ImportJob, sqlx::Error> {
        let app = self.app.clone();
        let language = self.author.language;
        job.state = State::Running;
        match self.import(&mut job).await {
            Ok(()) => {}
            Err(Ended::Refused(refusals)) => {
                job.state = State::Refused;
                job.refusals = refusals;
            }
            Err(Ended::Failed(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, import.id = %job.id, "an import failed");
                job.state = State::Failed;
                job.refusals = vec![failed(language)];
            }
        }
        if job.state != State::Done {
            let mut tx = app.db().write().await?;
            job.store(0, 0, &mut tx).await?;
            tx.commit().await?;
        }
        Ok(job)
    }

    async fn import(mut self, job: &mut ImportJob) -> Result<(), Ended> {
        let language = self.author.language;
        let model: Arc<Model> = Arc::new(self.author.rights.view.model.clone());
        let survey = self.survey(job).await?;
        let layout = self.layout(&model, &survey, job)?;
        let locale = self.locale()?;
        let Some(entity) = model.entity(&self.request.entity) else { return Ok(()) };

        let mut bulk = self.app.writer().bulk(self.author.clone(), Gaps::Keep).await?;
        let from = store::last_history(&mut bulk).await?;
        let indexes = store::indexes(&mut bulk, &self.app, &self.author, &model, &layout).await?;
        let variables = self.variables();
        let new_id = {
            let app = self.app.clone();
            Box::new(move || RecordId(app.entropy().uuid_v7(app.clock().now_ms())))
        };
        let mapping = &self.request.mapping;
        let drafting = Drafting::new(&model, entity, &layout, &locale);
        let resolver = Resolver::new(&model, &mapping.on_missing, &variables, indexes, new_id);
        let problems = Problems::new(language);
        let photos = Photos::new(&self.app, entity, &layout, job.dry_run);
        let mut importing =
            Importing::new(bulk, entity, &model, mapping, drafting, resolver, problems, photos, language);
        importing.mention_unmapped(&layout);
        let mut rows = feed::rows(self.file, mapping.file.clone());
        while let Some(chunk) = rows.recv().await {
            let chunk = chunk.map_err(|error| self::refused(&error, language))?;
            let count = chunk.len() as u64;
            importing.rows(chunk).await?;
            self.meter.advance(count);
        }
        importing.settle_deferred().await?;
        let (bulk, counts, problems, photos) = importing.finish();
        job.progress = self.meter.read();
        job.counts = counts;
        let has_errors = problems.has_errors();
        job.problems = problems.into_groups();
        if has_errors || job.dry_run {
            bulk.rollback();
            photos.take_back().await?;
            job.state = if has_errors { State::Refused } else { State::Checked };
            return Ok(());
        }
        job.state = State::Done;
        store::commit(bulk, job, from).await?;
        Ok(())
    }

    async fn survey(&mut self, job: &mut ImportJob) -> Result<Survey, Ended> {
        let language = self.author.language;
        let mut file = self.file.try_clone().map_err(|error| refused(&error.into(), language))?;
        let (mut options, name) = (self.request.mapping.file.clone(), self.request.file_name.clone());
        let survey = tokio::task::spawn_blocking(move || {
            if options.format.is_none() {
                options.format = Some(super::read::format_of_file(&mut file, &name)?);
            }
            super::read::survey(&mut file, &options).map(|survey| (survey, options))
        });
        let survey = survey.await.map_err(|_| Ended::Failed(WriteError::Stopped))?;
        let (survey, options) = survey.map_err(|error| refused(&error, language))?;
        self.request.mapping.file = options;
        self.meter.expect(survey.rows);
        job.file = Some(FileReport { facts: survey.facts.clone(), ..std::mem::take(&mut self.file_report) });
        job.counts.rows = survey.rows;
        job.progress = self.meter.read();
        Ok(survey)
    }

    fn layout(&self, model: &Model, survey: &Survey, job: &mut ImportJob) -> Result<Layout, Ended> {
        let language = self.author.language;
        let Some(entity) = model.entity(&self.request.entity) else {
            return Err(Ended::Refused(vec![no_entity(&self.request.entity, language)]));
        };
        let layout = Layout::of(&self.request.mapping, entity, model, &survey.columns, &survey.hints);
        let layout = layout.map_err(|error| {
            let problems = error.problems.iter();
            Ended::Refused(
                problems
                    .map(|problem| Refusal { code: "mapping".into(), line: None, message: problem.message(language) })
                    .collect(),
            )
        })?;
        job.columns = layout
            .columns
            .iter()
            .map(|plan| ColumnReport {
                column: plan.name.clone(),
                targets: plan.targets.iter().map(super::mapping::Target::shown).collect(),
            })
            .collect();
        Ok(layout)
    }

    fn locale(&self) -> Result<Locale, Ended> {
        let mapping = &self.request.mapping;
        let currency = mapping.currency.as_deref().unwrap_or("EUR").trim().to_ascii_uppercase();
        let country = mapping.country.as_deref().unwrap_or("ES");
        let mut wrong = Vec::new();
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            wrong.push(wrong_setting("currency", &currency, "EUR", self.author.language));
        }
        if country_of(country).is_none() {
            wrong.push(wrong_setting("country", country, "ES", self.author.language));
        }
        if !wrong.is_empty() {
            return Err(Ended::Refused(wrong));
        }
        Ok(Locale { currency, country: country_of(country), decimal: mapping.decimal, order: mapping.date_format })
    }

    fn variables(&self) -> Variables {
        let now_ms = self.app.clock().now_ms();
        let me = self.author.user.map(|user| user.0);
        Variables { today: now_ms.div_euclid(86_400_000), now_ms, me }
    }
}

fn refused(error: &ReadError, language: Language) -> Ended {
    let (code, message) = (error.damage.code().to_owned(), error.damage.message(language));
    Ended::Refused(vec![Refusal { code, line: error.line, message }])
}

fn failed(language: Language) -> Refusal {
    let message = match language {
        Language::Es => "El servidor no pudo terminar la importación; no se ha importado nada. Inténtalo otra vez.",
        Language::En => "The server could not finish the import; nothing was imported. Try again.",
    };
    Refusal { code: "failed".into(), line: None, message: message.into() }
}

fn no_entity(entity: &str, language: Language) -> Refusal {
    let message = match language {
        Language::Es => format!("No hay ninguna entidad «{entity}» que puedas ver."),
        Language::En => format!("There is no entity “{entity}” that you may see."),
    };
    Refusal { code: "unknown-entity".into(), line: None, message }
}

fn wrong_setting(name: &str, value: &str, example: &str, language: Language) -> Refusal {
    let message = match language {
        Language::Es => format!("`{name}: {value}` no existe: escribe un código como {example}."),
        Language::En => format!("`{name}: {value}` does not exist: write a code such as {example}."),
    };
    Refusal { code: "mapping".into(), line: None, message }
}

/// A requirement that the row leaves open: an error, unless the sender says to keep such rows.
fn gap(policy: Policy, problem: RowProblem, field: &str) -> RowProblem {
    if policy == Policy::Keep {
        return problem;
    }
    let RowProblem { column, value, message, .. } = problem;
    let trouble = Trouble::new(
        "required",
        format!("{} O importa las filas sin él con --on-missing {field}=keep.", message.es),
        format!("{} Or bring the rows in without it with --on-missing {field}=keep.", message.en),
    );
    RowProblem::error(trouble, column.as_deref(), field, value.as_deref().unwrap_or_default())
}
