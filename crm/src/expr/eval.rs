//! An expression's value for one record, in memory.

use serde_json::Value as Json;

use super::item::{Item, compare, compute, mismatch};
use super::lower::MAX_QUANTIFIERS;
use super::node::{Comparison, Kind, Literal, Logic, Node, Quantifier, TextTest, Variable};
use super::{EvalError, Value, Variables, number, record};
use crate::Fields;
use crate::model::Entity;

/// Room for an id as text.
const ID_CHARS: usize = 36;

pub(super) fn eval(root: &Node, entity: &Entity, fields: &Fields, variables: &Variables) -> Result<Value, EvalError> {
    run(entity, fields, variables, |run| {
        if let Kind::List(members) = &root.kind {
            let values = members.iter().map(|member| run.item(member).map(Item::into_value));
            return Ok(Value::List(values.collect::<Result<_, _>>()?));
        }
        run.item(root).map(Item::into_value)
    })
}

pub(super) fn holds(root: &Node, entity: &Entity, fields: &Fields, variables: &Variables) -> Result<bool, EvalError> {
    run(entity, fields, variables, |run| {
        // A list in brackets is a value, but none that is true.
        Ok(!matches!(root.kind, Kind::List(_)) && matches!(run.item(root)?, Item::Bool(true)))
    })
}

