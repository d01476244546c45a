//! The tree as a whole: sources that nobody compiles, manifests that stand outside, goldens that nobody reads.
//!
//! A forgotten `mod` line makes a file full of tests that never run; a member without the lint table has no lints. Both
//! look green. Which vendor crates a manifest may name is checked here beside the sources, so that a wall cannot be
//! passed by re-exporting.

use std::collections::BTreeSet;

use super::source::{Module, Source};
use super::{Finding, Repository};

/// Crates that only these manifests may depend on. The root names what the program will be made of.
const OWNERS: &[(&str, &[&str])] = &[
    ("rocksdb", &["events/store/Cargo.toml", "tools/bench/Cargo.toml"]),
    (
        "alloy",
        &[
            "Cargo.toml",
            "src/l1/Cargo.toml",
            "src/l1/signer/Cargo.toml",
            "tools/devnet/Cargo.toml",
            "tools/devnet/prover/Cargo.toml",
        ],
    ),
];

const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Marks the files that only a `#[cfg(test)] mod name;` includes.
pub(super) fn mark_tests(sources: &mut [Source]) {
    let mut tests = BTreeSet::new();
    for source in sources.iter() {
        for module in source.modules.iter().filter(|module| module.test) {
            tests.extend(files_of(&source.name, module));
        }
    }
    for source in sources.iter_mut() {
        source.test |= tests.contains(&source.name);
    }
}

/// Every finding about the tree.
pub(super) fn check(repository: &Repository, sources: &[Source]) -> Result<Vec<Finding>, String> {
    let mut found = forgotten(repository, sources);
    for (name, text) in repository.ending("Cargo.toml") {
        let manifest = text.parse().map_err(|error| format!("{name}: {error}"))?;
        found.extend(check_manifest(name, &manifest));
    }
    found.extend(dead_goldens(repository, sources));
    Ok(found)
}

/// Where the file of `mod name;` in `file` can be.
fn files_of(file: &str, module: &Module) -> Vec<String> {
    let (folder, stem) = file.rsplit_once('/').unwrap_or(("", file));
    if let Some(path) = &module.path {
        return vec![format!("{folder}/{path}")];
    }
    let stem = stem.trim_end_matches(".rs");
    let name = &module.name;
    let beside = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
    let below = [format!("{folder}/{stem}/{name}.rs"), format!("{folder}/{stem}/{name}/mod.rs")];
    if is_root(file) || stem == "mod" { beside.into() } else { below.into() }
}

/// Whether cargo compiles it by itself.
fn is_root(file: &str) -> bool {
    let (folder, stem) = file.rsplit_once('/').unwrap_or(("", file));
    let folder = folder.rsplit('/').next().unwrap_or(folder);
    match stem {
        "lib.rs" | "main.rs" | "build.rs" => true,
        _ => ["tests", "bin", "benches", "examples"].contains(&folder),
    }
}

fn forgotten(repository: &Repository, sources: &[Source]) -> Vec<Finding> {
    let named: Vec<String> =
        repository.ending("Cargo.toml").flat_map(|(name, text)| roots_in(name, text)).collect();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&Source> =
        sources.iter().filter(|source| is_root(&source.name) || named.contains(&source.name)).collect();
    while let Some(source) = open.pop() {
        if reached.insert(&source.name) {
            let files: Vec<String> =
                source.modules.iter().flat_map(|module| files_of(&source.name, module)).collect();
            // A root that the manifest names stands like `main.rs`: its modules are beside it.
            let beside = source.modules.iter().flat_map(|module| {
                let folder = source.name.rsplit_once('/').map_or("", |(folder, _)| folder);
                [format!("{folder}/{}.rs", module.name), format!("{folder}/{}/mod.rs", module.name)]
            });
            let files: Vec<String> =
                if named.contains(&source.name) { files.into_iter().chain(beside).collect() } else { files };
            open.extend(sources.iter().filter(|source| files.contains(&source.name)));
        }
    }
    let lost = sources.iter().filter(|source| !reached.contains(source.name.as_str()));
    lost.map(|source| {
        Finding::never(&source.name, format!("{}: no `mod` names it, so nobody compiles it", source.name))
    })
    .collect()
}

/// Sources that a manifest names by `path = "....rs"`.
fn roots_in(manifest: &str, text: &str) -> Vec<String> {
    let folder = manifest.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let paths = text.lines().filter_map(|line| line.trim().strip_prefix("path = \"")?.strip_suffix("\""));
    paths.filter(|path| path.ends_with(".rs")).map(|path| format!("{folder}{path}")).collect()
}

