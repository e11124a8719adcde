//! The type of every node against the fields of one entity.

use super::node::{Arithmetic, Comparison, Kind, Literal, Node, Part, Variable};
use super::{ExprError, options};
use crate::model::{Entity, FieldKind};

/// What a value is, as far as the language tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// The literal `null`: fits everywhere.
    Null,
    /// True or false.
    Bool,
    /// A whole number; also money, decimals and percents in their smallest unit.
    Int,
    /// A day number.
    Date,
    /// Milliseconds since 1970-01-01 UTC.
    Instant,
    /// Text; also keys of options and stages, and ids.
    Text,
    /// Several of one type: fields hold texts, literals in brackets hold any.
    List(Member),
    /// Several things with parts (phones, e-mail addresses, postal addresses, log entries): they can be counted, not read.
    Things,
}

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// True or false.
    Bool,
    /// Whole numbers.
    Int,
    /// Day numbers.
    Date,
    /// Milliseconds since 1970-01-01 UTC.
    Instant,
    /// Texts.
    Text,
}

impl From<Member> for Type {
    fn from(member: Member) -> Self {
        match member {
            Member::Bool => Self::Bool,
            Member::Int => Self::Int,
            Member::Date => Self::Date,
            Member::Instant => Self::Instant,
            Member::Text => Self::Text,
        }
    }
}

impl Type {
    /// As a message names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Int => "a number",
            Self::Date => "a date",
            Self::Instant => "an instant",
            Self::Text => "a text",
            Self::List(_) | Self::Things => "a list",
        }
    }

    pub(super) fn member(self) -> Option<Member> {
        Some(match self {
            Self::Bool => Member::Bool,
            Self::Int => Member::Int,
            Self::Date => Member::Date,
            Self::Instant => Member::Instant,
            Self::Text => Member::Text,
            Self::Null | Self::List(_) | Self::Things => return None,
        })
    }

    /// Whether two values can be compared: a date with an instant by the instant's day in UTC.
    pub(super) fn compares_with(self, other: Self) -> bool {
        let timed = |kind| matches!(kind, Self::Date | Self::Instant);
        self.member().is_some() && (self == other || timed(self) && timed(other))
    }
}

/// What one field, or one part of it, gives.
pub(super) fn of_part(kind: &FieldKind, part: Part) -> Option<Type> {
    Some(match (kind, part) {
        (FieldKind::Stage { .. }, Part::Probability)
        | (FieldKind::Date | FieldKind::Datetime, Part::Year | Part::Month) => Type::Int,
        (FieldKind::Stage { .. }, Part::Key | Part::Kind | Part::Category) | (FieldKind::Money, Part::Currency) => {
            Type::Text
        }
        (FieldKind::Link { to }, Part::Entity) if to.len() > 1 => Type::Text,
        (_, Part::Whole) => of_field(kind),
        _ => return None,
    })
}

fn of_field(kind: &FieldKind) -> Type {
    match kind {
        FieldKind::Integer { .. } | FieldKind::Decimal { .. } | FieldKind::Percent | FieldKind::Money => Type::Int,
        FieldKind::Boolean => Type::Bool,
        FieldKind::Date => Type::Date,
        FieldKind::Datetime => Type::Instant,
        FieldKind::Text { .. }
        | FieldKind::LongText
        | FieldKind::Enum { .. }
        | FieldKind::Link { .. }
        | FieldKind::Stage { .. }
        | FieldKind::Email
        | FieldKind::Url
        | FieldKind::Number
        | FieldKind::Blob { .. } => Type::Text,
        FieldKind::Enums { .. } | FieldKind::Links { .. } | FieldKind::Tags => Type::List(Member::Text),
        FieldKind::Emails | FieldKind::Phones | FieldKind::Addresses | FieldKind::Log | FieldKind::Blobs { .. } => {
            Type::Things
        }
    }
}

/// The type of a whole expression, every node checked.
pub(super) fn check(root: &Node, entity: &Entity) -> Result<Type, ExprError> {
    let found = Checking { entity, members: Vec::new() }.of(root)?;
    match found {
        Type::Things => Err(ExprError::at(
            root.at,
            "a list of this kind has no value of its own; count it with size(…) or ask has(…)",
        )),
        found => Ok(found),
    }
}

