//! `proto/` against the table of the protocol, row by row and in both directions.

use std::collections::BTreeMap;

use crate::codegen;
use crate::rows::{Row, rows_of};

const TABLE: &str = include_str!("../rocketmq-v2.tsv");

#[test]
fn proto_files_say_exactly_what_the_table_of_the_protocol_says() {
    let table: Vec<Row> = TABLE.lines().skip(1).map(|line| Row::parse(line).unwrap()).collect();
    let proto = rows_of(&codegen::descriptors().unwrap());

    let differences = differences(&table, &proto);

    assert!(!table.is_empty());
    assert!(differences.is_empty(), "proto/ and the table differ:\n{}", differences.join("\n"));
}

#[test]
fn a_missing_an_extra_a_changed_and_a_repeated_row_are_each_named() {
    let row = |line: &str| Row::parse(line).unwrap();
    let kept = row("message\tservice\tKept\t\t\t\t");
    let missing = row("field\tservice\tKept\tmissing\t1\t\tstring");
    let extra = row("field\tservice\tKept\textra\t2\t\tstring");
    let before = row("rpc\tservice\tKept\tcall\t\tunary->stream\tA -> B");
    let after = row("rpc\tservice\tKept\tcall\t\tunary->unary\tA -> B");

    let table = [kept.clone(), missing.clone(), before.clone()];
    let proto = [kept.clone(), kept.clone(), extra.clone(), after.clone()];

    assert_eq!(
        differences(&table, &proto),
        [
            format!("different {after}\n    table {before}"),
            format!("extra     {extra}"),
            format!("missing   {missing}"),
            format!("repeated  {kept}"),
        ]
    );
    assert!(differences(&table, &table).is_empty());
}

/// One entry per row that `proto` lacks, adds, changes or says twice.
fn differences(table: &[Row], proto: &[Row]) -> Vec<String> {
    let expected: BTreeMap<_, _> = table.iter().map(|row| (row.key(), row)).collect();
    let mut actual = BTreeMap::new();
    let mut differences = Vec::new();
    for row in proto {
        if actual.insert(row.key(), row).is_some() {
            differences.push(format!("repeated  {row}"));
        }
    }
    for (key, row) in &actual {
        match expected.get(key) {
            None => differences.push(format!("extra     {row}")),
            Some(said) if said != row => {
                differences.push(format!("different {row}\n    table {said}"));
            }
            Some(_) => {}
        }
    }
    for (_, row) in expected.iter().filter(|(key, _)| !actual.contains_key(*key)) {
        differences.push(format!("missing   {row}"));
    }
    differences.sort();
    differences
}
