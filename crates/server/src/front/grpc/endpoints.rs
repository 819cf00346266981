//! The addresses that routes send clients to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use litemq_protocol::v2;

const HOST_BYTES_MAX: usize = 255;

/// A host and port that clients can reach us at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvertisedAddress {
    host: String,
    port: u16,
}

/// An address that is no `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is no address; give host:port, 1.2.3.4:port or [ipv6]:port", .0.escape_debug())]
pub struct AddressError(String);

impl AdvertisedAddress {
    /// The host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl FromStr for AdvertisedAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { host: address.ip().to_string(), port: address.port() });
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().map_err(|_| error())?;
        if port == 0 || !is_host(host) || host.contains(':') {
            return Err(error());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for AdvertisedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(IpAddr::V6(_)) => write!(f, "[{}]:{}", self.host, self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Where a client shall connect: the configured address, else the one it used itself (which works
/// behind port mapping), else our end of its connection. One address always: Java accepts no more
/// for a domain name, and Node for nothing.
pub(super) fn reachable(
    advertised: Option<&AdvertisedAddress>,
    used: Option<&v2::Endpoints>,
    local: Option<SocketAddr>,
) -> v2::Endpoints {
    if let Some(address) = advertised {
        return endpoints(&address.host, i32::from(address.port));
    }
    let used = used.and_then(|used| {
        used.addresses
            .iter()
            .find(|a| is_host(&a.host) && (1..=i32::from(u16::MAX)).contains(&a.port))
    });
    if let Some(address) = used {
        return endpoints(&address.host, address.port);
    }
    local.map_or_else(v2::Endpoints::default, |local| {
        endpoints(&local.ip().to_canonical().to_string(), i32::from(local.port()))
    })
}

fn endpoints(host: &str, port: i32) -> v2::Endpoints {
    // An IP literal under another scheme is a different endpoint to Java.
    let scheme = match host.parse() {
        Ok(IpAddr::V4(_)) => v2::AddressScheme::IPv4,
        Ok(IpAddr::V6(_)) => v2::AddressScheme::IPv6,
        Err(_) => v2::AddressScheme::DomainName,
    };
    v2::Endpoints {
        scheme: scheme.into(),
        addresses: vec![v2::Address { host: host.to_owned(), port }],
    }
}

fn is_host(host: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use litemq_protocol::v2::AddressScheme;

    use super::*;

    fn used(addresses: &[(&str, i32)]) -> v2::Endpoints {
        v2::Endpoints {
            scheme: AddressScheme::Unspecified.into(),
            addresses: addresses
                .iter()
                .map(|(host, port)| v2::Address { host: (*host).to_owned(), port: *port })
                .collect(),
        }
    }

    #[track_caller]
    fn check(found: &v2::Endpoints, scheme: AddressScheme, host: &str, port: i32) {
        assert_eq!(found.scheme(), scheme);
        assert_eq!(found.addresses, vec![v2::Address { host: host.to_owned(), port }]);
    }

    #[test]
    fn a_client_is_sent_to_the_address_it_used_with_the_right_scheme() {
        for (host, scheme) in [
            ("127.0.0.1", AddressScheme::IPv4),
            ("::1", AddressScheme::IPv6),
            ("broker.example", AddressScheme::DomainName),
            ("localhost", AddressScheme::DomainName),
        ] {
            check(&reachable(None, Some(&used(&[(host, 9000)])), None), scheme, host, 9000);
        }
    }

    #[test]
    fn of_several_addresses_the_first_is_advertised() {
        let found = reachable(None, Some(&used(&[("10.0.0.1", 1), ("10.0.0.2", 2)])), None);
        check(&found, AddressScheme::IPv4, "10.0.0.1", 1);
    }

    #[test]
    fn a_configured_address_beats_the_used_one() {
        let advertised = "mq.example:18081".parse().unwrap();
        let found = reachable(Some(&advertised), Some(&used(&[("10.0.0.1", 1)])), None);
        check(&found, AddressScheme::DomainName, "mq.example", 18081);
    }

    #[test]
    fn without_a_usable_address_it_is_our_end_of_the_connection() {
        let local = Some("[::ffff:192.168.0.7]:8081".parse().unwrap());
        for addresses in [&[][..], &[("", 8081)][..], &[("a\nb", 8081)][..], &[("a", 0)][..]] {
            let found = reachable(None, Some(&used(addresses)), local);
            check(&found, AddressScheme::IPv4, "192.168.0.7", 8081);
        }
        check(&reachable(None, None, local), AddressScheme::IPv4, "192.168.0.7", 8081);
    }

    #[test]
    fn an_advertised_address_is_a_host_and_a_port() {
        for good in ["mq.example:8081", "10.0.0.1:1", "[::1]:8081"] {
            assert_eq!(good.parse::<AdvertisedAddress>().unwrap().to_string(), good);
        }
        for bad in ["", "mq.example", ":8081", "a:0", "a:65536", "::1:8081", "a b:1", "a:1,b:2"] {
            assert!(bad.parse::<AdvertisedAddress>().is_err(), "{bad}");
        }
    }
}
