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
