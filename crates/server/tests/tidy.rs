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
    let mut folders = vec![root().join("crates"), root().join("proof"), root().join("bench")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("generated") && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 100, "{}", found.len());
    found
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
    let code: String = rust_files().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut checked = 0;
    for row in promises.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let shown_by = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap();
        for name in shown_by.split('`').skip(1).step_by(2) {
            // A level with one of its scenarios, or a test.
            let known = match name.split_once(' ') {
                Some((_, scenario)) => code.contains(&format!("\"{scenario}\"")),
                None => {
                    code.contains(&format!("fn {name}("))
                        || root().join("proof").join(name).exists()
                }
            };
            assert!(known, "docs/reliability.md names {name}");
            checked += 1;
        }
    }
    assert!(checked >= 30, "only {checked} names found");
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
