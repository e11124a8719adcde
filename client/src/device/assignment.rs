use crate::message::say;
use crm::model::Label;

/// One change as a person writes it: `field=value`, `field=`, `field+=x`, `field-=x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The field's name.
    pub field: String,
    /// What to do with it.
    pub action: Action,
}

/// What an assignment does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The field is to hold what this text means.
    Set(String),
    /// The field is to be empty.
    Clear,
    /// These members, entries or this number are to be added.
    Add(String),
    /// These members or this number are to be taken away.
    Remove(String),
}

impl Assignment {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, Label> {
        let refuse = || {
            say(
                format!("«{text}» no es un cambio; escribe campo=valor, campo=, campo+=valor o campo-=valor."),
                format!("“{text}” is not a change; write field=value, field=, field+=value or field-=value."),
            )
        };
        let (left, value) = text.split_once('=').ok_or_else(refuse)?;
        let value = value.trim().to_owned();
        let (field, action) = match (left.strip_suffix('+'), left.strip_suffix('-')) {
            (Some(field), _) => (field, Action::Add(value)),
            (_, Some(field)) => (field, Action::Remove(value)),
            _ if value.is_empty() => (left, Action::Clear),
            _ => (left, Action::Set(value)),
        };
        let field = field.trim();
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if field.is_empty() || !field.bytes().all(is_name) {
            return Err(refuse());
        }
        Ok(Self { field: field.to_owned(), action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Action)> {
        Assignment::parse(text).ok().map(|assignment| (assignment.field, assignment.action))
    }

    #[test]
    fn the_four_forms_are_told_apart() {
        let some = |action| Some(("tags".to_owned(), action));
        assert_eq!(parsed("tags=a=b"), some(Action::Set("a=b".into())));
        assert_eq!(parsed("tags= "), some(Action::Clear));
        assert_eq!(parsed("tags+=a,b"), some(Action::Add("a,b".into())));
        assert_eq!(parsed("tags-=-3"), some(Action::Remove("-3".into())));
        for bad in ["tags", "=x", "Tags=x", "a b=x", "+=1"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
