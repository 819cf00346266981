//! Headers by which a caller says who it is: only whoever knows the secret is let in, and all
//! others are told the same.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use litemq_domain::access::{Directory, Secret, User, UserKind};
use litemq_domain::{ErrorCode, Timestamp, UserName};
use litemq_server::access::signature::{SCHEME, Signature, mac};
use litemq_server::access::{Access, AccessOptions};

use crate::Target;

/// This target.
pub const TARGET: Target = Target { name: "authorization", heap_mib_max: 4, check };

/// The access key of the only user.
pub const ACCESS_KEY: &str = "tenant-a";
/// Its secret.
pub const SECRET: &str = "secret-of-a";

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOW: Timestamp = Timestamp(1_767_323_045_000);

static ACCESS: LazyLock<Access> = LazyLock::new(|| {
    let mut directory = Directory::default();
    let user = User {
        id: directory.take_user_id().unwrap(),
        name: UserName::new(ACCESS_KEY).unwrap(),
        secret: Secret::new(SECRET).unwrap(),
        kind: UserKind::Normal,
        enabled: true,
        created_at: NOW,
    };
    directory.put_user(user);
    Access::new(AccessOptions { enabled: true, ..AccessOptions::default() }, directory)
});

/// A header as it comes, a date, and what is done to the right header for that.
#[derive(Debug, Arbitrary)]
struct Input<'a> {
    date: &'a str,
    region: &'a str,
    at: u8,
    digit: u8,
    header: &'a str,
}

fn check(bytes: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    refused(input.header, input.date);
    let basic = ACCESS.basic(Some(input.header), HOME);
    assert_eq!(basic.unwrap_err().code, ErrorCode::Unauthenticated);
    if let Some(signature) = Signature::parse(input.header) {
        assert!(!signature.access_key.is_empty() && !signature.access_key.contains('/'));
    }

    let mut hex: Vec<u8> = mac(&Secret::new(SECRET).unwrap(), input.date.as_bytes())
        .iter()
        .flat_map(|byte| format!("{byte:02x}").into_bytes())
        .collect();
    let right = header(input.region, &hex);
    if !input.region.contains(',') && right.len() < 1024 {
        let caller = ACCESS.signed(Some(&right), Some(input.date), HOME, NOW).unwrap();
        assert_eq!(caller.user().map(UserName::as_str), Some(ACCESS_KEY));
        refused(&right, &format!("{}0", input.date));
    }
    let at = usize::from(input.at) % hex.len();
    let digit = b"0123456789abcdef"[usize::from(input.digit) % 16];
    if std::mem::replace(&mut hex[at], digit) != digit {
        refused(&header(input.region, &hex), input.date);
    }
}

fn header(region: &str, hex: &[u8]) -> String {
    let hex = String::from_utf8_lossy(hex);
    format!(
        "{SCHEME} Credential={ACCESS_KEY}/{region}, SignedHeaders=x-mq-date-time, Signature={hex}"
    )
}

/// Nobody who knows the secret made this for that date, or so it would be a collision.
fn refused(header: &str, date: &str) {
    let refused = ACCESS.signed(Some(header), Some(date), HOME, NOW).unwrap_err();
    let unknown = ACCESS.signed(Some(""), Some(date), HOME, NOW).unwrap_err();
    assert_eq!(refused, unknown, "one text for all");
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
}
