//! What an overlay may and may not say.

use crm::expr::Expr;
use crm::model::{Field, FieldKind, Level, Model, Overlay, Permission};
use proptest::prelude::*;

const ENGAGING: &str = "
entity: opportunity
pipelines:
  sales:
    - {key: engaging, kind: open, probability: 30, category: pipeline, after: prospecting,
       labels: {es: En conversación, en: Engaging}}
";

fn overlay(yaml: &str) -> Overlay {
    Overlay { name: "tenant.yaml".to_owned(), yaml: yaml.to_owned() }
}

fn build(yaml: &str) -> Model {
    Model::build(&[overlay(yaml)]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What is wrong, and the path of the first problem.
fn refused(yaml: &str) -> (String, String) {
    let Err(problems) = Model::build(&[overlay(yaml)]) else { panic!("taken:\n{yaml}") };
    (problems.problems[0].path.clone(), problems.to_string())
}

#[test]
fn a_stage_is_added_where_it_belongs() {
    let model = build(ENGAGING);
    let stages = &model.entity("opportunity").expect("it exists").pipelines["sales"].stages;
    let keys = stages.iter().map(|stage| stage.key.as_str()).collect::<Vec<_>>();
    assert_eq!(keys, ["prospecting", "engaging", "qualification", "proposal", "negotiation", "won", "lost"]);
    assert_ne!(model.hash, Model::core().hash);
    assert_eq!(model.hash, build(ENGAGING).hash, "the same definitions have the same hash");
}

#[test]
fn fields_options_rules_aliases_roles_and_entities_are_added() {
    let model = build(
        "
entity: opportunity
fields:
  contract_years: {type: integer, min: 1, max: 10, labels: {es: Años de contrato, en: Contract years}}
  source: {options: {radio: {es: Radio, en: Radio}}}
  close_date: {required_if: \"stage.key == 'negotiation'\"}
rules:
  - {id: years_for_large, valid_if: \"amount < 10000000 || contract_years != null\", severity: warning,
     message: {es: Indica los años de contrato., en: Fill in the contract years.}}
permissions:
  auditor: {read: all, export: true}
import: {aliases: {contract_years: [años, term]}}
---
entity: machine
labels: {es: [Máquina, Máquinas], en: [Machine, Machines]}
title: serial
fields:
  serial: {type: text, required: true, unique: true, labels: {es: Número de serie, en: Serial number}}
  account: {type: link, to: account, on_delete: cascade, labels: {es: Cuenta, en: Account}}
mixins: [owned, timeline]
permissions:
  admin: {create: true, read: all, update: all, delete: all}
  sales_rep: {create: true, read: all, update: own}
",
    );
    let opportunity = model.entity("opportunity").expect("it exists");
    assert_eq!(opportunity.field_of_column("Años").map(|field| field.name.as_str()), Some("contract_years"));
    assert!(matches!(&opportunity.fields["source"].kind, FieldKind::Enum { options } if options.len() == 9));
    assert_eq!(opportunity.rules.len(), Model::core().entities["opportunity"].rules.len() + 1);
    assert_eq!(model.entities.keys().last().map(String::as_str), Some("machine"));
    assert!(model.entities["machine"].fields.contains_key("created_on"));
    assert!(model.roles().contains("auditor"));
}

#[test]
fn the_examples_of_the_guide_hold() {
    let guide = include_str!("../../docs/model.md");
    let examples = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let overlays = examples.filter(|yaml| yaml.starts_with("entity:")).map(overlay).collect::<Vec<_>>();
    assert_eq!(overlays.len(), 4);
    let model = Model::build(&overlays).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(model.entities["opportunity"].pipelines["sales"].stage("engaging").is_some());
    assert!(model.entities.contains_key("machine"));
    assert!(model.entities["activity"].sync.condition.is_some());
    assert_eq!(model.entities["product"].now_called("shelf"), Some("place"));
}

#[test]
fn literal_defaults_that_their_fields_can_hold_are_taken() {
    let model = build(
        "
entity: opportunity
fields:
  colour: {type: enum, default: \"amount > 0 ? 'a' : 'b'\", options: {a: {es: A, en: A}, b: {es: B, en: B}}, labels: {es: Color, en: Colour}}
  again: {type: stage, pipeline: sales, default: \"'won'\", labels: {es: Otra etapa, en: Other stage}}
  share: {type: percent, default: '100', labels: {es: Cuota, en: Share}}
  since: {type: date, default: \"date('2026-01-31')\", labels: {es: Desde cuándo, en: Since when}}
  sure: {type: boolean, default: 'true', labels: {es: Seguro, en: Sure}}
  twice: {type: money, default: 'amount * 2', labels: {es: Doble, en: Twice}}
  who: {type: link, to: user, default: me, labels: {es: Quién, en: Who}}
",
    );
    let filled = ["colour", "again", "share", "since", "sure", "twice", "who"];
    assert!(filled.iter().all(|name| model.entities["opportunity"].fields[*name].default.is_some()));
}

#[test]
fn a_number_is_always_unique() {
    let model = build(
        "
entity: machine
labels: {es: [Máquina, Máquinas], en: [Machine, Machines]}
title: number
number: {field: number, series: \"M-{seq:4}\"}
fields:
  number: {type: number, labels: {es: Número, en: Number}}
permissions: {admin: {create: true, read: all, update: all, delete: all}}
",
    );
    assert!(model.entities["machine"].fields["number"].unique);
}

#[test]
fn a_second_overlay_builds_on_the_first() {
    let second = "
entity: opportunity
pipelines:
  sales:
    - {key: demo, kind: open, probability: 40, category: pipeline, after: engaging, labels: {es: Demo, en: Demo}}
    - {key: engaging, needs: [amount]}
";
    let model = Model::build(&[overlay(ENGAGING), overlay(second)]).expect("both hold");
    let stages = &model.entities["opportunity"].pipelines["sales"].stages;
    assert_eq!((stages[1].key.as_str(), stages[2].key.as_str()), ("engaging", "demo"));
    assert_eq!(stages[1].needs, ["amount"]);
}

#[test]
fn what_would_change_or_loosen_the_core_is_refused() {
    for (yaml, path, says) in [
        ("fields: {amount: {type: integer}}", "opportunity.amount", "`type`"),
        ("fields: {account: {required: false}}", "opportunity.account", "required"),
        ("fields: {account: {to: contact}}", "opportunity.account", "`to`"),
        ("fields: {cost: {level: 0}}", "opportunity.cost", "level"),
        ("fields: {name: {max: 500}}", "opportunity.name", "`max`"),
        ("fields: {number: {unique: false}}", "opportunity.number", "unique"),
        ("fields: {stage: {merge: lww}}", "opportunity.stage", "`merge`"),
        ("fields: {weighted: {expr: \"amount\"}}", "opportunity.weighted", "`expr`"),
        ("fields: {name: {default: \"'x'\"}}", "opportunity.name", "`default`"),
        ("fields: {account: {on_delete: cascade}}", "opportunity.account", "on_delete"),
        ("permissions: {sales_rep: {read: all}}", "opportunity.permissions.sales_rep", "more than before"),
        ("permissions: {sales_rep: {read: team, levels: [0, 1]}}", "opportunity.permissions.sales_rep", "more than"),
        ("pipelines: {sales: [{key: won, kind: open}]}", "opportunity.sales.won", "cannot change"),
        (
            "pipelines: {sales: [{key: x, kind: open, probability: 1, category: pipeline, after: y, labels: {es: X, en: X}}]}",
            "opportunity.sales.x",
            "no such stage",
        ),
        (
            "rules: [{id: close_after_start, valid_if: 'amount > 0', message: {es: x, en: x}}]",
            "opportunity.rules.close_after_start",
            "already",
        ),
        ("title: number", "opportunity.title", "cannot change"),
        ("module: leads", "opportunity.module", "cannot change"),
    ] {
        let (found, problems) = refused(&format!("entity: opportunity\n{yaml}"));
        assert_eq!(found, path, "{yaml}\n{problems}");
        assert!(problems.contains(says), "{yaml}\n{problems}");
        assert!(problems.starts_with("tenant.yaml: "), "{problems}");
    }
}

#[test]
fn what_leads_nowhere_is_refused_with_its_place() {
    for (yaml, path, says) in [
        ("fields: {x: {type: text}}", "opportunity.x", "labels"),
        ("fields: {x: {labels: {es: X, en: X}}}", "opportunity.x", "type"),
        ("fields: {x: {type: link, to: planet, labels: {es: X, en: X}}}", "opportunity.x", "planet"),
        ("fields: {x: {type: text, labels: {es: X, en: ' '}}}", "opportunity.x", "empty in en"),
        ("fields: {x: {type: enum, labels: {es: X, en: X}}}", "opportunity.x", "nothing to choose"),
        ("fields: {x: {type: boolean, max: 3, labels: {es: X, en: X}}}", "opportunity.x", "`max` has no meaning"),
        ("fields: {x: {type: text, level: 9, labels: {es: X, en: X}}}", "opportunity.x", "level 9"),
        ("fields: {description: {level: 1}}", "opportunity.description", "search would find"),
        ("fields: {Größe: {type: text, labels: {es: X, en: X}}}", "opportunity.Größe", "not a name"),
        ("fields: {id: {type: text, labels: {es: X, en: X}}}", "opportunity.id", "taken"),
        ("fields: {today: {type: date, labels: {es: X, en: X}}}", "opportunity.today", "taken"),
        ("fields: {now: {type: datetime, labels: {es: X, en: X}}}", "opportunity.now", "taken"),
        ("fields: {me: {type: text, labels: {es: X, en: X}}}", "opportunity.me", "taken"),
        ("fields: {x: {type: text, labels: {es: Importe, en: X}}}", "opportunity.x", "`Importe` would fit"),
        ("fields: {x: {type: money, expr: 'cost * 2', labels: {es: X, en: X}}}", "opportunity.x", "level 0"),
        ("fields: {x: {type: integer, expr: 'y', labels: {es: X, en: X}}}", "opportunity.x", "y"),
        ("fields: {x: {type: integer, expr: 'close_date', labels: {es: X, en: X}}}", "opportunity.x", "gives a date"),
        ("fields: {x: {type: text, default: '3', labels: {es: X, en: X}}}", "opportunity.x", "gives a number"),
        ("fields: {x: {type: text, required_if: amount, labels: {es: X, en: X}}}", "opportunity.x", "true or false"),
        (
            "fields: {x: {type: enum, default: \"'c'\", options: {a: {es: A, en: A}}, labels: {es: X, en: X}}}",
            "opportunity.x",
            "gives `c`",
        ),
        (
            "fields: {x: {type: enum, default: \"amount > 0 ? 'a' : 'c'\", options: {a: {es: A, en: A}}, labels: {es: X, en: X}}}",
            "opportunity.x",
            "gives `c`",
        ),
        (
            "fields: {x: {type: stage, pipeline: sales, default: \"'nowhere'\", labels: {es: X, en: X}}}",
            "opportunity.x",
            "gives `nowhere`",
        ),
        ("fields: {x: {type: text, max: 2, default: \"'abc'\", labels: {es: X, en: X}}}", "opportunity.x", "`abc`"),
        ("fields: {x: {type: integer, max: 5, default: '2 * 4', labels: {es: X, en: X}}}", "opportunity.x", "`8`"),
        ("fields: {x: {type: percent, default: '-1', labels: {es: X, en: X}}}", "opportunity.x", "`-1`"),
        ("fields: {x: {type: url, default: \"'no url'\", labels: {es: X, en: X}}}", "opportunity.x", "`no url`"),
        ("fields: {x: {type: link, to: user, default: \"'ana'\", labels: {es: X, en: X}}}", "opportunity.x", "`ana`"),
        ("fields: {x: {type: money, default: '5', labels: {es: X, en: X}}}", "opportunity.x", "no currency"),
        (
            "fields: {x: {type: text, unique: true, default: \"'a'\", labels: {es: X, en: X}}}",
            "opportunity.x",
            "whoever means it",
        ),
        (
            "fields: {x: {type: integer, expr: 'y', labels: {es: X, en: X}}, y: {type: integer, expr: 'x', labels: {es: Y, en: Y}}}",
            "opportunity.x",
            "from itself",
        ),
        ("fields: {x: {type: text, required_if: 'amount >', labels: {es: X, en: X}}}", "opportunity.x", "amount >"),
        ("rules: [{id: x, valid_if: 'nothing > 3', message: {es: x, en: x}}]", "opportunity.rules.x", "nothing"),
        ("rules: [{id: x, valid_if: '1 < 2', message: {es: x, en: x}}]", "opportunity.rules.x", "no field"),
        ("layouts: {list: [nothing]}", "opportunity.layouts.list", "nothing"),
        ("import: {match: [[nothing]]}", "opportunity.import.match", "nothing"),
        ("import: {aliases: {nothing: [x]}}", "opportunity.import.aliases", "nothing"),
        ("mixins: [nothing]", "opportunity.mixins.nothing", "mixin"),
        ("permissions: {auditor: {update: all}}", "opportunity.permissions.auditor", "may not read"),
        ("permissions: {auditor: {read: all, fields: [stage]}}", "opportunity.permissions.auditor", "title"),
        ("fields: {close_date: {type: date, colour: red}}", "line 2, column 35", "colour"),
    ] {
        let (found, problems) = refused(&format!("entity: opportunity\n{yaml}"));
        assert_eq!(found, path, "{yaml}\n{problems}");
        assert!(problems.contains(says), "{yaml}\n{problems}");
    }
    let (_, problems) = refused("entity: machine\nfields: {}");
    assert!(problems.contains("`labels` or no `title`"), "{problems}");
    let (_, problems) = refused("");
    assert!(problems.contains("defines nothing"), "{problems}");
}

fn is_no_looser(before: &Field, after: &Field) -> bool {
    let kind = match (&before.kind, &after.kind) {
        (FieldKind::Text { max: before }, FieldKind::Text { max: after }) => after <= before,
        (FieldKind::Enum { options: before }, FieldKind::Enum { options: after }) => {
            before.iter().all(|option| after.iter().any(|other| other.key == option.key))
        }
        (before, after) => before == after,
    };
    kind && after.required >= before.required
        && after.unique >= before.unique
        && after.level >= before.level
        && (before.required_if.is_none() || after.required_if.is_some())
        && before.expr.as_ref().map(crm::expr::Expr::source) == after.expr.as_ref().map(crm::expr::Expr::source)
}

fn allows_no_more(before: Option<&Permission>, after: &Permission) -> bool {
    before.is_some_and(|before| {
        after.create <= before.create
            && after.read <= before.read
            && after.update <= before.update
            && after.delete <= before.delete
            && after.levels.iter().all(|level| before.levels.contains(level))
    })
}

/// Overlays that say all sorts of things about fields and roles of the core.
fn any_overlay() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec!["name", "amount", "cost", "stage", "source", "close_reason", "account"]);
    let says = prop::sample::select(vec![
        "required: true",
        "required: false",
        "level: 0",
        "level: 1",
        "level: 2",
        "max: 20",
        "max: 400",
        "unique: true",
        "type: text",
        "type: money",
        "merge: guarded",
        "merge: lww",
        "on_delete: cascade",
        "expr: amount",
        "required_if: \"stage.kind == 'won'\"",
        "options: {z: {es: Z, en: Z}}",
        "search: true",
        "min: 3",
    ]);
    let level = || prop::sample::select(vec!["none", "own", "team", "territory", "all"]);
    let role = prop::sample::select(vec!["admin", "sales_manager", "sales_rep", "auditor"]);
    let fields = prop::collection::btree_map(field, says, 0..3);
    let right = (role, level(), level(), level(), any::<bool>());
    (fields, prop::option::of(right)).prop_map(|(fields, right)| {
        let fields = fields.into_iter().map(|(name, says)| format!("  {name}: {{{says}}}"));
        let permissions = right.map(|(role, read, update, delete, sees_costs)| {
            let levels = if sees_costs { "[0, 1]" } else { "[0]" };
            format!("permissions: {{{role}: {{read: {read}, update: {update}, delete: {delete}, levels: {levels}}}}}")
        });
        let start = ["entity: opportunity\nfields:\n  zz: {type: text, labels: {es: Zz, en: Zz}}".to_owned()];
        start.into_iter().chain(fields).chain(permissions).collect::<Vec<_>>().join("\n")
    })
}

proptest! {
    #[test]
    fn no_overlay_that_is_taken_loosens_the_core(yaml in any_overlay()) {
        let Ok(model) = Model::build(&[overlay(&yaml)]) else { return Ok(()) };
        for (name, before) in &Model::core().entities {
            let after = &model.entities[name];
            for field in before.fields.values() {
                prop_assert!(is_no_looser(field, &after.fields[&field.name]), "{}.{}\n{}", name, field.name, yaml);
            }
            for (role, permission) in &after.permissions {
                let is_new = !before.permissions.contains_key(role) && role == "auditor";
                prop_assert!(is_new || allows_no_more(before.permissions.get(role), permission), "{}\n{}", role, yaml);
            }
        }
        prop_assert!(model.entities["opportunity"].permissions["admin"].read == Level::All);
    }

    #[test]
    fn no_text_makes_the_loader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Model::build(&[overlay(&String::from_utf8_lossy(&bytes))]);
    }

    #[test]
    fn no_shuffled_definition_makes_the_loader_panic(
        lines in prop::collection::vec(prop::sample::select(FRAGMENTS.to_vec()), 0..12)
    ) {
        let _ = Model::build(&[overlay(&lines.join("\n"))]);
    }

    #[test]
    fn no_text_makes_reading_model_json_panic(text in "\\PC{0,200}") {
        let _ = Model::from_json(&text);
        let _ = Model::from_json(&format!("{{\"hash\":\"\",\"entities\":{{\"x\":{text}}}}}"));
    }
}

const FRAGMENTS: &[&str] = &[
    "entity: opportunity",
    "entity: x",
    "---",
    "labels: {es: [X, X], en: [X, X]}",
    "title: x",
    "fields:",
    "  x:",
    "  x: {type: text, labels: {es: X, en: X}}",
    "  x: {type: stage, pipeline: p, labels: {es: X, en: X}}",
    "  amount: {max: -3}",
    "  y: {type: link, to: [], labels: {es: Y, en: Y}}",
    "pipelines: {p: []}",
    "pipelines: {sales: [{key: z}]}",
    "rules:",
    "  - {id: r, valid_if: 'x > )', message: {es: m, en: m}}",
    "permissions: {admin: {read: all}}",
    "import: {match: [[x]], aliases: {x: [y]}}",
    "number: {field: x, series: s}",
    "parent: x",
    "mixins: [owned, owned]",
    "layouts: {list: [x]}",
    "&a [*a]",
    "? {a: b}",
    "<<: {entity: x}",
    "\t",
    "  x: {type: decimal, scale: 400, labels: {es: X, en: X}}",
    "  x: {type: integer, min: 99999999999999999999}",
];

#[test]
fn an_overlay_says_what_it_changes_of_sync_and_no_device_hears_of_a_rule() {
    let rule = "entity: activity\nsync: {where: \"due > today - 180\"}\n";
    let model = build(rule);
    let sync = &model.entity("activity").expect("it exists").sync;
    assert_eq!((sync.priority, sync.condition.as_ref().map(Expr::source)), (1, Some("due > today - 180")));
    assert_ne!(model.hash, Model::core().hash);
    for role in ["admin", "sales_rep"] {
        assert_eq!(model.for_role(role).hash, Model::core().for_role(role).hash, "to {role} it is the same model");
    }
    let later = Overlay { name: "later.yaml".to_owned(), yaml: "entity: activity\nsync: {priority: 3}\n".to_owned() };
    let both = Model::build(&[overlay(rule), later]).unwrap_or_else(|problems| panic!("{problems}"));
    let sync = &both.entity("activity").expect("it exists").sync;
    assert_eq!((sync.priority, sync.condition.is_some()), (3, true));
    for wrong in ["owner == me", "start < now", "due + 1 > today", "subject", "today.month"] {
        let (path, _) = refused(&format!("entity: activity\nsync: {{where: \"{wrong}\"}}\n"));
        assert_eq!(path, "activity.sync.where", "{wrong}");
    }
}
