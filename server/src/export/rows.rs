use std::sync::Arc;

use crm::Fields;
use crm::model::Entity;
use sqlx::{Sqlite, Transaction};

use super::cell::{Cell, cell};
use super::column::{Column, columns, field_names};
use super::titles::Titles;
use super::{ExportQuery, Links, Style};
use crate::app::App;
use crate::record::catalogue::Catalogue;
use crate::record::read::list::{ListQuery, MAX_LIMIT};
use crate::record::read::{ReadError, Reader};
use crate::user::rights::Rights;

/// The records of one export, page by page, in one state of the database.
pub(super) struct Rows {
    reader: Reader,
    rights: Arc<Rights>,
    catalogue: Arc<Catalogue>,
    snapshot: Transaction<'static, Sqlite>,
    entity: Entity,
    query: ListQuery,
    titles: Titles,
    style: Style,
    columns: Vec<Column>,
    is_over: bool,
}

impl Rows {
    /// Of what `rights` may read of the entity; the caller has made sure that they may export it.
    pub(super) async fn open(
        app: &App,
        rights: Arc<Rights>,
        entity: &Entity,
        asked: &ExportQuery,
        is_exact: bool,
    ) -> Result<Self, ReadError> {
        let catalogue = app.catalogue();
        let snapshot = app.db().readers().begin().await?;
        let columns = columns(entity, asked.fields.as_deref(), asked.language);
        let query = ListQuery {
            filter: asked.filter.clone(),
            sort: asked.sort.clone(),
            fields: Some(known(entity, asked.fields.as_deref(), &columns)),
            limit: Some(MAX_LIMIT),
            page: None,
        };
        Ok(Self {
            reader: Reader::new(catalogue.clone(), rights.clone(), app.clock().now_ms()),
            rights,
            catalogue,
            snapshot,
            entity: entity.clone(),
            query,
            titles: Titles::default(),
            style: Style { language: asked.language, links: asked.links, is_exact },
            columns,
            is_over: false,
        })
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// The next rows; none behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Vec<Cell>>>, ReadError> {
        if self.is_over {
            return Ok(None);
        }
        let page = self.reader.list(&mut self.snapshot, &self.entity.name, &self.query).await?;
        self.is_over = page.next.is_none();
        self.query.page = page.next;
        let mut ids = Vec::with_capacity(page.items.len());
        let mut records: Vec<Fields> = Vec::with_capacity(page.items.len());
        for item in &page.items {
            let damaged = |source| ReadError::Damaged { entity: self.entity.name.clone(), id: item.id, source };
            records.push(item.parsed().map_err(damaged)?);
            ids.push(item.id.to_string());
        }
        if self.style.links == Links::Titles {
            let Self { titles, entity, catalogue, rights, snapshot, .. } = self;
            titles.learn(&records, entity, catalogue, rights, snapshot).await?;
        }
        let row = |(id, fields): (&String, &Fields)| -> Vec<Cell> {
            let columns = self.columns.iter();
            columns.map(|column| cell(&self.entity, column, id, fields, &self.titles, self.style)).collect()
        };
        Ok(Some(ids.iter().zip(&records).map(row).collect()))
    }
}

/// The fields to read. What was asked for and is not there goes along, for the reader to refuse it by its name.
fn known(entity: &Entity, asked: Option<&str>, columns: &[Column]) -> String {
    let mut names = field_names(columns);
    for name in asked.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "id") {
        if entity.field(name).is_none() {
            names = format!("{names},{name}");
        }
    }
    names
}
