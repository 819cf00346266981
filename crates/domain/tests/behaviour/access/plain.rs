//! The plain model: a request is a set of names, each of which is looked at by itself. Policies are
//! made of the letters a and b; names with a z stand for all that no policy spells out.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use litemq_checker::Dice;
use litemq_domain::access::{Action, Effect, NamePattern, Policy, Resource};

const ADDRESSES: [&str; 4] = ["10.1.2.3", "10.2.0.1", "192.0.2.1", "2001:db8::1"];
const NETWORKS: [&str; 4] = ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "0.0.0.0/0"];
const TOPICS: [&str; 3] = ["a", "ab", "b"];

/// The smallest thing that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Atom {
    Cluster,
    Group(String),
    /// A topic without its lite topics.
    Topic(String),
    Lite(String, String),
}

pub(super) fn line(dice: &mut Dice) -> String {
    let effect = if dice.percent(65) { "allow" } else { "deny" };
    let actions: Vec<String> = match dice.below(3) {
        0 => Action::ALL.iter().map(ToString::to_string).collect(),
        _ => vec![dice.one_of(&Action::ALL).to_string()],
    };
    let resource = match dice.below(12) {
        0 => "*".to_owned(),
        1 => "cluster".to_owned(),
        2 => format!("group:{}", pattern(dice)),
        3..6 => format!("topic:{}", pattern(dice)),
        _ => format!("lite:{}/{}", pattern(dice), pattern(dice)),
    };
    let source = match dice.percent(20) {
        true => format!(" from {}", dice.one_of(&NETWORKS)),
        false => String::new(),
    };
    format!("{effect} {} {resource}{source}", actions.join(","))
}

pub(super) fn request(dice: &mut Dice) -> String {
    let action = dice.one_of(&Action::ALL);
    let topic = dice.one_of(&TOPICS);
    match dice.below(10) {
        0 => format!("{action} cluster"),
        1 => format!("{action} group:{}", name(dice)),
        2..4 => format!("{action} {topic}"),
        4 => format!("{action} {topic}/"),
        5 => format!("{action} {topic}/*"),
        6..8 => format!("{action} {topic}/{}*", name(dice)),
        _ => format!("{action} {topic}/{}", name(dice)),
    }
}

pub(super) fn address(dice: &mut Dice) -> &'static str {
    ADDRESSES[dice.below(ADDRESSES.len())]
}

fn pattern(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => "*".to_owned(),
        1 => name(dice),
        _ => format!("{}*", name(dice)),
    }
}

fn name(dice: &mut Dice) -> String {
    (0..dice.within(1..4)).map(|_| *dice.one_of(&['a', 'b'])).collect()
}

/// Whether a request is allowed: it is about some name that is allowed, or all its names are.
pub(super) fn allows(policies: &[Arc<Policy>], request: &str, address: IpAddr) -> bool {
    let (word, target) = request.split_once(' ').unwrap();
    let action = Action::ALL.into_iter().find(|action| action.to_string() == word).unwrap();
    let applying = |policy: &&Arc<Policy>| {
        policy.actions.has(action) && policy.source.is_none_or(|net| net.contains(&address))
    };
    let may = |atom: &Atom| {
        let of = |effect| {
            policies
                .iter()
                .filter(applying)
                .any(|policy| policy.effect == effect && is_of(atom, &policy.resource))
        };
        of(Effect::Allow) && !of(Effect::Deny)
    };
    let lite = |topic: &str, wanted: &dyn Fn(&str) -> bool| -> Vec<Atom> {
        let names = all_names().iter().filter(|name| wanted(name));
        names.map(|name| Atom::Lite(topic.to_owned(), name.clone())).collect()
    };
    let whole = |topic: &str| {
        let mut atoms = lite(topic, &|_| true);
        atoms.push(Atom::Topic(topic.to_owned()));
        atoms
    };
    match target.split_once('/') {
        None if target == "cluster" => may(&Atom::Cluster),
        None => match target.strip_prefix("group:") {
            Some(group) => may(&Atom::Group(group.to_owned())),
            None => whole(target).iter().any(may),
        },
        Some((topic, "")) => whole(topic).iter().all(may),
        Some((topic, name)) => match name.strip_suffix('*') {
            Some(prefix) => lite(topic, &|name| name.starts_with(prefix)).iter().all(may),
            None => may(&Atom::Lite(topic.to_owned(), name.to_owned())),
        },
    }
}

fn is_of(atom: &Atom, resource: &Resource) -> bool {
    match (resource, atom) {
        (Resource::Any, _) | (Resource::Cluster, Atom::Cluster) => true,
        (Resource::Group(pattern), Atom::Group(name)) => spells(pattern, name),
        (Resource::Topic(pattern), Atom::Topic(name) | Atom::Lite(name, _)) => {
            spells(pattern, name)
        }
        (Resource::Lite { topic, name }, Atom::Lite(parent, lite)) => {
            spells(topic, parent) && spells(name, lite)
        }
        _ => false,
    }
}

fn spells(pattern: &NamePattern, name: &str) -> bool {
    let text = pattern.to_string();
    match text.strip_suffix('*') {
        Some(prefix) => name.len() >= prefix.len() && name[..prefix.len()] == *prefix,
        None => text == name,
    }
}

/// Names of one to four letters.
fn all_names() -> &'static [String] {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(spell_names);
    &NAMES
}

fn spell_names() -> Vec<String> {
    let mut names = vec![String::new()];
    let mut from = 0;
    for _ in 0..4 {
        let to = names.len();
        for at in from..to {
            names.extend(["a", "b", "z"].map(|letter| format!("{}{letter}", names[at])));
        }
        from = to;
    }
    names.retain(|name| !name.is_empty());
    names
}
