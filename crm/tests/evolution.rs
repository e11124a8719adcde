//! What fields and options were called: a name is one field's for ever, and what waited under a former one follows.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crm::Fields;
use crm::model::{Evolution, Model, Overlay};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// A field of the entity `thing`: its names, the present one last, and its options likewise.
#[derive(Clone, Debug)]
struct Field {
    names: Vec<String>,
    options: Vec<Vec<String>>,
}

/// One version of the entity, and all that it takes to make the next.
#[derive(Clone, Debug, Default)]
struct Version {
    fields: Vec<Field>,
    removed: Vec<String>,
    /// Names given so far.
    given: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Add,
    Rename(Index),
    Remove(Index),
    RenameOption(Index, Index),
}

impl Version {
    fn fresh(&mut self) -> String {
        self.given += 1;
        format!("n{}", self.given)
    }

    fn take(&mut self, step: &Step) {
        let count = self.fields.len();
        match step {
            Step::Add => {
                let names = vec![self.fresh()];
                let options = (0..2).map(|_| vec![self.fresh()]).collect();
                self.fields.push(Field { names, options });
            }
            Step::Rename(which) if count > 0 => {
                let name = self.fresh();
                self.fields[which.index(count)].names.push(name);
            }
            Step::Remove(which) if count > 0 => {
                let field = self.fields.remove(which.index(count));
                self.removed.extend(field.names);
            }
            Step::RenameOption(which, option) if count > 0 => {
                let key = self.fresh();
                let options = &mut self.fields[which.index(count)].options;
                let at = option.index(options.len());
                options[at].push(key);
            }
            _ => {}
        }
    }

    fn model(&self) -> Model {
        let mut yaml = "entity: thing
labels: {es: [Cosa, Cosas], en: [Thing, Things]}
title: name
permissions: {admin: {create: true, read: all, update: all, delete: all}}
"
        .to_owned();
        writeln!(yaml, "removed: [{}]", self.removed.join(", ")).expect("a string takes it");
        yaml += "fields:\n  name: {type: text, labels: {es: Nombre, en: Name}}\n";
        for field in &self.fields {
            let (now, was) = field.names.split_last().expect("it has a name");
            let labels = format!("{{es: {now}, en: {now}}}");
            let options: Vec<String> =
                field.options.iter().map(|keys| format!("{}: {labels}", keys.last().expect("a key"))).collect();
            let was_options: Vec<String> = field
                .options
                .iter()
                .flat_map(|keys| {
                    keys[..keys.len() - 1].iter().map(|was| format!("{was}: {}", keys.last().expect("a key")))
                })
                .collect();
            writeln!(
                yaml,
                "  {now}: {{type: enums, options: {{{}}}, was: [{}], was_options: {{{}}}, labels: {labels}}}",
                options.join(", "),
                was.join(", "),
                was_options.join(", "),
            )
            .expect("a string takes it");
        }
        Model::build(&[Overlay { name: "thing.yaml".into(), yaml }]).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// A record with everything in it.
    fn record(&self) -> Fields {
        let value = |field: &Field| -> Value {
            let mut keys: Vec<&String> = field.options.iter().filter_map(|keys| keys.last()).collect();
            keys.sort();
            json!(keys)
        };
        let name = |field: &Field| field.names.last().expect("it has a name").clone();
        let named = self.fields.iter().map(|field| (name(field), value(field)));
        named.chain([("name".to_owned(), json!("Grúa"))]).collect()
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Add),
        3 => any::<Index>().prop_map(Step::Rename),
        1 => any::<Index>().prop_map(Step::Remove),
        2 => any::<(Index, Index)>().prop_map(|(which, option)| Step::RenameOption(which, option)),
    ]
}

