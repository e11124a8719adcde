//! From CEL's syntax tree to the language's own, refusing what it does not have.

use std::collections::BTreeSet;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr as Cel, LiteralValue, SelectExpr, SourceInfo, operators};

use super::node::{Arithmetic, Comparison, Kind, Literal, Logic, Node, Part, Quantifier, TextTest, Variable};
use super::{ExprError, calendar, constant};

/// How deep `all` and `exists` may stand in each other.
pub(super) const MAX_QUANTIFIERS: usize = 3;

pub(super) const FUNCTIONS: &str = "contains, startsWith, endsWith, size, has, all, exists, round_half_up and date";

/// The tree, and the record fields that it names.
pub(super) fn lower(expr: &IdedExpr, info: &SourceInfo) -> Result<(Node, BTreeSet<String>), ExprError> {
    let mut lowering = Lowering { info, fields: BTreeSet::new(), members: Vec::new() };
    let node = lowering.node(expr)?;
    Ok((node, lowering.fields))
}

pub(super) struct Lowering<'a> {
    info: &'a SourceInfo,
    fields: BTreeSet<String>,
    /// The names that the surrounding `all` and `exists` give to their members, outermost first.
    members: Vec<String>,
}

impl Lowering<'_> {
    fn node(&mut self, expr: &IdedExpr) -> Result<Node, ExprError> {
        let at = self.position(expr.id);
        let kind = match &expr.expr {
            Cel::Literal(value) => Kind::Literal(literal(at, value)?),
            Cel::Ident(name) => self.name(at, name)?,
            Cel::Select(select) => self.select(at, select)?,
            Cel::List(list) => {
                if list.elements.is_empty() {
                    return Err(ExprError::at(
                        at,
                        "a list needs at least one member; for emptiness write field == null",
                    ));
                }
                Kind::List(list.elements.iter().map(|member| self.list_member(member)).collect::<Result<_, _>>()?)
            }
            Cel::Call(call) => self.call(at, call)?,
            Cel::Map(_) | Cel::Struct(_) => {
                return Err(ExprError::at(at, "the language has no maps and no messages"));
            }
            Cel::Comprehension(_) | Cel::Unspecified => {
                return Err(ExprError::at(at, "this is not part of the language"));
            }
        };
        constant::refuse_failing(&kind, at)?;
        Ok(Node { at, kind })
    }

    /// The character where a node stands.
    fn position(&self, id: u64) -> usize {
        let Some((start, _)) = self.info.offset_for(id) else { return 1 };
        self.info.source.char_indices().take_while(|(byte, _)| *byte < start as usize).count() + 1
    }

    fn name(&mut self, at: usize, name: &str) -> Result<Kind, ExprError> {
        if let Some(depth) = self.members.iter().rposition(|member| member == name) {
            return Ok(Kind::Member(depth));
        }
        if name.starts_with('.') {
            return Err(ExprError::at(at, "a field is named without a dot before it"));
        }
        Ok(match variable(name) {
            Some(variable) => Kind::Variable(variable),
            None => self.field(name, Part::Whole),
        })
    }

    fn field(&mut self, name: &str, part: Part) -> Kind {
        if !self.fields.contains(name) {
            self.fields.insert(name.to_owned());
        }
        Kind::Field { name: name.to_owned(), part }
    }

    fn select(&mut self, at: usize, select: &SelectExpr) -> Result<Kind, ExprError> {
        let Cel::Ident(name) = &select.operand.expr else {
            return Err(ExprError::at(at, "a dot may follow only the name of a field, today or now"));
        };
        let part = Part::named(&select.field).ok_or_else(|| {
            ExprError::at(
                at,
                format!(
                    "{} is not known after a dot; a stage has key, kind, probability and category, a date has year and month, \
                     money has currency, a link to several entities has entity",
                    select.field
                ),
            )
        })?;
        if self.members.iter().any(|member| member == name) {
            return Err(ExprError::at(at, format!("{name} is a member of a list and has no parts")));
        }
        match (variable(name), part) {
            (None, part) => {
                self.name(at, name)?;
                Ok(self.field(name, part))
            }
            (Some(Variable::Today), Part::Year) => Ok(Kind::Variable(Variable::TodayYear)),
            (Some(Variable::Today), Part::Month) => Ok(Kind::Variable(Variable::TodayMonth)),
            (Some(_), _) => Err(ExprError::at(
                at,
                format!("{name}.{} does not exist; today.year and today.month do", part.as_str()),
            )),
        }
    }

    fn list_member(&mut self, member: &IdedExpr) -> Result<Node, ExprError> {
        let node = self.node(member)?;
        match node.kind {
            Kind::Literal(Literal::Null) => {
                Err(ExprError::at(node.at, "null cannot stand in a list; ask for emptiness with field == null"))
            }
            Kind::Literal(_) | Kind::Variable(_) | Kind::Field { .. } | Kind::Member(_) => Ok(node),
            _ => Err(ExprError::at(node.at, "a list holds literals, fields and variables, nothing computed")),
        }
    }

    fn call(&mut self, at: usize, call: &CallExpr) -> Result<Kind, ExprError> {
        let name = call.func_name.as_str();
        match (&call.target, call.args.as_slice()) {
            (None, [inner]) => match name {
                operators::LOGICAL_NOT => Ok(Kind::Not(self.boxed(inner)?)),
                operators::NEGATE => Ok(Kind::Negate(self.boxed(inner)?)),
                operators::HAS => self.has(at, inner),
                "size" => Ok(Kind::Size(self.boxed(inner)?)),
                "date" => date(at, inner),
                _ => Err(unknown_call(at, name, 1)),
            },
            (None, [left, right]) => self.binary(at, name, left, right),
            (None, [condition, yes, no]) if name == operators::CONDITIONAL => {
                Ok(Kind::Choose(Box::new([self.node(condition)?, self.node(yes)?, self.node(no)?])))
            }
            (Some(target), [argument]) => match text_test(name) {
                Some(test) => Ok(Kind::TextTest(test, Box::new([self.node(target)?, self.node(argument)?]))),
                None => Err(unknown_call(at, name, 1)),
            },
            (Some(target), [member, predicate]) => self.quantify(at, name, target, member, predicate),
            (Some(target), []) if name == "size" => Ok(Kind::Size(self.boxed(target)?)),
            (_, arguments) => Err(unknown_call(at, name, arguments.len())),
        }
    }

    fn boxed(&mut self, expr: &IdedExpr) -> Result<Box<Node>, ExprError> {
        self.node(expr).map(Box::new)
    }

    fn binary(&mut self, at: usize, name: &str, left: &IdedExpr, right: &IdedExpr) -> Result<Kind, ExprError> {
        let pair = Box::new([self.node(left)?, self.node(right)?]);
        if let Some(operation) = arithmetic(name) {
            return Ok(Kind::Arithmetic(operation, pair));
        }
        match name {
            operators::LOGICAL_AND => Ok(Kind::Logic(Logic::And, pair)),
            operators::LOGICAL_OR => Ok(Kind::Logic(Logic::Or, pair)),
            operators::IN => Ok(Kind::In(pair)),
            "round_half_up" => Ok(Kind::RoundHalfUp(pair)),
            _ => match comparison(name) {
                Some(comparison) => Ok(compare(at, comparison, pair)),
                None => Err(unknown_call(at, name, 2)),
            },
        }
    }

    fn has(&mut self, at: usize, inner: &IdedExpr) -> Result<Kind, ExprError> {
        let node = self.node(inner)?;
        if !matches!(node.kind, Kind::Field { .. }) {
            return Err(ExprError::at(at, "has takes the name of a field, as in has(close_date)"));
        }
        let is_empty = Node { at, kind: Kind::IsEmpty(Box::new(node)) };
        Ok(Kind::Not(Box::new(is_empty)))
    }

    fn quantify(
        &mut self,
        at: usize,
        name: &str,
        target: &IdedExpr,
        member: &IdedExpr,
        predicate: &IdedExpr,
    ) -> Result<Kind, ExprError> {
        let quantifier = match name {
            operators::ALL => Quantifier::All,
            operators::EXISTS => Quantifier::Exists,
            _ => return Err(unknown_call(at, name, 2)),
        };
        let member_name = match &member.expr {
            Cel::Ident(name) if variable(name).is_none() && !name.starts_with('.') && !self.members.contains(name) => {
                name.clone()
            }
            _ => {
                return Err(ExprError::at(
                    self.position(member.id),
                    format!("{name} needs a new name for the member first, as in tags.{name}(tag, tag == 'vip')"),
                ));
            }
        };
        let depth = self.members.len();
        if depth == MAX_QUANTIFIERS {
            return Err(ExprError::at(
                at,
                format!("all and exists may stand in each other {MAX_QUANTIFIERS} deep at most"),
            ));
        }
        let list = self.boxed(target)?;
        self.members.push(member_name);
        let predicate = self.boxed(predicate);
        self.members.pop();
        Ok(Kind::Quantify { quantifier, depth, list, predicate: predicate? })
    }
}