/// The type of a node of literals and variables that has been checked.
pub(super) fn of_constant(node: &Node) -> Type {
    match &node.kind {
        Kind::Literal(literal) => of_literal(literal),
        Kind::Variable(variable) => of_variable(*variable),
        Kind::Arithmetic(operation, pair) => {
            of_arithmetic(*operation, of_constant(&pair[0]), of_constant(&pair[1])).unwrap_or(Type::Int)
        }
        _ => Type::Int,
    }
}

struct Checking<'a> {
    entity: &'a Entity,
    members: Vec<Member>,
}

impl Checking<'_> {
    fn of(&mut self, node: &Node) -> Result<Type, ExprError> {
        let at = node.at;
        match &node.kind {
            Kind::Literal(literal) => Ok(of_literal(literal)),
            Kind::Variable(variable) => Ok(of_variable(*variable)),
            Kind::Field { name, part } => self.field(at, name, *part),
            Kind::Member(depth) => Ok(self.members.get(*depth).map_or(Type::Null, |member| Type::from(*member))),
            Kind::List(members) => self.list(at, members),
            Kind::Not(inner) => self.expect(inner, Type::Bool, "!"),
            Kind::Negate(inner) => self.expect(inner, Type::Int, "-"),
            Kind::Logic(logic, pair) => {
                self.expect(&pair[0], Type::Bool, logic.as_str())?;
                self.expect(&pair[1], Type::Bool, logic.as_str())
            }
            Kind::Arithmetic(operation, pair) => {
                let (left, right) = (self.of(&pair[0])?, self.of(&pair[1])?);
                of_arithmetic(*operation, left, right).ok_or_else(|| refuse_arithmetic(at, *operation, left, right))
            }
            Kind::RoundHalfUp(pair) => {
                self.expect(&pair[0], Type::Int, "round_half_up")?;
                self.expect(&pair[1], Type::Int, "round_half_up")
            }
            Kind::Compare(comparison, pair) => self.compare(at, *comparison, pair),
            Kind::IsEmpty(inner) => self.of(inner).map(|_| Type::Bool),
            Kind::In(pair) => self.in_list(at, pair),
            Kind::TextTest(test, pair) => {
                self.expect(&pair[0], Type::Text, test.as_str())?;
                self.expect(&pair[1], Type::Text, test.as_str())?;
                Ok(Type::Bool)
            }
            Kind::Size(inner) => match self.of(inner)? {
                Type::Text | Type::List(_) | Type::Things => Ok(Type::Int),
                found => Err(ExprError::at(
                    at,
                    format!("size counts a list or the characters of a text, not {}", found.as_str()),
                )),
            },
            Kind::Choose(three) => self.choose(at, three),
            Kind::Quantify { quantifier, list, predicate, .. } => {
                let Type::List(member) = self.of(list)? else {
                    return Err(ExprError::at(
                        at,
                        format!("{} looks at the members of a list of texts, ids or options", quantifier.as_str()),
                    ));
                };
                self.members.push(member);
                let found = self.expect(predicate, Type::Bool, quantifier.as_str());
                self.members.pop();
                found
            }
        }
    }

    fn expect(&mut self, node: &Node, wanted: Type, operation: &str) -> Result<Type, ExprError> {
        let found = self.of(node)?;
        if found == wanted {
            return Ok(found);
        }
        Err(ExprError::at(node.at, format!("{operation} takes {}, and this is {}", wanted.as_str(), found.as_str())))
    }

    fn field(&self, at: usize, name: &str, part: Part) -> Result<Type, ExprError> {
        let entity = &self.entity.name;
        let Some(field) = self.entity.field(name) else {
            let known: Vec<&str> = self.entity.fields.keys().map(String::as_str).collect();
            return Err(ExprError::at(at, format!("{entity} has no field {name}; it has {}", known.join(", "))));
        };
        if let FieldKind::Stage { pipeline, .. } = &field.kind
            && !self.entity.pipelines.contains_key(pipeline)
        {
            return Err(ExprError::at(
                at,
                format!("{entity} has no pipeline {pipeline}, which its field {name} names"),
            ));
        }
        of_part(&field.kind, part).ok_or_else(|| {
            ExprError::at(
                at,
                format!(
                    "{name}.{} does not exist; a stage has key, kind, probability and category, a date has year and month, \
                     money has currency, a link to several entities has entity",
                    part.as_str()
                ),
            )
        })
    }

    fn list(&mut self, at: usize, members: &[Node]) -> Result<Type, ExprError> {
        let mut first = None;
        for member in members {
            let found = self.of(member)?;
            let Some(kind) = found.member() else {
                return Err(ExprError::at(member.at, format!("{} cannot stand in a list", found.as_str())));
            };
            if *first.get_or_insert(kind) != kind {
                return Err(ExprError::at(member.at, "the members of a list are all of one type"));
            }
        }
        first.map(Type::List).ok_or_else(|| ExprError::at(at, "a list needs at least one member"))
    }

    fn compare(&mut self, at: usize, comparison: Comparison, pair: &[Node; 2]) -> Result<Type, ExprError> {
        let (left, right) = (self.of(&pair[0])?, self.of(&pair[1])?);
        let spelled = comparison.as_str();
        if matches!(left, Type::List(_) | Type::Things) || matches!(right, Type::List(_) | Type::Things) {
            return Err(ExprError::at(
                at,
                format!("{spelled} does not compare lists; ask with in, all, exists or size"),
            ));
        }
        if left == Type::Null || right == Type::Null {
            return Err(ExprError::at(at, "null has no order; ask for emptiness with == null or != null"));
        }
        if !left.compares_with(right) || comparison.orders() && left == Type::Bool {
            return Err(ExprError::at(
                at,
                format!("{spelled} does not compare {} with {}{}", left.as_str(), right.as_str(), hint(left, right)),
            ));
        }
        options::check(&pair[0], &pair[1], self.entity)?;
        options::check(&pair[1], &pair[0], self.entity)?;
        Ok(Type::Bool)
    }

    fn in_list(&mut self, at: usize, pair: &[Node; 2]) -> Result<Type, ExprError> {
        let (left, right) = (self.of(&pair[0])?, self.of(&pair[1])?);
        let Type::List(member) = right else {
            return Err(ExprError::at(at, format!("in takes a list on its right, and this is {}", right.as_str())));
        };
        if left != Type::from(member) {
            return Err(ExprError::at(
                at,
                format!("in looks for {} in a list that holds {}", left.as_str(), Type::from(member).as_str()),
            ));
        }
        options::check(&pair[0], &pair[1], self.entity)?;
        options::check(&pair[1], &pair[0], self.entity)?;
        Ok(Type::Bool)
    }

    fn choose(&mut self, at: usize, three: &[Node; 3]) -> Result<Type, ExprError> {
        self.expect(&three[0], Type::Bool, "? :")?;
        match (self.of(&three[1])?, self.of(&three[2])?) {
            (Type::List(_) | Type::Things, _) | (_, Type::List(_) | Type::Things) => {
                Err(ExprError::at(at, "? : does not choose between lists"))
            }
            (Type::Null, found) | (found, Type::Null) => Ok(found),
            (yes, no) if yes == no => Ok(yes),
            (yes, no) => Err(ExprError::at(
                at,
                format!("both sides of ? : are of one type, not {} and {}", yes.as_str(), no.as_str()),
            )),
        }
    }
}

