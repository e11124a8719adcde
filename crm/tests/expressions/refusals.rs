//! What the language refuses, and that it says why.

use crm::expr::Expr;

use crate::fixture::File;

#[test]
fn what_is_refused_is_refused_with_its_reason_and_place() {
    let file = File::read();
    let entity = file.entity();
    let mut wrong = Vec::new();
    for refusal in &file.refused {
        match Expr::compile(&refusal.expression).and_then(|expression| expression.check(&entity)) {
            Ok(()) => wrong.push(format!("{} is accepted", refusal.expression)),
            Err(error)
                if !error.message.contains(&refusal.says) || refusal.at.is_some() && refusal.at != error.position =>
            {
                wrong.push(format!("{}\n  says {error}", refusal.expression));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_examples_in_the_documentation_are_accepted() {
    let entity = File::read().entity();
    let page = include_str!("../../../docs/expressions.md");
    let block = page.split("```").nth(1).expect("the page begins with examples");
    let examples: Vec<&str> =
        block.lines().filter_map(|line| line.split("   ").next()).filter(|e| !e.is_empty()).collect();
    assert!(examples.len() > 5, "{examples:?}");
    for example in examples {
        let checked = Expr::compile(example).and_then(|expression| expression.check(&entity));
        assert_eq!(checked, Ok(()), "{example}");
    }
}
