//! The signature of the SDKs: HMAC-SHA1 of the header `x-mq-date-time`, and nothing else of the
//! call.
//!
//! It proves that the caller knows the secret. It does not protect the call: whoever reads one on
//! its way can use its signature, so a network that is not trusted needs TLS.

use hmac::{Hmac, KeyInit, Mac};
use litemq_domain::access::Secret;
use sha1::Sha1;

/// The scheme that all official SDKs name.
pub const SCHEME: &str = "MQv2-HMAC-SHA1";
/// Bytes of a signature.
pub const MAC_BYTES: usize = 20;
/// Characters of the header; the SDKs make about 150.
const HEADER_BYTES_MAX: usize = 1024;

/// What the header says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Who claims to call: the part of the credential before the first `/`. C++ and Go append a
    /// region and a service.
    pub access_key: &'a str,
    /// The proof.
    pub mac: [u8; MAC_BYTES],
}

impl<'a> Signature<'a> {
    /// Reads `MQv2-HMAC-SHA1 Credential=<key>[/...], SignedHeaders=x-mq-date-time,
    /// Signature=<hex>`, hex in either case. Nothing when it is anything else, an empty key among
    /// that, which Python sends when it has no credentials.
    pub fn parse(header: &'a str) -> Option<Self> {
        let (scheme, fields) = header.trim().split_once(' ')?;
        if header.len() > HEADER_BYTES_MAX || !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let field = |wanted: &str| {
            let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            fields.find(|(name, _)| *name == wanted).map(|(_, value)| value)
        };
        let access_key = field("Credential")?.split('/').next()?;
        let mac = decode_hex(field("Signature")?)?;
        (!access_key.is_empty()).then_some(Self { access_key, mac })
    }
}

/// Neither the signature is printed.
impl std::fmt::Debug for Signature<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signature").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// The signature of a content.
pub fn mac(secret: &Secret, content: &[u8]) -> [u8; MAC_BYTES] {
    keyed(secret).chain_update(content).finalize().into_bytes().into()
}

/// Whether this is the signature of the content; takes as long when it is not.
pub fn verify(secret: &Secret, content: &[u8], mac: &[u8; MAC_BYTES]) -> bool {
    keyed(secret).chain_update(content).verify(mac.into()).is_ok()
}

/// Stands in for the secret of a user that there is not.
pub(super) fn decoy() -> Secret {
    Secret::of_nobody()
}

fn keyed(secret: &Secret) -> Hmac<Sha1> {
    let mut block = [0; litemq_domain::limits::SECRET_BYTES_MAX];
    for (to, from) in block.iter_mut().zip(secret.expose().bytes()) {
        *to = from;
    }
    // A key that is filled up with zeros to a block is the same key.
    Hmac::new(&block.into())
}

fn decode_hex(text: &str) -> Option<[u8; MAC_BYTES]> {
    let mut mac = [0; MAC_BYTES];
    if text.len() != 2 * MAC_BYTES {
        return None;
    }
    for (byte, pair) in mac.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let mut digits = pair.iter().map(|digit| char::from(*digit).to_digit(16));
        *byte =
            digits.try_fold(0_u8, |byte, digit| Some(byte << 4 | u8::try_from(digit?).ok()?))?;
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the Python SDK computes it: `hmac.new(b"secret-of-a", b"20260102T030405Z", "sha1")`.
    const DATE: &str = "20260102T030405Z";
    const HEX: &str = "5a3b9adb034a7f958544f70917bd64e9bf08e0c6";

    fn header(credential: &str, hex: &str) -> String {
        format!("{SCHEME} Credential={credential}, SignedHeaders=x-mq-date-time, Signature={hex}")
    }

    #[test]
    fn each_sdks_header_is_read_and_its_signature_verified() {
        let secret = Secret::new("secret-of-a").unwrap();
        for (credential, hex) in [
            ("tenant-a", HEX.to_uppercase()),
            ("tenant-a//Rocketmq", HEX.to_lowercase()),
            ("tenant-a/cn/RocketMQ", HEX.to_lowercase()),
        ] {
            let header = header(credential, &hex);
            let signature = Signature::parse(&header).unwrap();
            assert_eq!(signature.access_key, "tenant-a");
            assert!(verify(&secret, DATE.as_bytes(), &signature.mac), "{credential}");
            assert!(!verify(&secret, b"20260102T030406Z", &signature.mac));
            let other = Secret::new("secret-of-b").unwrap();
            assert!(!verify(&other, DATE.as_bytes(), &signature.mac));
        }
    }

    #[test]
    fn what_is_no_signature_is_none() {
        let whole = header("tenant-a", HEX);
        assert!(Signature::parse(&whole).is_some());
        for wrong in [
            String::new(),
            SCHEME.to_owned(),
            whole.replace("MQv2", "MQv3"),
            whole.replace("Credential", "Credentials"),
            whole.replace("Signature=", "Sign="),
            header("", HEX),
            header("/region", HEX),
            header("tenant-a", &HEX[1..]),
            header("tenant-a", &format!("{HEX}0")),
            header("tenant-a", &HEX.replace('f', "g").replace('a', "é")),
            header("tenant-a", ""),
            header(&"a".repeat(HEADER_BYTES_MAX), HEX),
        ] {
            assert_eq!(Signature::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_signature_is_never_printed() {
        let header = header("tenant-a", HEX);
        let printed = format!("{:?}", Signature::parse(&header).unwrap());
        assert_eq!(printed, "Signature { access_key: \"tenant-a\", .. }");
    }
}
