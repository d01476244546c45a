//! The pages that the program writes are what it would write. `PROOFLOG_UPDATE_DOCS=1` writes them again.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use prooflog_config::{SourceFile, Sources, load, older_names, reference};
use prooflog_net::Salt;

const BEGIN: &str = "<!-- older names: written by the program -->\n";
const END: &str = "<!-- end of older names -->\n";

fn check(page: &str, wanted: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let wanted = wanted(&found);
    if std::env::var_os("PROOFLOG_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/{page} is not up to date: run this test with PROOFLOG_UPDATE_DOCS=1");
}

#[test]
fn the_reference_page_is_up_to_date() {
    check("configuration.md", |_| reference());
}

#[test]
fn the_table_of_older_names_is_up_to_date() {
    check("migration.md", |page| {
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        format!("{before}{BEGIN}{}{END}{after}", older_names())
    });
}

#[test]
fn the_example_of_the_reference_page_starts() {
    let page = reference();
    let text = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap().to_owned();
    let file = Some(SourceFile { path: "example".into(), text, readable_by_others: false });
    let loaded = load(&Sources { file, ..Sources::default() }, Salt::default()).unwrap();
    assert_eq!(loaded.chains.iter().filter(|chain| chain.is_ok()).count(), 2);
    assert!(loaded.report.is_empty(), "{:?}", loaded.report);
}