fn of_literal(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Date(_) => Type::Date,
        Literal::Text(_) => Type::Text,
    }
}

fn of_variable(variable: Variable) -> Type {
    match variable {
        Variable::Today => Type::Date,
        Variable::TodayYear | Variable::TodayMonth => Type::Int,
        Variable::Now => Type::Instant,
        Variable::Me => Type::Text,
    }
}

/// Dates move by days and instants by milliseconds; the difference of two is a number of them.
pub(super) fn of_arithmetic(operation: Arithmetic, left: Type, right: Type) -> Option<Type> {
    use Arithmetic::{Add, Subtract};
    use Type::{Date, Instant, Int};
    Some(match (operation, left, right) {
        (_, Int, Int) | (Subtract, Date | Instant, Date | Instant) => Int,
        (Add | Subtract, timed @ (Date | Instant), Int) | (Add, Int, timed @ (Date | Instant)) => timed,
        _ => return None,
    })
}

fn refuse_arithmetic(at: usize, operation: Arithmetic, left: Type, right: Type) -> ExprError {
    let hint = if left == Type::Text || right == Type::Text {
        "; texts are not joined or computed"
    } else {
        hint(left, right)
    };
    ExprError::at(at, format!("{} does not take {} and {}{hint}", operation.as_str(), left.as_str(), right.as_str()))
}

fn hint(left: Type, right: Type) -> &'static str {
    let either = |kind| left == kind || right == kind;
    if either(Type::Date) && either(Type::Text) {
        "; a day is written date('2026-01-31')"
    } else if either(Type::Date) && either(Type::Int) {
        "; a day is written date('2026-01-31'), and two dates are subtracted to count days"
    } else {
        ""
    }
}
