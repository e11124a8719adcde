use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;

use super::assemble::Assembly;
use super::definition::{Definition, MixinDefinition};
use super::{Model, ModelProblems, check};

/// The core definitions, in the order in which imports handle them: what is linked to comes before what links.
const CORE: &[(&str, &str)] = &[
    ("role.yaml", include_str!("../../model/role.yaml")),
    ("territory.yaml", include_str!("../../model/territory.yaml")),
    ("team.yaml", include_str!("../../model/team.yaml")),
    ("user.yaml", include_str!("../../model/user.yaml")),
    ("price_list.yaml", include_str!("../../model/price_list.yaml")),
    ("product.yaml", include_str!("../../model/product.yaml")),
    ("price_item.yaml", include_str!("../../model/price_item.yaml")),
    ("competitor.yaml", include_str!("../../model/competitor.yaml")),
    ("account.yaml", include_str!("../../model/account.yaml")),
    ("contact.yaml", include_str!("../../model/contact.yaml")),
    ("lead.yaml", include_str!("../../model/lead.yaml")),
    ("opportunity.yaml", include_str!("../../model/opportunity.yaml")),
    ("stage_history.yaml", include_str!("../../model/stage_history.yaml")),
    ("activity.yaml", include_str!("../../model/activity.yaml")),
];

const MIXINS: (&str, &str) = ("mixins.yaml", include_str!("../../model/mixins.yaml"));

/// What a tenant lays over the core definitions: one or several YAML documents in the same format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// How problems name it; the file's name, usually.
    pub name: String,
    /// Its text.
    pub yaml: String,
}

/// The core, assembled and checked once for the process.
static CORE_ASSEMBLY: LazyLock<(Assembly, Arc<Model>)> = LazyLock::new(|| {
    let mut assembly = Assembly::default();
    read_mixins(&mut assembly, MIXINS.0, MIXINS.1);
    for (file, yaml) in CORE {
        lay(&mut assembly, file, yaml);
    }
    assembly.core_roles = assembly.entities.values().flat_map(|entity| entity.permissions.keys().cloned()).collect();
    let model = finish(&mut assembly).expect("the core definitions are sound: a test loads them");
    (assembly, Arc::new(model))
});

impl Model {
    /// The model of the core definitions alone.
    #[must_use]
    pub fn core() -> Arc<Self> {
        Arc::clone(&CORE_ASSEMBLY.1)
    }

    /// The core definitions with the overlays laid over them in their order, checked as a whole.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the overlays.
    pub fn build(overlays: &[Overlay]) -> Result<Self, ModelProblems> {
        let mut assembly = CORE_ASSEMBLY.0.clone();
        for overlay in overlays {
            lay(&mut assembly, &overlay.name, &overlay.yaml);
        }
        finish(&mut assembly)
    }
}

/// Reads the documents of one file: what exists is extended, what is new is added.
fn lay(assembly: &mut Assembly, file: &str, yaml: &str) {
    match serde_saphyr::from_multiple::<Definition>(yaml) {
        Ok(definitions) if definitions.is_empty() => {
            assembly.problem(file, "line 1", "it defines nothing", "start with `entity:` and the entity's name");
        }
        Ok(definitions) => {
            for definition in definitions {
                if assembly.entities.contains_key(&definition.entity) {
                    assembly.extend_entity(file, definition);
                } else {
                    assembly.add_entity(file, definition);
                }
            }
        }
        Err(error) => unreadable(assembly, file, &error),
    }
}

fn read_mixins(assembly: &mut Assembly, file: &str, yaml: &str) {
    match serde_saphyr::from_str::<IndexMap<String, MixinDefinition>>(yaml) {
        Ok(mixins) => assembly.mixins = mixins,
        Err(error) => unreadable(assembly, file, &error),
    }
}

fn unreadable(assembly: &mut Assembly, file: &str, error: &serde_saphyr::Error) {
    let error = error.without_snippet();
    let path = error.location().map_or_else(
        || "the whole file".to_owned(),
        |location| format!("line {}, column {}", location.line(), location.column()),
    );
    // The reader repeats the place at the end of its sentence.
    let message = error.to_string();
    let what = message.rfind(" at line ").map_or(message.as_str(), |end| &message[..end]);
    assembly.problem(file, &path, what, "compare it with docs/model.md, which lists every key and its values");
}

/// Checks the whole, unless a part of it could not even be understood.
fn finish(assembly: &mut Assembly) -> Result<Model, ModelProblems> {
    if assembly.problems.is_empty() {
        check::whole(assembly);
    }
    if assembly.problems.is_empty() {
        Ok(Model::of(assembly.entities.clone()))
    } else {
        Err(ModelProblems { problems: std::mem::take(&mut assembly.problems) })
    }
}
