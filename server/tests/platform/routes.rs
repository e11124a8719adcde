//! Every route that there is, read from the sources.

use std::collections::BTreeSet;
use std::path::Path;

/// The paths as the router names them: `/api/v1/{entity}/{id}`.
pub fn all_routes() -> BTreeSet<String> {
    let routes = routes_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(routes.len() >= 10, "the sources were not found: {routes:?}");
    routes
}

fn routes_in(folder: &Path) -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("the sources").path();
        if path.is_dir() {
            routes.extend(routes_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("http/tests.rs") {
            let text = std::fs::read_to_string(&path).expect("the sources");
            routes.extend(text.split(".route(").skip(1).filter_map(|rest| {
                let literal = rest.trim_start().strip_prefix('"')?;
                Some(literal.split_once('"')?.0.to_owned())
            }));
        }
    }
    routes
}