fn run<T>(
    entity: &Entity,
    fields: &Fields,
    variables: &Variables,
    ask: impl FnOnce(Run<'_>) -> Result<T, EvalError>,
) -> Result<T, EvalError> {
    let mut me = [0; ID_CHARS];
    let me = variables.me.as_ref().map(|id| &*id.as_hyphenated().encode_lower(&mut me));
    ask(Run { entity, fields, variables, me, members: [Item::Null; MAX_QUANTIFIERS] })
}

#[derive(Clone, Copy)]
struct Run<'a> {
    entity: &'a Entity,
    fields: &'a Fields,
    variables: &'a Variables,
    me: Option<&'a str>,
    /// What each surrounding `all` or `exists` looks at, outermost first.
    members: [Item<'a>; MAX_QUANTIFIERS],
}

impl<'a> Run<'a> {
    fn item(&self, node: &'a Node) -> Result<Item<'a>, EvalError> {
        Ok(match &node.kind {
            Kind::Literal(literal) => of_literal(literal),
            Kind::Variable(variable) => self.variable(*variable),
            Kind::Field { name, part } => record::read(self.entity, self.fields, name, *part)?,
            Kind::Member(depth) => self.members[*depth],
            // The other evaluations take literal lists apart themselves.
            Kind::List(_) => return Err(EvalError::Mismatch { operation: "this", found: "a list" }),
            Kind::Not(inner) => self.item(inner)?.truth("!")?.map(|value| !value).into(),
            Kind::Negate(inner) => match self.item(inner)?.int("-")? {
                Some(value) => Item::Int(number::negate(value)?),
                None => Item::Null,
            },
            Kind::Arithmetic(operation, pair) => compute(*operation, self.item(&pair[0])?, self.item(&pair[1])?)?,
            Kind::RoundHalfUp(pair) => self.round(pair)?,
            Kind::Compare(comparison, pair) => compare(*comparison, self.item(&pair[0])?, self.item(&pair[1])?)?.into(),
            Kind::IsEmpty(inner) => Item::Bool(!matches!(inner.kind, Kind::List(_)) && self.item(inner)?.is_empty()),
            Kind::In(pair) => self.in_list(pair)?.into(),
            Kind::Logic(logic, pair) => self.logic(*logic, pair)?.into(),
            Kind::Choose(three) => match self.item(&three[0])?.truth("? :")? {
                Some(true) => self.item(&three[1])?,
                Some(false) => self.item(&three[2])?,
                None => Item::Null,
            },
            Kind::TextTest(test, pair) => self.text_test(*test, pair)?.into(),
            Kind::Size(inner) => self.size(inner)?,
            Kind::Quantify { quantifier, depth, list, predicate } => {
                self.quantify(*quantifier, *depth, list, predicate)?.into()
            }
        })
    }

    fn variable(&self, variable: Variable) -> Item<'a> {
        match variable {
            Variable::Today => Item::Date(self.variables.today),
            Variable::TodayYear => self.variables.year_and_month().map_or(Item::Null, |(year, _)| Item::Int(year)),
            Variable::TodayMonth => self.variables.year_and_month().map_or(Item::Null, |(_, month)| Item::Int(month)),
            Variable::Now => Item::Instant(self.variables.now_ms),
            Variable::Me => self.me.map_or(Item::Null, Item::Text),
        }
    }

    fn round(&self, pair: &'a [Node; 2]) -> Result<Item<'a>, EvalError> {
        let (value, divisor) = (self.item(&pair[0])?, self.item(&pair[1])?);
        match (value.int("round_half_up")?, divisor.int("round_half_up")?) {
            (Some(value), Some(divisor)) => number::round_half_up(value, divisor).map(Item::Int),
            _ => Ok(Item::Null),
        }
    }

    /// Left first; the right side is not looked at when the left one decides.
    fn logic(&self, logic: Logic, pair: &'a [Node; 2]) -> Result<Option<bool>, EvalError> {
        let deciding = logic == Logic::Or;
        let left = self.item(&pair[0])?.truth(logic.as_str())?;
        if left == Some(deciding) {
            return Ok(left);
        }
        let right = self.item(&pair[1])?.truth(logic.as_str())?;
        Ok(match (left, right) {
            (_, Some(right)) if right == deciding => Some(deciding),
            (Some(_), Some(_)) => Some(!deciding),
            _ => None,
        })
    }

    fn text_test(&self, test: TextTest, pair: &'a [Node; 2]) -> Result<Option<bool>, EvalError> {
        let (whole, part) = (self.item(&pair[0])?, self.item(&pair[1])?);
        let (Some(whole), Some(part)) = (whole.text(test.as_str())?, part.text(test.as_str())?) else {
            return Ok(None);
        };
        Ok(Some(match test {
            TextTest::Contains => whole.contains(part),
            TextTest::StartsWith => whole.starts_with(part),
            TextTest::EndsWith => whole.ends_with(part),
        }))
    }

    fn size(&self, inner: &'a Node) -> Result<Item<'a>, EvalError> {
        let count = match &inner.kind {
            Kind::List(members) => members.len(),
            _ => match self.item(inner)? {
                Item::Null => return Ok(Item::Null),
                Item::Text(text) => text.chars().count(),
                Item::List(members) => members.len(),
                other => return Err(mismatch("size", other)),
            },
        };
        i64::try_from(count).map(Item::Int).map_err(|_| EvalError::Overflow)
    }

    fn in_list(&self, pair: &'a [Node; 2]) -> Result<Option<bool>, EvalError> {
        let wanted = self.item(&pair[0])?;
        let mut any = Any::default();
        self.each_member(&pair[1], "in", |_, member| {
            any.add(compare(Comparison::Equal, wanted, member)?);
            Ok(())
        })?;
        Ok(any.answer())
    }

    /// Every member is looked at, also when one has decided: both evaluators then meet the same errors.
    fn quantify(
        &self,
        quantifier: Quantifier,
        depth: usize,
        list: &'a Node,
        predicate: &'a Node,
    ) -> Result<Option<bool>, EvalError> {
        let mut any = Any::default();
        let wanted = quantifier == Quantifier::Exists;
        self.each_member(list, quantifier.as_str(), |run, member| {
            let mut inside = *run;
            inside.members[depth] = member;
            let truth = inside.item(predicate)?.truth(quantifier.as_str())?;
            any.add(truth.map(|truth| truth == wanted));
            Ok(())
        })?;
        Ok(any.answer().map(|found| found == wanted))
    }

    fn each_member(
        &self,
        list: &'a Node,
        operation: &'static str,
        mut visit: impl FnMut(&Self, Item<'a>) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        if let Kind::List(members) = &list.kind {
            return members.iter().try_for_each(|member| visit(self, self.item(member)?));
        }
        match self.item(list)? {
            Item::List(members) => {
                members.iter().try_for_each(|member| visit(self, member_text(member).map_or(Item::Null, Item::Text)))
            }
            other => Err(mismatch(operation, other)),
        }
    }
}

/// The members of list fields are strings; the rules see to it before anything is evaluated.
fn member_text(member: &Json) -> Option<&str> {
    member.as_str()
}

fn of_literal(literal: &Literal) -> Item<'_> {
    match literal {
        Literal::Null => Item::Null,
        Literal::Bool(value) => Item::Bool(*value),
        Literal::Int(value) => Item::Int(*value),
        Literal::Date(day) => Item::Date(*day),
        Literal::Text(text) => Item::Text(text),
    }
}

/// True when one is true; else unknown when one is unknown; else false: as `IN` in SQL.
#[derive(Default)]
struct Any {
    found: bool,
    unknown: bool,
}

impl Any {
    fn add(&mut self, truth: Option<bool>) {
        match truth {
            Some(true) => self.found = true,
            Some(false) => {}
            None => self.unknown = true,
        }
    }

    fn answer(&self) -> Option<bool> {
        (self.found || !self.unknown).then_some(self.found)
    }
}
