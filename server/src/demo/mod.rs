//! A made-up company to try Cartera on: a Spanish dealer in equipment for professional kitchens, with a year of sales.
//!
//! The same seed and the same day give the same company. Its story is told through the writer, by the people who lived
//! it and under the rules that hold for everyone, so that histories, stage passages and rights are real.

mod calendar;
mod catalogue;
mod chance;
mod customers;
mod deals;
mod diary;
mod fill;
mod folder;
mod leads;
mod names;
mod places;
mod staff;
mod story;
mod tax_id;
mod tour;

use calendar::Day;
use chance::{Part, chance};
pub use fill::fill;
pub use folder::{Demo, FolderError, Login, PASSWORD, Recipe, prepare};
pub use staff::{Person, Staff};
pub use story::{Sitting, Story};
use sync_protocol::id::RecordId;
pub use tour::{Step, Tour, plan as plan_tour};

/// What the company is made from: another seed makes another company.
pub type Seed = u64;

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Accounts.
    pub accounts: usize,
    /// Contacts, at least one for each account.
    pub contacts: usize,
    /// Opportunities.
    pub opportunities: usize,
}

impl Size {
    /// The demo's own.
    pub const COMPANY: Self = Self { accounts: 2_000, contacts: 6_000, opportunities: 3_000 };
}

/// The days that the story tells.
#[derive(Clone, Copy, Debug)]
struct Period {
    first: Day,
    /// Yesterday: today's work is for whoever tries the demo.
    last: Day,
}

/// Makes up the company and its year up to the day before `today` (days since 1970-01-01); `role` tells the record of a
/// role by its key.
pub fn make_up(seed: Seed, today: i64, size: Size, role: impl Fn(&str) -> Option<RecordId>) -> (Story, Staff) {
    let period = Period { first: today - 365, last: today - 1 };
    let mut story = Story::default();
    let staff = staff::hire(&mut story, period.first, role, &mut chance(seed, Part::Staff));
    let catalogue = catalogue::publish(&mut story, period.first, &mut chance(seed, Part::Catalogue));
    let customers = customers::settle(&mut story, size, period, &staff, &catalogue, &mut chance(seed, Part::Customers));
    let deals = deals::pursue(&mut story, size, period, &customers, &catalogue, &mut chance(seed, Part::Deals));
    diary::fill(&mut story, period, &staff, &customers, &deals, &mut chance(seed, Part::Diary));
    leads::take_in(&mut story, period, &staff, &customers, &deals, &mut chance(seed, Part::Leads));
    (story, staff)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use serde_json::Value;
    use sync_protocol::wire::MutationKind;

    use super::*;
    use crate::record::write::Change;

    const TODAY: i64 = 20_779; // 2026-11-22

    static COMPANY: LazyLock<Vec<Change>> = LazyLock::new(|| tell(1, Size::COMPANY));

    fn tell(seed: Seed, size: Size) -> Vec<Change> {
        let (story, _) = make_up(seed, TODAY, size, |_| None);
        story.changes().cloned().collect()
    }

    /// Records by entity, with the fields that they have in the end.
    fn records(changes: &[Change]) -> BTreeMap<&str, BTreeMap<RecordId, BTreeMap<&str, &Value>>> {
        let mut records: BTreeMap<&str, BTreeMap<RecordId, BTreeMap<&str, &Value>>> = BTreeMap::new();
        for change in changes {
            let record = records.entry(&change.entity).or_default().entry(change.record).or_default();
            record.extend(change.set.iter().map(|(name, value)| (name.as_str(), value)));
        }
        records
    }

    #[test]
    fn the_same_seed_and_day_give_the_same_company() {
        let small = Size { accounts: 120, contacts: 300, opportunities: 150 };
        let first = format!("{:?}", tell(1, small));
        assert_eq!(first, format!("{:?}", tell(1, small)));
        assert_ne!(first, format!("{:?}", tell(2, small)));
    }

    #[test]
    fn the_company_is_as_large_as_it_was_asked_to_be() {
        let records = records(&COMPANY);
        let count = |entity| records[entity].len();
        assert_eq!((count("account"), count("contact"), count("opportunity")), (2_000, 6_000, 3_000));
        assert_eq!((count("territory"), count("team"), count("user")), (3, 6, 1 + 3 + 12));
        assert!(count("activity") > 12_000, "a year of activities: {}", count("activity"));
        assert!(count("lead") > 260 && count("product") > 80 && count("price_item") > 200);
    }

    #[test]
    fn nothing_is_changed_or_linked_before_it_is_made() {
        let mut made = std::collections::BTreeSet::new();
        for change in COMPANY.iter() {
            let is_new = change.kind == MutationKind::Create;
            assert_eq!(made.contains(&change.record), !is_new, "{change:?}");
            for (name, value) in &change.set {
                let link = value.as_str().or_else(|| value.get("id").and_then(Value::as_str));
                let ids = value.as_array().into_iter().flatten().filter_map(Value::as_str).chain(link);
                for id in ids.filter_map(|id| id.parse().ok()) {
                    assert!(made.contains(&id), "{name} of {change:?} points to what is not there yet");
                }
            }
            made.insert(change.record);
        }
    }

    #[test]
    fn deals_end_as_deals_do() {
        let records = records(&COMPANY);
        let mut by_stage: BTreeMap<&str, usize> = BTreeMap::new();
        for deal in records["opportunity"].values() {
            *by_stage.entry(deal["stage"].as_str().expect("a stage is a string")).or_default() += 1;
        }
        let decided = by_stage["won"] + by_stage["lost"];
        assert!((300..900).contains(&(3_000 - decided)), "{by_stage:?}");
        assert!((35..55).contains(&(by_stage["won"] * 100 / decided)), "{by_stage:?}");
    }
}
