mod hidden;
mod paging;
mod search;
mod summary;
mod visibility;

use crate::record::fixture::World;
use crate::record::read::ReadError;
use crate::record::read::list::{ListQuery, Page};

/// The deals that a user lists, or why not.
async fn deals(world: &World, user: &str, query: ListQuery) -> Result<Page, ReadError> {
    let mut connection = world.connection().await;
    world.reader(user).list(&mut connection, "opportunity", &query).await
}

/// Their names, in the order of the page.
fn names(page: &Page) -> Vec<String> {
    let name = |fields: &crm::Fields| fields["name"].as_str().expect("a text").to_owned();
    page.items.iter().map(|record| name(&record.parsed().expect("an object"))).collect()
}

/// A list of all that holds `filter`.
fn filtered(filter: &str) -> ListQuery {
    ListQuery { filter: Some(filter.to_owned()), ..ListQuery::default() }
}
