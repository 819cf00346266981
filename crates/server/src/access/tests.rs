use std::net::{IpAddr, Ipv4Addr};

use base64::engine::general_purpose::STANDARD;
use litemq_domain::UserName;
use litemq_domain::access::{User, UserKind};

use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DATE: &str = "20260102T030405Z";
const NOW: Timestamp = Timestamp(1_767_323_045_000);

fn access(signature_window: Option<Duration>) -> Access {
    let mut directory = Directory::default();
    for (name, enabled) in [("a", true), ("off", false)] {
        let user = User {
            id: directory.take_user_id().unwrap(),
            name: UserName::new(name).unwrap(),
            secret: Secret::new("secret-of-a").unwrap(),
            kind: UserKind::Normal,
            enabled,
            created_at: NOW,
        };
        directory.put_user(user);
    }
    Access::new(
        AccessOptions { enabled: true, signature_window, ..AccessOptions::default() },
        directory,
    )
}

fn header(user: &str, secret: &str, date: &str) -> String {
    let mac = signature::mac(&Secret::new(secret).unwrap(), date.as_bytes());
    let hex: String = mac.iter().map(|byte| format!("{byte:02X}")).collect();
    format!(
        "{} Credential={user}, SignedHeaders=x-mq-date-time, Signature={hex}",
        signature::SCHEME
    )
}

fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

#[test]
fn the_right_secret_proves_a_user_and_everything_else_has_one_text() {
    let access = access(None);
    let signed = |header: &str| access.signed(Some(header), Some(DATE), HOME, NOW);
    let found = signed(&header("a", "secret-of-a", DATE)).unwrap();
    assert_eq!(found.user().map(UserName::as_str), Some("a"));
    let expected = invalid();
    for wrong in [
        header("a", "secret-of-b", DATE),
        header("a", "secret-of-a", "20260102T030406Z"),
        header("off", "secret-of-a", DATE),
        header("nobody", "secret-of-a", DATE),
        header("nobody", signature::decoy().expose(), DATE),
        header("", "secret-of-a", DATE),
        "MQv2-HMAC-SHA1".to_owned(),
    ] {
        assert_eq!(signed(&wrong).unwrap_err(), expected, "{wrong}");
    }
    let dateless = access.signed(Some(&header("a", "secret-of-a", DATE)), None, HOME, NOW);
    assert_eq!(dateless.unwrap_err(), expected);
    assert_eq!(access.signed(None, Some(DATE), HOME, NOW).unwrap_err(), missing());
}

#[test]
fn basic_takes_the_name_and_the_secret_and_nothing_near_them() {
    let access = access(None);
    let found = access.basic(Some(&basic("a", "secret-of-a")), HOME).unwrap();
    assert_eq!(found.user().map(UserName::as_str), Some("a"));
    for wrong in [
        basic("a", "secret-of-b"),
        basic("a", "secret-of-a\0"),
        basic("a", "secret-of-a "),
        basic("a", ""),
        basic("off", "secret-of-a"),
        basic("nobody", "secret-of-a"),
        basic("nobody", signature::decoy().expose()),
        "Basic a:secret-of-a".to_owned(),
        "Basic".to_owned(),
        basic("a", "secret-of-a").replace("Basic", "Bearer"),
    ] {
        assert_eq!(access.basic(Some(&wrong), HOME).unwrap_err(), invalid(), "{wrong}");
    }
}

#[test]
fn no_header_is_looked_at_while_authentication_is_off() {
    let access = Access::new(AccessOptions::default(), Directory::default());
    for header in
        [None, Some(""), Some("MQv2-HMAC-SHA1 Credential=, SignedHeaders=x, Signature=00")]
    {
        let caller = access.signed(header, None, HOME, NOW).unwrap();
        assert!(caller.is_super() && caller.user().is_none());
        assert!(access.basic(header, HOME).unwrap().is_super());
    }
}

#[test]
fn a_date_is_not_looked_at_unless_there_is_a_window() {
    let window = Duration::from_secs(26 * 3600);
    let signed = |access: &Access, date: &str| {
        access.signed(Some(&header("a", "secret-of-a", date)), Some(date), HOME, NOW).is_ok()
    };
    for (date, within) in [
        (DATE, true),
        ("20260103T050405Z", true),
        ("20260101T010405Z", true),
        ("2026-01-02T03:04:05Z", true),
        ("20260103T050406Z", false),
        ("20260101T010404Z", false),
        ("yesterday", false),
    ] {
        assert!(signed(&access(None), date), "{date}");
        assert_eq!(signed(&access(Some(window)), date), within, "{date}");
    }
}

#[test]
fn a_caller_is_renewed_while_its_user_may_call() {
    let access = access(None);
    let caller = access.basic(Some(&basic("a", "secret-of-a")), HOME).unwrap();
    assert!(access.renewed(&caller).is_ok());
    let mut directory = (*access.directory()).clone();
    let user = directory.existing("a").unwrap().user.clone();
    let other = Secret::new("another-secret").unwrap();
    directory.put_user(User { secret: other, ..user.clone() });
    access.publish(directory.clone());
    assert!(access.renewed(&caller).is_err(), "another secret");
    directory.put_user(user.clone());
    access.publish(directory.clone());
    assert!(access.renewed(&caller).is_ok());
    directory.put_user(User { enabled: false, ..user.clone() });
    access.publish(directory.clone());
    assert!(access.renewed(&caller).is_err(), "disabled");
    directory.remove_user(user.id);
    access.publish(directory);
    assert!(access.renewed(&caller).is_err(), "deleted");
    assert!(access.renewed(&Caller::internal()).is_ok());
}

#[test]
fn a_drawn_secret_is_a_secret_and_never_the_same() {
    assert_ne!(draw_secret().unwrap(), draw_secret().unwrap());
}
