//! Documents and alert rules say what the table says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use prooflog_observe::metrics::table;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn docs_metrics_is_what_the_table_makes_it() {
    let path = root().join("docs/metrics.md");
    let made = table::document();
    if std::env::var_os("PROOFLOG_UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(
        found == made,
        "docs/metrics.md is stale: run with PROOFLOG_UPDATE_DOCS=1 and look at the difference"
    );
}

/// Names of ours that a text mentions, histogram suffixes taken off.
fn mentioned(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names = text.split(word).filter(|name| {
        ["prooflog_", "succinct_", "op_succinct_proposer_default_", "op_proposer_default_", "process_"]
            .iter()
            .any(|prefix| name.starts_with(prefix) && name.len() > prefix.len())
    });
    names.map(str::to_owned).collect()
}

fn is_known(name: &str) -> bool {
    let known: BTreeSet<&str> = table::all().flat_map(|def| def.names.iter().copied()).collect();
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    known.contains(name) || base.is_some_and(|base| known.contains(base))
}

#[test]
fn alerts_dashboards_and_the_guide_name_only_metrics_that_exist() {
    for file in ["packaging/prometheus/alerts.yml", "packaging/grafana/prooflog.json", "docs/operations.md"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let names = mentioned(&text);
        assert!(names.len() > 3, "{file} names hardly any metric");
        for name in names {
            assert!(is_known(&name), "{file}: {name}");
        }
    }
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-')
        .collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn every_alert_leads_to_a_section_of_the_guide() {
    let guide = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let anchors: BTreeSet<String> = guide
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect();
    let alerts = fs::read_to_string(root().join("packaging/prometheus/alerts.yml")).unwrap();
    let mut found = 0;
    for link in alerts.lines().filter_map(|line| line.trim().strip_prefix("runbook: docs/operations.md#")) {
        found += 1;
        assert!(anchors.contains(link), "{link}");
    }
    assert!(found > 10);
}
