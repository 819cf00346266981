//! The committed code against a fresh generation.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use crate::codegen;

#[test]
fn committed_code_is_what_the_generator_writes() {
    let fresh = tempfile::tempdir().unwrap();
    codegen::generate(fresh.path()).unwrap();

    let generated = files(fresh.path()).unwrap();
    let committed = files(&codegen::generated_dir()).unwrap();

    if let Some(difference) = first_difference(&generated, &committed) {
        panic!(
            "src/generated/ is not what proto/ says: {difference}\n\
             run: cargo run -p litemq-protocol --example generate"
        );
    }
}

#[test]
fn a_changed_line_and_a_stray_file_are_named() {
    let one = |name: &str, text: &str| BTreeMap::from([(name.to_owned(), text.to_owned())]);

    assert_eq!(first_difference(&one("a.rs", "x\ny\n"), &one("a.rs", "x\ny\n")), None);
    assert_eq!(first_difference(&one("a.rs", "x\ny\n"), &one("a.rs", "x\nz\n")).unwrap(), "a.rs:2");
    assert_eq!(first_difference(&one("a.rs", "x\n"), &one("a.rs", "x\ny\n")).unwrap(), "a.rs:2");
    assert_eq!(first_difference(&one("a.rs", ""), &one("b.rs", "")).unwrap(), "a.rs is missing");
    assert_eq!(
        first_difference(&BTreeMap::new(), &one("b.rs", "")).unwrap(),
        "b.rs is not generated"
    );
}

/// Name to content.
type Files = BTreeMap<String, String>;

fn files(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, fs::read_to_string(entry.path())?);
    }
    Ok(files)
}

fn first_difference(generated: &Files, committed: &Files) -> Option<String> {
    for (name, fresh) in generated {
        match committed.get(name) {
            None => return Some(format!("{name} is missing")),
            Some(old) if old != fresh => {
                let same = fresh.lines().zip(old.lines()).take_while(|(a, b)| a == b).count();
                return Some(format!("{name}:{}", same + 1));
            }
            Some(_) => {}
        }
    }
    let stray = committed.keys().find(|name| !generated.contains_key(*name))?;
    Some(format!("{stray} is not generated"))
}