fn check_manifest(name: &str, manifest: &toml::Table) -> Vec<Finding> {
    let mut found = Vec::new();
    let own_workspace = manifest.contains_key("workspace") && name != "Cargo.toml";
    let linted =
        manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    if manifest.contains_key("package") && !own_workspace && linted != Some(true) {
        found.push(Finding::never(name, format!("{name}: `[lints] workspace = true` is missing")));
    }
    for section in SECTIONS {
        let Some(names) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
        for (owned, owners) in OWNERS.iter().filter(|(_, owners)| !own_workspace && !owners.contains(&name)) {
            let family = format!("{owned}-");
            if let Some(named) = names.keys().find(|key| key == owned || key.starts_with(&family)) {
                let text = format!("{name}: only {} may depend on `{named}`", owners.join(" and "));
                found.push(Finding::never(name, text));
            }
        }
    }
    found
}

/// A folder of goldens is read by some source that names it as the end of a path, or in parts.
fn dead_goldens(repository: &Repository, sources: &[Source]) -> Vec<Finding> {
    let folders: BTreeSet<&str> = repository
        .files
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("tests/golden/")?.split_once('/'))
        .map(|(folder, _)| folder)
        .collect();
    let is_named = |folder: &str| {
        let whole = format!("golden/{folder}");
        let strings =
            |source: &Source, wanted: &dyn Fn(&str) -> bool| source.strings.iter().any(|text| wanted(text));
        sources.iter().any(|source| {
            let in_parts = strings(source, &|text| text.ends_with("golden"))
                && strings(source, &|text| text.split('/').next() == Some(folder));
            strings(source, &|text| text.contains(&whole)) || in_parts
        })
    };
    let dead = folders.into_iter().filter(|folder| !is_named(folder));
    dead.map(|folder| {
        Finding::never(folder, format!("tests/golden/{folder}: no source names it, so no test reads it"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let repository = Repository { files };
        let sources: Vec<Source> =
            repository.ending(".rs").map(|(name, text)| Source::parse(name, text).unwrap()).collect();
        check(&repository, &sources).unwrap().into_iter().map(|finding| finding.subject).collect()
    }

    #[test]
    fn a_source_that_no_mod_names_is_found() {
        let tree = [
            ("a/src/lib.rs", "mod one; mod two;"),
            ("a/src/one.rs", "mod inner;"),
            ("a/src/one/inner.rs", ""),
            ("a/src/two/mod.rs", "#[cfg(test)] mod checks;"),
            ("a/src/two/checks.rs", ""),
            ("a/src/two/lost.rs", ""),
            ("a/tests/it/main.rs", "mod case;"),
            ("a/tests/it/case.rs", ""),
            ("a/tests/it/lost.rs", ""),
            ("f/Cargo.toml", "[workspace]\n[[bin]]\npath = \"targets/x.rs\"\n"),
            ("f/targets/x.rs", "mod beside;"),
            ("f/targets/beside.rs", ""),
        ];
        assert_eq!(findings(&tree), ["a/src/two/lost.rs", "a/tests/it/lost.rs"]);
    }

    #[test]
    fn a_module_that_only_tests_include_is_a_test() {
        let parse = |name: &str, text: &str| Source::parse(name, text).unwrap();
        let mut sources = [
            parse("a/src/lib.rs", "#[cfg(test)] mod suite; mod code;"),
            parse("a/src/suite.rs", ""),
            parse("a/src/code.rs", ""),
        ];
        mark_tests(&mut sources);
        assert_eq!(sources.map(|source| source.test), [false, true, false]);
    }

    #[test]
    fn a_member_without_the_lint_table_or_with_a_crate_of_another_room_is_found() {
        let linted = "[package]\n[lints]\nworkspace = true\n";
        assert!(findings(&[("a/Cargo.toml", linted)]).is_empty());
        assert_eq!(findings(&[("a/Cargo.toml", "[package]\n")]), ["a/Cargo.toml"]);
        for named in
            ["[dependencies]\nrocksdb.workspace = true\n", "[dev-dependencies]\nalloy-primitives = \"1\"\n"]
        {
            assert_eq!(
                findings(&[("a/Cargo.toml", &format!("{linted}{named}"))]),
                ["a/Cargo.toml"],
                "{named}"
            );
        }
        let store = format!("{linted}[dependencies]\nrocksdb.workspace = true\n");
        assert!(findings(&[("events/store/Cargo.toml", &store)]).is_empty());
    }

    #[test]
    fn goldens_that_no_source_names_are_found() {
        let tree = [
            ("tests/golden/logs/a.jsonl", ""),
            ("tests/golden/states/a.json", ""),
            ("tests/golden/dead/a.json", ""),
            (
                "tests/it.rs",
                "const A: &str = \"../tests/golden/logs\"; const B: &str = \"tests/golden\"; const C: &str = \"states\";",
            ),
        ];
        assert_eq!(findings(&tree), ["dead"]);
    }
}
