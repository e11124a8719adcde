//! The chart of the custom resources is generated: it says what the types say.

use std::path::Path;

#[test]
fn the_chart_has_the_custom_resources_as_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/cartera-operator-crds/templates");
    let definitions = cartera_operator::cli::as_yaml().expect("they can be written");
    for (name, yaml) in &definitions {
        let file = folder.join(format!("{name}.yaml"));
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            there == *yaml,
            "{name}.yaml differs: cargo run -p cartera-operator -- crds --into charts/cartera-operator-crds/templates"
        );
    }
    let files = std::fs::read_dir(folder).expect("the chart's folder").count();
    assert_eq!(files, definitions.len(), "the chart has files that no type gives");
}