fn variable(name: &str) -> Option<Variable> {
    match name {
        "today" => Some(Variable::Today),
        "now" => Some(Variable::Now),
        "me" => Some(Variable::Me),
        _ => None,
    }
}

fn literal(at: usize, value: &LiteralValue) -> Result<Literal, ExprError> {
    match value {
        LiteralValue::Null => Ok(Literal::Null),
        LiteralValue::Boolean(value) => Ok(Literal::Bool(**value)),
        LiteralValue::Int(value) => Ok(Literal::Int(**value)),
        LiteralValue::String(value) if value.contains('\0') => {
            Err(ExprError::at(at, "a text cannot hold the character U+0000"))
        }
        LiteralValue::String(value) => Ok(Literal::Text(value.inner().to_owned())),
        LiteralValue::Double(_) => {
            Err(ExprError::at(at, "numbers are whole: money and decimals count their smallest unit (12.50 is 1250)"))
        }
        LiteralValue::UInt(_) => Err(ExprError::at(at, "numbers are written without a letter behind them")),
        LiteralValue::Bytes(_) => {
            Err(ExprError::at(at, "the language has no bytes; write a text without the b before its quote"))
        }
    }
}

fn date(at: usize, argument: &IdedExpr) -> Result<Kind, ExprError> {
    let day = match &argument.expr {
        Cel::Literal(LiteralValue::String(text)) => calendar::day_number(text.inner()),
        _ => None,
    };
    day.map(|day| Kind::Literal(Literal::Date(day)))
        .ok_or_else(|| ExprError::at(at, "date takes one day of the calendar in quotes, as in date('2026-01-31')"))
}

fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterEqual,
        _ => return None,
    })
}

fn text_test(name: &str) -> Option<TextTest> {
    [TextTest::Contains, TextTest::StartsWith, TextTest::EndsWith].into_iter().find(|test| test.as_str() == name)
}

/// Comparison with the literal `null` asks for emptiness.
fn compare(at: usize, comparison: Comparison, pair: Box<[Node; 2]>) -> Kind {
    let is_null = |node: &Node| matches!(node.kind, Kind::Literal(Literal::Null));
    if comparison.orders() || !pair.iter().any(is_null) {
        return Kind::Compare(comparison, pair);
    }
    let [left, right] = *pair;
    let kind = Kind::IsEmpty(Box::new(if is_null(&left) { right } else { left }));
    match comparison {
        Comparison::NotEqual => Kind::Not(Box::new(Node { at, kind })),
        _ => kind,
    }
}

fn unknown_call(at: usize, name: &str, arguments: usize) -> ExprError {
    let message = match name {
        operators::INDEX => "the language has no [ ] after a value; ask a list with in, all, exists or size".to_owned(),
        name if FUNCTIONS.split([',', ' ']).any(|known| known == name) => {
            format!("{name} is not called like this, with {arguments} argument(s); docs/expressions.md shows how")
        }
        name => format!("there is no function {name}; there are {FUNCTIONS}"),
    };
    ExprError::at(at, message)
}
