//! Any text as a tenant's overlay: a model that can be written, read and narrowed to a role, or problems that say where.
//! Any text as the model that a device fetches.
#![no_main]

use crm::model::{Model, Overlay};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|yaml: &str| {
    // Devices read models as JSON.
    let _ = Model::from_json(yaml);
    let overlay = Overlay { name: "overlay.yaml".to_owned(), yaml: yaml.to_owned() };
    match Model::build(&[overlay]) {
        Ok(model) => {
            let again = Model::from_json(&model.to_json()).expect("what was written can be read");
            assert_eq!(again.to_json(), model.to_json(), "a model is read as it was written");
            for role in model.roles() {
                let _ = model.for_role(role);
            }
        }
        Err(problems) => {
            assert!(!problems.problems.is_empty(), "a refusal has its reasons");
            let _ = problems.to_string();
        }
    }
});