fn follow(before: &Model, after: &Model, fields: &mut Fields) -> Fields {
    Evolution::between(before, after).get("thing").map(|step| step.follow(fields)).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn several_steps_at_once_are_the_same_as_one_after_the_other(
        parts in prop::array::uniform3(prop::collection::vec(any_step(), 0..6)),
    ) {
        let mut version = Version::default();
        let mut versions = Vec::new();
        for part in &parts {
            for step in part {
                version.take(step);
            }
            versions.push(version.clone());
        }
        let models: Vec<Model> = versions.iter().map(Version::model).collect();
        let (first, second, third) = (&models[0], &models[1], &models[2]);

        let (mut slow, mut quick, mut knowing_nothing) =
            (versions[0].record(), versions[0].record(), versions[0].record());
        let lost = [follow(first, second, &mut slow), follow(second, third, &mut slow)];
        let gone = follow(first, third, &mut quick);
        prop_assert_eq!(&slow, &quick);
        prop_assert_eq!(lost[0].len() + lost[1].len(), gone.len(), "each value is kept or told to be gone");

        let ever = Evolution::of(third.entity("thing").expect("it is there"));
        prop_assert_eq!(ever.follow(&mut knowing_nothing), gone, "whatever version a name is of");
        prop_assert_eq!(&knowing_nothing, &quick);

        let known: BTreeSet<&str> = third.entities["thing"].fields.keys().map(String::as_str).collect();
        prop_assert!(quick.keys().all(|name| known.contains(name.as_str())));
        let again = quick.clone();
        prop_assert!(ever.follow(&mut quick).is_empty());
        prop_assert_eq!(quick, again, "twice is once");
    }
}

fn refused(yaml: &str) -> String {
    let head = "entity: account\n";
    let Err(problems) = Model::build(&[Overlay { name: "tenant.yaml".into(), yaml: format!("{head}{yaml}") }]) else {
        panic!("taken:\n{yaml}")
    };
    problems.to_string()
}

#[test]
fn a_name_that_a_field_had_is_given_to_no_other() {
    let taken = "fields:\n  zone: {type: text, was: [name], labels: {es: Zona, en: Zone}}\n";
    assert!(refused(taken).contains("`was` names `name`, which is or was another field"));
    let twice = "removed: [area]\nfields:\n  zone: {type: text, was: [area], labels: {es: Zona, en: Zone}}\n";
    assert!(refused(twice).contains("`removed` names `area`, which is or was another field"));
    assert!(refused("removed: [name]\n").contains("`removed` names `name`"), "nobody takes a core field away");
    assert!(refused("fields:\n  name: {was: [title]}\n").contains("cannot change `was`"));
    let options = "fields:\n  zone: {type: enum, options: {n: {es: N, en: N}}, was_options: {north: x}, labels: {es: Zona, en: Zone}}\n";
    assert!(refused(options).contains("the option `north` would now be `x`, and there is no such option"));
    let again = "fields:\n  zone: {type: enum, options: {n: {es: N, en: N}}, removed_options: [n], labels: {es: Zona, en: Zone}}\n";
    assert!(refused(again).contains("the option `n` was renamed or removed, and is there or named again"));
    let no_enum = "fields:\n  zone: {type: text, was_options: {a: b}, labels: {es: Zona, en: Zone}}\n";
    assert!(refused(no_enum).contains("`was_options` has no meaning"));
}

#[test]
fn a_field_that_a_role_loses_sight_of_is_gone_for_its_devices() {
    let core = Model::core();
    let overlay =
        "entity: account\npermissions:\n  sales_rep: {create: true, read: team, update: own, fields: [name]}\n";
    let narrow = Model::build(&[Overlay { name: "tenant.yaml".into(), yaml: overlay.into() }]).expect("it is sound");
    let steps = Evolution::between(&core.for_role("sales_rep"), &narrow.for_role("sales_rep"));
    let mut fields: Fields =
        [("name".to_owned(), json!("Peña SL")), ("website".to_owned(), json!("https://p.es"))].into();
    assert_eq!(steps["account"].follow(&mut fields).len(), 1);
    assert_eq!(fields, [("name".to_owned(), json!("Peña SL"))].into());
    assert!(Evolution::between(&core, &narrow).is_empty(), "the records keep it");
}
