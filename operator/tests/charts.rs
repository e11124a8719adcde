//! Of the charts, what needs neither helm nor a cluster: that of the custom resources is generated and says what the types say,
//! and each alert leads to what `docs/operations.md` says of it.

use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

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

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(document: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut anchors = BTreeSet::new();
    for line in read(document).lines() {
        is_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_code || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().to_lowercase().replace(' ', "-");
        let anchor: String = kept.chars().filter(|sign| sign.is_alphanumeric() || "-_".contains(*sign)).collect();
        assert!(anchors.insert(anchor), "{document} has two headings of one anchor: {heading}");
    }
    anchors
}

/// The names of alerts, each with the rest of its rule.
fn alerts(rules: &str) -> Vec<(&str, &str)> {
    let rules = rules.split("- alert: ").skip(1);
    rules.map(|rule| rule.split_once('\n').expect("a rule has more lines")).collect()
}

#[test]
fn every_alert_leads_to_what_the_runbook_says_of_it() {
    let rules = read("charts/cartera-operator/files/alerts.yaml");
    let of_operator = alerts(&rules);
    assert!(of_operator.len() > 5, "{of_operator:?}");
    for (alert, rule) in of_operator {
        let address = rule.lines().find_map(|line| line.trim().strip_prefix("runbook_url: "));
        let address = address.unwrap_or_else(|| panic!("{alert} has no runbook_url"));
        let (document, anchor) = address.split_once('#').unwrap_or_else(|| panic!("{alert}: {address} has no anchor"));
        assert!(anchors(document).contains(anchor), "{alert}: {document} has no heading {anchor}");
        assert_eq!(anchor, alert.to_lowercase(), "{alert} leads to what is said of another");
    }
    // What the operator makes for each tenant is agreed on here; the docs lead there themselves.
    let built = read(
        "operator/src/tenant/build/snapshots/cartera_operator__tenant__build__tests__a_tenant_with_everything.snap",
    );
    let (headings, operations) = (anchors("docs/operations.md"), read("docs/operations.md"));
    let of_tenants = alerts(&built);
    assert!(of_tenants.len() > 1, "{of_tenants:?}");
    for (alert, _) in of_tenants {
        assert!(headings.contains(&alert.to_lowercase()), "docs/operations.md has no heading {alert}");
    }
    let links = operations.split("](#").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links {
        assert!(headings.contains(link), "docs/operations.md leads to #{link}, which is no heading of it");
    }
}
