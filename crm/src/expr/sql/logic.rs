//! Truth: three-valued, left before right, lists member by member.

use super::{Dialect, Emit, Sql};
use crate::expr::ExprError;
use crate::expr::node::{Kind, Logic, Node, Quantifier};
use crate::expr::types::{Member, Type};

impl Emit<'_> {
    pub(super) fn logic(&mut self, logic: Logic, pair: &[Node; 2]) -> Result<Sql, ExprError> {
        let (left, right) = self.both(pair)?;
        let (operator, deciding) = match logic {
            Logic::And => ("AND", self.truth(false)),
            Logic::Or => ("OR", self.truth(true)),
        };
        if !left.fails() && !right.fails() {
            return Ok(Sql::compound(format!("({} {operator} {})", left.text, right.text), Type::Bool, false));
        }
        let text = self.bound([&left, &Sql::null()], |[decided, _]| {
            format!("CASE {decided} WHEN {deciding} THEN {deciding} ELSE {decided} {operator} {} END", right.text)
        });
        Ok(Sql::compound(text, Type::Bool, true))
    }

    pub(super) fn choose(&mut self, three: &[Node; 3]) -> Result<Sql, ExprError> {
        let condition = self.node(&three[0])?;
        let (yes, no) = (self.node(&three[1])?, self.node(&three[2])?);
        let kind = if yes.kind == Type::Null { no.kind } else { yes.kind };
        Ok(Sql::compound(
            format!(
                "(CASE {} WHEN {} THEN {} WHEN {} THEN {} END)",
                condition.text,
                self.truth(true),
                yes.text,
                self.truth(false),
                no.text
            ),
            kind,
            condition.fails() || yes.fails() || no.fails(),
        ))
    }

    pub(super) fn list(&mut self, members: &[Node]) -> Result<Sql, ExprError> {
        let mut kind = Member::Text;
        let mut texts = Vec::with_capacity(members.len());
        for member in members {
            let member = self.node(member)?;
            kind = member.kind.member().unwrap_or(kind);
            texts.push(member.text);
        }
        let function = match self.dialect {
            Dialect::Sqlite => "json_array",
            Dialect::Postgres => "jsonb_build_array",
        };
        Ok(Sql::compound(format!("{function}({})", texts.join(", ")), Type::List(kind), false))
    }

    pub(super) fn in_list(&mut self, pair: &[Node; 2]) -> Result<Sql, ExprError> {
        let wanted = self.node(&pair[0])?;
        let text = if let Kind::List(members) = &pair[1].kind {
            let members: Result<Vec<String>, ExprError> =
                members.iter().map(|member| Ok(self.node(member)?.text)).collect();
            format!("({} IN ({}))", wanted.text, members?.join(", "))
        } else {
            let list = self.node(&pair[1])?;
            let depth = self.members.len();
            format!("({} IN (SELECT member_{depth}.value FROM {}))", wanted.text, self.members_of(&list, depth))
        };
        Ok(Sql::compound(text, Type::Bool, wanted.fails()))
    }

    /// `IN` is true when one is, else unknown when one is unknown, else false: just what `exists` means.
    pub(super) fn quantify(
        &mut self,
        quantifier: Quantifier,
        depth: usize,
        list: &Node,
        predicate: &Node,
    ) -> Result<Sql, ExprError> {
        let list = self.node(list)?;
        let Type::List(member) = list.kind else {
            return Err(ExprError::at(predicate.at, "only the members of a list can be looked at"));
        };
        self.members.push(member);
        let predicate = self.node(predicate);
        self.members.pop();
        let predicate = predicate?;
        let (negation, wanted) = match quantifier {
            Quantifier::Exists => ("", self.truth(true)),
            Quantifier::All => ("NOT ", self.truth(false)),
        };
        let text =
            format!("({negation}({wanted} IN (SELECT {} FROM {})))", predicate.text, self.members_of(&list, depth));
        Ok(Sql::compound(text, Type::Bool, list.fails() || predicate.fails()))
    }

    fn members_of(&self, list: &Sql, depth: usize) -> String {
        match self.dialect {
            Dialect::Sqlite => format!("json_each({}) AS member_{depth}", list.text),
            Dialect::Postgres => format!("jsonb_array_elements_text({}) AS member_{depth}(value)", list.text),
        }
    }

    pub(super) fn member(&self, depth: usize) -> Sql {
        let member = self.members.get(depth).copied().unwrap_or(Member::Text);
        let value = format!("member_{depth}.value");
        let text = match (self.dialect, member) {
            (Dialect::Sqlite, _) | (_, Member::Text) => value,
            (Dialect::Postgres, Member::Bool) => format!("{value}::boolean"),
            (Dialect::Postgres, Member::Int | Member::Date | Member::Instant) => format!("{value}::bigint"),
        };
        Sql::atom(text, member.into())
    }
}
