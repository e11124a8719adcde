//! Random well-typed expressions over random records: memory and SQLite give the same value or the same error.

use crm::Fields;
use crm::expr::{Expr, Variables, date_text};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::fixture::{File, in_memory};
use crate::sqlite::Sqlite;

/// How often operators stand in each other.
const LEVELS: u32 = 4;
const CASES: u32 = 1_000;

type Source = BoxedStrategy<String>;

/// Expressions of every type, up to some depth.
#[derive(Clone)]
struct Level {
    bools: Source,
    ints: Source,
    dates: Source,
    instants: Source,
    texts: Source,
}

impl Level {
    fn leaves() -> Self {
        Self {
            bools: prop_oneof![
                fixed(&[
                    "true",
                    "false",
                    "vip",
                    "urgent",
                    "source == 'web'",
                    "source in ['web', 'fair']",
                    "'air' in interests"
                ]),
                fixed(&[
                    "has(name)",
                    "tags == null",
                    "close_date != null",
                    "stage.kind == 'open'",
                    "about.entity == 'account'"
                ]),
                fixed(&[
                    "phones == null",
                    "amount.currency == 'EUR'",
                    "owner == me",
                    "me in contacts",
                    "stage.category != 'closed'"
                ]),
            ]
            .boxed(),
            ints: prop_oneof![
                fixed(&[
                    "quantity",
                    "other",
                    "discount",
                    "probability",
                    "amount",
                    "stage.probability",
                    "size(tags)",
                    "size(phones)"
                ]),
                fixed(&["close_date.year", "close_date.month", "created_on.year", "created_on.month", "today.year"]),
                number().prop_map(|number| if number < 0 { format!("({number})") } else { number.to_string() }),
            ]
            .boxed(),
            dates: prop_oneof![
                fixed(&["close_date", "start_date", "today"]),
                day().prop_map(|day| format!("date('{day}')"))
            ]
            .boxed(),
            instants: fixed(&["created_on", "now"]),
            texts: prop_oneof![
                fixed(&["name", "notes", "email", "owner", "about", "stage.kind", "me", "amount.currency"]),
                text().prop_map(|text| quoted(&text)),
            ]
            .boxed(),
        }
    }

    fn above(&self, level: u32) -> Self {
        let Self { bools, ints, dates, instants, texts } = self.clone();
        Self {
            bools: prop_oneof![
                bools.clone(),
                joined(&bools, &["&&", "||", "==", "!="], &bools),
                joined(&bools, &["&&", "||"], &bools),
                joined(&ints, &["==", "!=", "<", "<=", ">", ">="], &ints),
                joined(&dates, &["==", "!=", "<", "<=", ">", ">="], &dates),
                joined(&dates, &["==", "<", ">="], &instants),
                joined(&instants, &["==", "<", ">="], &instants),
                joined(&texts, &["==", "!=", "<", ">="], &texts),
                (texts.clone(), select(vec!["contains", "startsWith", "endsWith"]), texts.clone())
                    .prop_map(|(whole, test, part)| format!("({whole}).{test}({part})")),
                bools.clone().prop_map(|inner| format!("!({inner})")),
                prop_oneof![bools.clone(), ints.clone(), texts.clone(), dates.clone()]
                    .prop_map(|inner| format!("({inner}) == null")),
                texts.clone().prop_map(|text| format!("({text}) in tags")),
                (ints.clone(), number()).prop_map(|(int, number)| format!("({int}) in [quantity, {number}]")),
                quantified(level, &bools, &ints, &texts),
                chosen(&bools, &bools),
            ]
            .boxed(),
            ints: prop_oneof![
                ints.clone(),
                joined(&ints, &["+", "-", "*", "/", "%"], &ints),
                joined(&ints, &["+", "-"], &ints),
                joined(&dates, &["-"], &prop_oneof![dates.clone(), instants.clone()].boxed()),
                joined(&instants, &["-"], &instants),
                ints.clone().prop_map(|inner| format!("-({inner})")),
                texts.clone().prop_map(|text| format!("size({text})")),
                (ints.clone(), ints.clone()).prop_map(|(value, divisor)| format!("round_half_up({value}, {divisor})")),
                chosen(&bools, &ints),
            ]
            .boxed(),
            dates: prop_oneof![dates.clone(), joined(&dates, &["+", "-"], &ints), chosen(&bools, &dates)].boxed(),
            instants: prop_oneof![instants.clone(), joined(&instants, &["+", "-"], &ints)].boxed(),
            texts: prop_oneof![texts.clone(), chosen(&bools, &texts)].boxed(),
        }
    }
}

fn fixed(sources: &[&str]) -> Source {
    select(sources.iter().map(ToString::to_string).collect::<Vec<_>>()).boxed()
}

fn joined(left: &Source, operators: &[&'static str], right: &Source) -> Source {
    (left.clone(), select(operators.to_vec()), right.clone())
        .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})"))
        .boxed()
}

