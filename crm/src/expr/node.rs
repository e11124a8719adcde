//! The tree of an expression: only what the language has.

/// One node and where it stands in the source, in characters from 1.
#[derive(Debug)]
pub(super) struct Node {
    pub at: usize,
    pub kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Literal(Literal),
    /// Of literals, variables and fields only, so that making it cannot fail.
    List(Vec<Node>),
    Variable(Variable),
    Field {
        name: String,
        part: Part,
    },
    /// The member that the `all` or `exists` of that depth, counted from the outermost, is looking at.
    Member(usize),
    Not(Box<Node>),
    Negate(Box<Node>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    Compare(Comparison, Box<[Node; 2]>),
    /// `x == null`, and what `has` denies.
    IsEmpty(Box<Node>),
    In(Box<[Node; 2]>),
    Logic(Logic, Box<[Node; 2]>),
    Choose(Box<[Node; 3]>),
    TextTest(TextTest, Box<[Node; 2]>),
    Size(Box<Node>),
    RoundHalfUp(Box<[Node; 2]>),
    Quantify {
        quantifier: Quantifier,
        depth: usize,
        list: Box<Node>,
        predicate: Box<Node>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    /// A day number, written `date('2026-01-31')`.
    Date(i64),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Today,
    TodayYear,
    TodayMonth,
    Now,
    Me,
}

impl Variable {
    /// Its name; of what is read of today, `today`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Today | Self::TodayYear | Self::TodayMonth => "today",
            Self::Now => "now",
            Self::Me => "me",
        }
    }
}

impl Node {
    /// Every variable in it.
    pub fn variables(&self) -> Vec<Variable> {
        let mut found = Vec::new();
        self.find_variables(&mut found);
        found
    }

    fn find_variables(&self, found: &mut Vec<Variable>) {
        match &self.kind {
            Kind::Variable(variable) => found.push(*variable),
            Kind::Literal(_) | Kind::Field { .. } | Kind::Member(_) => {}
            Kind::List(members) => members.iter().for_each(|node| node.find_variables(found)),
            Kind::Not(inner) | Kind::Negate(inner) | Kind::IsEmpty(inner) | Kind::Size(inner) => {
                inner.find_variables(found);
            }
            Kind::Arithmetic(_, pair)
            | Kind::Compare(_, pair)
            | Kind::In(pair)
            | Kind::Logic(_, pair)
            | Kind::TextTest(_, pair)
            | Kind::RoundHalfUp(pair) => pair.iter().for_each(|node| node.find_variables(found)),
            Kind::Choose(three) => three.iter().for_each(|node| node.find_variables(found)),
            Kind::Quantify { list, predicate, .. } => {
                list.find_variables(found);
                predicate.find_variables(found);
            }
        }
    }
}

/// What is read of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Key,
    Kind,
    Probability,
    Category,
    Currency,
    Entity,
    Year,
    Month,
}

impl Part {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "key" => Self::Key,
            "kind" => Self::Kind,
            "probability" => Self::Probability,
            "category" => Self::Category,
            "currency" => Self::Currency,
            "entity" => Self::Entity,
            "year" => Self::Year,
            "month" => Self::Month,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Key => "key",
            Self::Kind => "kind",
            Self::Probability => "probability",
            Self::Category => "category",
            Self::Currency => "currency",
            Self::Entity => "entity",
            Self::Year => "year",
            Self::Month => "month",
        }
    }
}

/// An enum of operators and how the language spells each.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $spelling:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name { $($variant),+ }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $spelling),+ }
            }
        }
    };
}

spelled!(Arithmetic { Add = "+", Subtract = "-", Multiply = "*", Divide = "/", Remainder = "%" });
spelled!(Comparison { Equal = "==", NotEqual = "!=", Less = "<", LessEqual = "<=", Greater = ">", GreaterEqual = ">=" });
spelled!(Logic { And = "&&", Or = "||" });
spelled!(TextTest { Contains = "contains", StartsWith = "startsWith", EndsWith = "endsWith" });
spelled!(Quantifier { All = "all", Exists = "exists" });

impl Comparison {
    /// Whether it needs an order, not only equality.
    pub fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}
