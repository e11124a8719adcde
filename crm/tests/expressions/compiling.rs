//! No text, however odd, harms the compiler; and the largest that it takes can be evaluated and asked of a database.

use std::thread;

use crm::expr::Expr;
use proptest::prelude::*;
use proptest::sample::select;

use crate::fixture::{File, in_memory};
use crate::sqlite::Sqlite;

/// Half of what a WebAssembly module or a server's worker thread has.
const STACK_BYTES: usize = 1024 * 1024;

/// What an expression is made of, and what it must not be made of.
const PIECES: [&str; 56] = [
    "name",
    "quantity",
    "tags",
    "stage",
    ".",
    "kind",
    "today",
    "me",
    "null",
    "true",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "1.5",
    "1u",
    "0x1F",
    "'a'",
    "\"b\"",
    "'",
    "\"",
    "\\",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    "?",
    ":",
    "&&",
    "||",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "in",
    "has(",
    "size(",
    ".all(t,",
    ".exists(t,",
    "date('2026-01-01')",
    "t",
    " ",
    "\n",
    "`",
    "é",
    "😀",
    "\0",
];

fn compile_on_a_small_stack(source: String) {
    let compiling = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        // Whether it is an expression does not matter, nor does what is said about it.
        let _ = Expr::compile(&source).map_err(|error| error.to_string());
    });
    compiling.expect("a thread starts").join().expect("the compiler does not panic");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(source in any::<String>()) {
        let _ = Expr::compile(&source);
    }

    #[test]
    fn arbitrary_pieces_never_panic(pieces in prop::collection::vec(select(PIECES.to_vec()), 0..40)) {
        let _ = Expr::compile(&pieces.concat());
        let _ = Expr::compile(&pieces.join(" "));
    }

    #[test]
    fn a_slip_in_a_good_expression_never_panics(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        piece in select(PIECES.to_vec()),
        deleted in 0_usize..3,
    ) {
        let file = File::read();
        let cases: Vec<_> = file.groups.iter().flat_map(|group| &group.cases).collect();
        let mut source: Vec<char> = which.get(&cases).expression.chars().collect();
        let start = place.index(source.len() + 1);
        let end = (start + deleted).min(source.len());
        source.splice(start..end, piece.chars());
        let source: String = source.into_iter().collect();
        if let Ok(expression) = Expr::compile(&source) {
            let _ = expression.check(&file.entity());
        }
    }
}

#[test]
fn endless_nesting_and_chains_are_refused_without_exhausting_the_stack() {
    const MANY: usize = 100_000;
    for (open, middle, close) in [
        ("(", "name", ")"),
        ("[", "1", "]"),
        ("!", "vip", ""),
        ("-", "1", ""),
        ("!(", "vip", ")"),
        ("size(", "name", ")"),
        ("vip ? ", "1", " : 2"),
        ("vip ? 1 : ", "2", ""),
        ("", "quantity", " + 1"),
        ("", "vip", " && vip"),
        ("", "name", ".name"),
        ("", "quantity", " in tags"),
        ("{", "", "}"),
        ("tags.exists(t, ", "true", ")"),
    ] {
        for times in [20, 30, 60, 150, 400, MANY] {
            compile_on_a_small_stack(format!("{}{middle}{}", open.repeat(times), close.repeat(times)));
        }
    }
}

#[test]
fn the_deepest_expressions_still_run_in_memory_and_in_sqlite() {
    let file = File::read();
    let (entity, variables) = (file.entity(), file.variables());
    let record = &file.records["deal"];
    let sqlite = Sqlite::open();
    sqlite.hold(record);
    for (open, middle, close, times) in [
        ("", "quantity", " + 1", 48),
        ("(1 + ", "quantity", ")", 23),
        ("", "quantity", " / 1", 48),
        ("-(", "quantity", ")", 23),
        ("round_half_up(", "quantity", ", 1)", 45),
        ("(", "vip", " && quantity / 1 > 0)", 14),
        ("urgent ? 1 : ", "quantity + 1", "", 40),
        ("!(", "vip", ")", 22),
        ("(vip ? name : ", "email", ").startsWith('x') ? name : email", 1),
    ] {
        let source = format!("{}{middle}{}", open.repeat(times), close.repeat(times));
        let expression = Expr::compile(&source).expect("it is within the bounds");
        expression.check(&entity).expect("it is well typed");
        let memory = in_memory(expression.eval(&entity, record, &variables));
        assert!(memory.is_ok(), "{source}: {memory:?}");
        assert_eq!(memory, sqlite.ask(&expression, &entity, &variables), "{source}");
    }
    let long = vec!["quantity == 7"; 240].join(" && ");
    let expression = Expr::compile(&long).expect("a long chain is no deep one");
    assert_eq!(expression.holds(&entity, record, &variables), Ok(true));
    assert_eq!(sqlite.ask(&expression, &entity, &variables), Ok(true.into()));
}

#[test]
fn an_expression_is_its_source_on_the_wire() {
    let expression: Expr = serde_json::from_str("\"amount > 0\"").expect("it compiles on the way in");
    assert_eq!(expression.source(), "amount > 0");
    assert_eq!(serde_json::to_string(&expression).expect("it has a source"), "\"amount > 0\"");
    let error = serde_json::from_str::<Expr>("\"amount >\"").expect_err("it is incomplete");
    assert!(error.to_string().contains("expression `amount >`: at character 9"), "{error}");
}

#[test]
fn the_fields_of_an_expression_are_those_of_the_record() {
    let expression = Expr::compile(
        "stage.kind == 'won' && tags.exists(t, t == source) && has(amount.currency) && owner == me && today > now",
    )
    .expect("it compiles");
    assert_eq!(
        expression.fields().iter().map(String::as_str).collect::<Vec<_>>(),
        ["amount", "owner", "source", "stage", "tags"]
    );
}