fn chosen(bools: &Source, values: &Source) -> Source {
    (bools.clone(), values.clone(), values.clone())
        .prop_map(|(condition, yes, no)| format!("({condition}) ? ({yes}) : ({no})"))
        .boxed()
}

/// Members are named by the level, because two that stand in each other have different names.
fn quantified(level: u32, bools: &Source, ints: &Source, texts: &Source) -> Source {
    let predicate = prop_oneof![
        (select(vec!["==", "!=", "<"]), texts.clone())
            .prop_map(move |(operator, text)| format!("t{level} {operator} ({text})")),
        texts.clone().prop_map(move |text| format!("t{level}.contains({text})")),
        (bools.clone(), texts.clone())
            .prop_map(move |(condition, text)| format!("({condition}) && t{level} != ({text})")),
        ints.clone().prop_map(move |int| format!("size(t{level}) * ({int}) > 7")),
    ];
    let list = fixed(&["tags", "contacts", "['a', name, \"'\"]"]);
    (list, select(vec!["all", "exists"]), predicate)
        .prop_map(move |(list, quantifier, predicate)| format!("{list}.{quantifier}(t{level}, {predicate})"))
        .boxed()
}

/// Any number, most often one at which something happens.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, 2, 100, i64::MAX - 1, i64::MAX, 1 << 31, 1 << 53, 86_400_000]),
        -20_i64..20,
        any::<i64>(),
    ]
}

fn day() -> impl Strategy<Value = String> {
    (-719_528_i64..=2_932_896).prop_map(|day| date_text(day).expect("the range has dates"))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "", "a", "A", "ab", "'", "''", "\"", "\\", "%", "_", "ñ", "n\u{303}", "😀", "\n", "a\tb", "--", "web"
        ])
        .prop_map(str::to_owned),
        "[a-cñ'\\\\😀]{0,4}",
    ]
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\t', "\\t");
    format!("'{escaped}'")
}

fn record() -> impl Strategy<Value = Fields> {
    const ME: &str = "0190a1b2-0000-7000-8000-000000000001";
    let numbers = (number(), number(), number(), 0_i64..=100, number(), number());
    let texts = (text(), text(), text(), prop::collection::btree_set(text(), 0..4));
    let days = (day(), day());
    let truths = (any::<bool>(), any::<bool>());
    let keys = (select(vec!["web", "fair"]), select(vec!["prospecting", "proposal", "won", "lost", "gone"]));
    let values = (numbers, texts, days, truths, keys).prop_map(|(numbers, texts, days, truths, keys)| {
        json!({
            "quantity": numbers.0, "other": numbers.1, "discount": numbers.2, "probability": numbers.3,
            "amount": {"minor": numbers.4, "currency": "EUR"}, "created_on": numbers.5,
            "name": texts.0, "notes": texts.1, "email": texts.2, "tags": texts.3,
            "close_date": days.0, "start_date": days.1,
            "vip": truths.0, "urgent": truths.1, "source": keys.0, "stage": keys.1, "interests": ["air"],
            "owner": ME, "contacts": [ME], "about": {"entity": "account", "id": ME}, "phones": [{"raw": "1"}, {"raw": "2"}],
        })
    });
    (values, prop::collection::vec(option::weighted(0.7, Just(())), 22)).prop_map(|(values, kept)| {
        let Json::Object(values) = values else { return Fields::new() };
        values.into_iter().zip(kept).filter_map(|(field, kept)| kept.map(|()| field)).collect()
    })
}

fn variables() -> impl Strategy<Value = Variables> {
    (-719_528_i64..=2_932_896, number(), any::<bool>()).prop_map(|(today, now_ms, known)| Variables {
        today,
        now_ms,
        me: known.then(|| Uuid::from_u128(0x0190_a1b2_0000_7000_8000_0000_0000_0001)),
    })
}

fn expression() -> Source {
    let top = (0..LEVELS).fold(Level::leaves(), |level, number| level.above(number));
    prop_oneof![top.bools, top.ints, top.dates, top.instants, top.texts].boxed()
}

#[test]
fn memory_and_sqlite_agree() {
    let file = File::read();
    let entity = file.entity();
    let sqlite = Sqlite::open();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&(expression(), record(), variables()), |(source, record, variables)| {
        let expression = match Expr::compile(&source) {
            Ok(expression) => expression,
            // The generator does not keep to the bounds, nor away from what always fails.
            Err(error) if ["always an error", "at most"].iter().any(|known| error.message.contains(known)) => {
                return Err(TestCaseError::reject(error.message));
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        match expression.check(&entity) {
            Err(error) if error.message.contains("is never") => return Err(TestCaseError::reject(error.message)),
            checked => checked.map_err(|error| TestCaseError::fail(error.to_string()))?,
        }
        sqlite.hold(&record);
        let memory = in_memory(expression.eval(&entity, &record, &variables));
        prop_assert_eq!(memory, sqlite.ask(&expression, &entity, &variables));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
