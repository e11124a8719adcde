//! Every vector, in memory and in SQLite.

use crm::expr::Expr;

use crate::fixture::{File, Outcome, in_memory};
use crate::sqlite::Sqlite;

#[test]
fn memory_and_sqlite_give_what_every_vector_says() {
    let file = File::read();
    let (entity, variables) = (file.entity(), file.variables());
    let sqlite = Sqlite::open();
    let mut wrong = Vec::new();
    for (group, case) in file.groups.iter().flat_map(|group| group.cases.iter().map(move |case| (group, case))) {
        let name = format!("{}: {} of {}", group.about, case.expression, case.record);
        let record = file.records.get(&case.record).expect("a case names a record of the file");
        let expected: Outcome = match (&case.is, &case.fails) {
            (Some(value), None) => Ok(value.clone()),
            (None, Some(reason)) => Err(reason.clone()),
            _ => panic!("{name}: a case either is something or fails"),
        };
        let expression = match Expr::compile(&case.expression).and_then(|e| e.check(&entity).map(|()| e)) {
            Ok(expression) => expression,
            Err(error) => {
                wrong.push(format!("{name}\n  refused {error}"));
                continue;
            }
        };
        let memory = in_memory(expression.eval(&entity, record, &variables));
        sqlite.hold(record);
        let stored = sqlite.ask(&expression, &entity, &variables);
        if memory != expected || stored != expected {
            wrong.push(format!("{name}\n  expected {expected:?}\n  memory   {memory:?}\n  SQLite   {stored:?}"));
        }
        let holds = expression.holds(&entity, record, &variables);
        if holds.ok() != expected.ok().map(|value| value == true) {
            wrong.push(format!("{name}\n  does not hold as it evaluates"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
