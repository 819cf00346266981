//! What the documents promise about the code, held against the code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that cannot go on fails its test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Our own Rust files, without what is generated.
fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["crates", "proof", "bench"] {
        files_below(&root().join(folder), "rs", &mut found);
    }
    assert!(found.len() > 100, "{}", found.len());
    found
}

fn files_below(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("generated") && !path.ends_with("target") {
            files_below(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn text_of(files: &[PathBuf]) -> String {
    files.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The names of a manifest's normal dependencies.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(manifest).parse().unwrap();
    let found = manifest.get("dependencies").and_then(toml::Value::as_table);
    found.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

#[test]
fn every_path_that_the_map_names_exists() {
    let map = read("ARCHITECTURE.md");
    let mut room = "";
    let mut checked = 0;
    for line in map.lines() {
        room = line.strip_prefix("### ").unwrap_or(room);
        for name in line.split('`').skip(1).step_by(2) {
            let is_path = name.contains('/') && !name.contains([' ', ':', '<', '(']);
            if !is_path || name.starts_with(['.', '/']) {
                continue;
            }
            let from_room = root().join(room).join(name);
            let from_crates = root().join("crates").join(name);
            let exists = [root().join(name), from_room, from_crates].iter().any(|p| p.exists())
                || root().join("crates/server/src").join(name).exists();
            assert!(exists, "ARCHITECTURE.md names {name}");
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} paths found");
}

#[test]
fn the_walls_between_the_crates_stand() {
    let ours = |manifest: &str| -> BTreeSet<String> {
        dependencies(manifest).into_iter().filter(|name| name.starts_with("litemq-")).collect()
    };
    for leaf in ["protocol", "domain", "storage"] {
        let edges = ours(&format!("crates/{leaf}/Cargo.toml"));
        assert!(edges.is_empty(), "{leaf} knows {edges:?}");
    }
    let domain = dependencies("crates/domain/Cargo.toml");
    for outside in ["tokio", "rustix", "getrandom", "tracing"] {
        assert!(!domain.contains(outside), "the domain knows {outside}");
    }
}

#[test]
fn every_deliberate_fault_finds_its_place_in_the_code() {
    let mut checked = 0;
    for entry in fs::read_dir(root().join("proof/faults")).unwrap() {
        let path = entry.unwrap().path();
        let faults: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        for fault in faults["fault"].as_array().unwrap() {
            let word = |name: &str| fault[name].as_str().unwrap();
            let places = read(word("file")).matches(word("find")).count();
            assert_eq!(places, 1, "{} in {}", word("name"), path.display());
            let switch = format!("crate::deliberate::on(\"{}\")", word("name"));
            assert!(word("replace").contains(&switch), "{} has no switch", word("name"));
            checked += 1;
        }
    }
    assert!(checked >= 20, "only {checked} faults found");
}

#[test]
fn every_promise_names_tests_that_exist() {
    let document = read("docs/reliability.md");
    let promises = document.split("## The promises").nth(1).unwrap();
    let promises = promises.split("\n## ").next().unwrap();
    let checked = check_shown_by("docs/reliability.md", promises);
    assert!(checked >= 30, "only {checked} names found");
}

#[test]
fn every_row_of_lite_topics_names_tests_that_exist() {
    let document = read("docs/litetopic.md");
    let checked = check_shown_by("docs/litetopic.md", &document);
    assert!(checked >= 150, "only {checked} names found");
    let first_cells =
        document.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let shown: BTreeSet<&str> = first_cells.flat_map(|cell| cell.split([',', ' '])).collect();
    let faults = [("D", 14), ("S", 11), ("O", 8)];
    let faults =
        faults.into_iter().flat_map(|(kind, last)| (1..=last).map(move |n| format!("{kind}{n}")));
    for row in (1..=43).map(|n: u32| n.to_string()).chain(faults) {
        assert!(shown.contains(row.as_str()), "row {row} is missing");
    }
}

/// Checks the last cell of each row of each table, and counts the names in it: tests, levels of
/// the proof ladder with or without a scenario, cases of the official SDKs, files and folders.
fn check_shown_by(document: &str, tables: &str) -> usize {
    let code = text_of(&rust_files());
    let mut cases = Vec::new();
    files_below(&root().join("tests/sdk/harness"), "py", &mut cases);
    let cases = text_of(&cases);
    let mut checked = 0;
    for row in tables.lines().filter(|line| line.starts_with("| ")) {
        let shown_by = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap().trim();
        if shown_by.starts_with("---") || !shown_by.contains('`') {
            let told = ["shown by", "by", "---", "-"];
            assert!(told.contains(&shown_by), "{document} shows nothing for: {row}");
            continue;
        }
        for name in shown_by.split('`').skip(1).step_by(2) {
            let known = match name.split_once(' ') {
                Some(("sdk", case)) => cases.contains(&format!("def {case}(")),
                Some((_, scenario)) => code.contains(&format!("\"{scenario}\"")),
                None => {
                    code.contains(&format!("fn {name}("))
                        || root().join("proof").join(name).exists()
                        || (name.contains('/') && root().join(name).exists())
                }
            };
            assert!(known, "{document} names {name}");
            checked += 1;
        }
    }
    checked
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let manifest = read("Cargo.toml");
    let dependencies = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let lines = dependencies.lines().filter(|line| line.contains(" = "));
    for line in lines.filter(|line| !line.starts_with("litemq-")) {
        assert!(line.contains(" # "), "no reason beside: {line}");
    }
}

#[test]
fn every_select_is_biased_and_no_matches_is_thrown_away() {
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            let place = || format!("{}:{}", path.display(), number + 1);
            if line.contains(concat!("select", "! {")) {
                assert_eq!(lines.get(number + 1), Some(&"biased;"), "{}", place());
            }
            let before = number.checked_sub(1).and_then(|before| lines.get(before));
            let is_statement = before.is_none_or(|before| before.ends_with([';', '{', '}']));
            let thrown_away = line.starts_with(concat!("matches", "!(")) && line.ends_with(';');
            assert!(!(is_statement && thrown_away), "{}", place());
        }
    }
}
