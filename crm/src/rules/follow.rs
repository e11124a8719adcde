use serde_json::Value;

use super::access::SHARE_FIELDS;
use crate::Fields;

/// The fields that say where a record stands.
const PLACE_FIELDS: [&str; 3] = ["owner", "team", "territory"];

/// Of a record's fields, those that say where it stands and with whom it is shared.
#[must_use]
pub fn place_fields(fields: &Fields) -> Fields {
    let names = PLACE_FIELDS.iter().chain(&SHARE_FIELDS);
    names.filter_map(|name| Some(((*name).to_owned(), fields.get(*name)?.clone()))).collect()
}

/// What a child has to change when its parent's place goes from `before` to `after` (both of [`place_fields`]); `null`
/// empties a field.
///
/// Owner, team and territory each follow where the child's was its parent's; where it was another, that stays. Of the
/// shares the child gains what its parent gained and loses what its parent lost, and keeps its own.
#[must_use]
pub fn follow_parent(child: &Fields, before: &Fields, after: &Fields) -> Fields {
    let mut set = Fields::new();
    for name in PLACE_FIELDS {
        let (old, new) = (before.get(name), after.get(name));
        if old != new && child.get(name) == old {
            set.insert(name.to_owned(), new.cloned().unwrap_or(Value::Null));
        }
    }
    for name in SHARE_FIELDS {
        let (old, new) = (members(before, name), members(after, name));
        let own = members(child, name);
        let kept = own.iter().filter(|member| !old.contains(member) || new.contains(member));
        let gained = new.iter().filter(|member| !old.contains(member) && !own.contains(member));
        let next: Vec<Value> = kept.chain(gained).cloned().collect();
        if next != own {
            let value = if next.is_empty() { Value::Null } else { Value::Array(next) };
            set.insert(name.to_owned(), value);
        }
    }
    set
}

fn members<'a>(fields: &'a Fields, name: &str) -> &'a [Value] {
    fields.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn what_was_the_parents_follows_and_what_was_not_stays() {
        let before = fields(json!({"owner": "ana", "team": "bilbao", "territory": "norte"}));
        let after = fields(json!({"owner": "sara", "team": "sevilla"}));
        let all = fields(json!({"owner": "sara", "team": "sevilla", "territory": null}));
        assert_eq!(follow_parent(&before, &before, &after), all);
        let of_berta = fields(json!({"owner": "berta", "team": "bilbao", "territory": "norte"}));
        let but_owner = fields(json!({"team": "sevilla", "territory": null}));
        assert_eq!(
            follow_parent(&of_berta, &before, &after),
            but_owner,
            "she keeps what she made, and goes on seeing it"
        );
        let elsewhere = fields(json!({"owner": "berta", "team": "oviedo", "territory": "centro"}));
        assert!(follow_parent(&elsewhere, &before, &after).is_empty());
        assert!(follow_parent(&after, &before, &after).is_empty(), "twice is once");
        let from_nowhere = fields(json!({"owner": "sara", "team": "sevilla"}));
        assert_eq!(follow_parent(&Fields::new(), &Fields::new(), &after), from_nowhere);
    }

    #[test]
    fn shares_come_and_go_with_the_parents_beside_the_childs_own() {
        let before = fields(json!({"shared_with": ["a", "b"], "shared_with_teams": ["t"]}));
        let after = fields(json!({"shared_with": ["b", "c"]}));
        let child = fields(json!({"shared_with": ["own", "a", "b"], "shared_with_teams": ["t"]}));
        let set = follow_parent(&child, &before, &after);
        assert_eq!(set, fields(json!({"shared_with": ["own", "b", "c"], "shared_with_teams": null})));
        let again = fields(json!({"shared_with": ["own", "b", "c"]}));
        assert!(follow_parent(&again, &before, &after).is_empty());
    }
}
