//! Who calls, read from the metadata of a call and proved by its signature. Headers that upstream
//! servers set for themselves (channel id, remote address, authenticated key) are never read.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use litemq_domain::{ClientId, Error, ErrorCode, Result, Timestamp};
use litemq_protocol::v2;
use tonic::Request;
use tonic::metadata::MetadataMap;

use super::limits::NAMESPACE_BYTES_MAX;
use crate::access::{Access, Caller};
use crate::front::listen::Connection;

const CLIENT_ID: &str = "x-mq-client-id";
const LANGUAGE: &str = "x-mq-language";
const NAMESPACE: &str = "x-mq-namespace";
const GRPC_TIMEOUT: &str = "grpc-timeout";
const AUTHORIZATION: &str = "authorization";
const DATE_TIME: &str = "x-mq-date-time";

/// The caller.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Its id.
    pub(super) client: ClientId,
    /// The user.
    pub(super) caller: Caller,
    /// What its SDK is written in.
    pub(super) language: Language,
    /// Its namespace, for resources that name none; often empty.
    pub(super) namespace: String,
    /// Time until its deadline, if it has one.
    pub(super) time_left: Option<Duration>,
    /// The connection it is on.
    pub(super) connection: Option<Connection>,
}

impl Call {
    /// Reads what a user calls; a call without a client id is refused.
    pub(super) fn read<T>(request: &Request<T>, caller: Caller) -> Result<Self> {
        Ok(Self {
            client: client_id(request)?,
            caller,
            language: language(request),
            namespace: namespace(request)?.to_owned(),
            time_left: header(request.metadata(), GRPC_TIMEOUT).and_then(parse_timeout),
            connection: connection(request),
        })
    }
}

/// The user who calls.
pub(super) fn caller<T>(request: &Request<T>, access: &Access, now: Timestamp) -> Result<Caller> {
    let remote = connection(request)
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |connection| connection.remote.ip());
    let metadata = request.metadata();
    let authorization = header(metadata, AUTHORIZATION);
    access.signed(authorization, header(metadata, DATE_TIME), remote.to_canonical(), now)
}

/// What the caller's SDK is written in, as far as its metadata tell.
pub(super) fn language<T>(request: &Request<T>) -> Language {
    header(request.metadata(), LANGUAGE).map_or(Language::Unknown, Language::of_header)
}

/// The client id alone.
pub(super) fn client_id<T>(request: &Request<T>) -> Result<ClientId> {
    ClientId::new(header(request.metadata(), CLIENT_ID).unwrap_or_default())
}

/// The namespace of the caller, often empty. It is kept as long as the call, so it is no longer
/// than any that could be part of a name.
pub(super) fn namespace<T>(request: &Request<T>) -> Result<&str> {
    let namespace = header(request.metadata(), NAMESPACE).unwrap_or_default();
    if namespace.len() > NAMESPACE_BYTES_MAX {
        return Err(Error::new(
            ErrorCode::BadRequest,
            format!("a namespace has at most {NAMESPACE_BYTES_MAX} bytes"),
        ));
    }
    Ok(namespace)
}

/// The connection that a request came on; none when there is no listener, as in some tests.
pub(super) fn connection<T>(request: &Request<T>) -> Option<Connection> {
    request.extensions().get::<Connection>().copied()
}

fn header<'a>(metadata: &'a MetadataMap, name: &'static str) -> Option<&'a str> {
    metadata.get(name)?.to_str().ok().map(str::trim)
}

/// What a client's SDK is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Java,
    Go,
    Python,
    Node,
    Other,
    Unknown,
}

impl Language {
    /// By the metadata; the words differ from the protocol's enum, and Node says HTTP.
    fn of_header(word: &str) -> Self {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        match () {
            () if is("JAVA") => Self::Java,
            () if is("GO") || is("GOLANG") => Self::Go,
            () if is("PYTHON") => Self::Python,
            () if is("HTTP") || is("NODE_JS") || is("NODEJS") => Self::Node,
            () if word.is_empty() => Self::Unknown,
            () => Self::Other,
        }
    }

    /// By the settings, which know best; by the metadata when they do not say.
    pub(super) fn of_settings(self, user_agent: Option<&v2::Ua>) -> Self {
        match user_agent.map(v2::Ua::language) {
            Some(v2::Language::Java) => Self::Java,
            Some(v2::Language::Golang) => Self::Go,
            Some(v2::Language::Python) => Self::Python,
            Some(v2::Language::NodeJs) => Self::Node,
            None | Some(v2::Language::Unspecified) => self,
            Some(_) => Self::Other,
        }
    }

    /// The name for people, as the protocol's enum has it where it knows the language.
    pub(super) fn name(self, user_agent: Option<&v2::Ua>) -> &'static str {
        match self {
            Self::Java => "JAVA",
            Self::Go => "GOLANG",
            Self::Python => "PYTHON",
            Self::Node => "NODE_JS",
            Self::Other => user_agent.map_or("OTHER", |agent| agent.language().as_str_name()),
            Self::Unknown => "",
        }
    }

    /// Whether the SDK handles the messages of one lite topic one after another when it is handed
    /// several at once. Python orders by message group alone, C# never applies the setting, and of
    /// others we do not know: for them the server keeps the next message back.
    pub(super) fn keeps_order(self) -> bool {
        matches!(self, Self::Java | Self::Go | Self::Node)
    }
}

/// Parses `grpc-timeout`: up to 8 digits and a unit. Nothing when malformed.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (unit_at, unit) = text.char_indices().next_back()?;
    let digits = text.get(..unit_at)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(value * 3600)),
        'M' => Some(Duration::from_secs(value * 60)),
        'S' => Some(Duration::from_secs(value)),
        'm' => Some(Duration::from_millis(value)),
        'u' => Some(Duration::from_micros(value)),
        'n' => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    fn read(request: &Request<()>) -> Result<Call> {
        Call::read(request, Caller::internal())
    }

    #[test]
    fn a_call_without_a_client_id_is_refused() {
        for headers in [&[][..], &[(CLIENT_ID, "  ")][..]] {
            let error = read(&request(headers)).unwrap_err();
            assert_eq!(error.code, ErrorCode::ClientIdMissing);
        }
    }

    #[test]
    fn a_client_id_is_all_that_a_call_needs() {
        let call = read(&request(&[(CLIENT_ID, "host@1@2@3")])).unwrap();
        assert_eq!(call.client.as_str(), "host@1@2@3");
        assert_eq!(call.language, Language::Unknown);
        assert_eq!(call.namespace, "");
        assert_eq!(call.time_left, None);
    }

    #[test]
    fn a_namespace_that_no_name_could_have_is_refused() {
        for (bytes, is_fine) in [(NAMESPACE_BYTES_MAX, true), (NAMESPACE_BYTES_MAX + 1, false)] {
            let found = read(&request(&[(CLIENT_ID, "c"), (NAMESPACE, &"n".repeat(bytes))]));
            assert_eq!(found.is_ok(), is_fine, "{bytes} bytes");
        }
    }

    #[test]
    fn languages_are_known_by_the_words_that_sdks_send() {
        for (word, language) in [
            ("JAVA", Language::Java),
            ("GO", Language::Go),
            ("PYTHON", Language::Python),
            ("HTTP", Language::Node),
            ("DOTNET", Language::Other),
            ("CPP", Language::Other),
            ("RUST", Language::Other),
            ("", Language::Unknown),
        ] {
            assert_eq!(Language::of_header(word), language, "{word}");
        }
    }

    #[test]
    fn settings_know_the_language_better_than_metadata() {
        let ua = v2::Ua { language: v2::Language::NodeJs.into(), ..Default::default() };
        assert_eq!(Language::Unknown.of_settings(Some(&ua)), Language::Node);
        assert_eq!(Language::Python.of_settings(Some(&v2::Ua::default())), Language::Python);
        assert_eq!(Language::Go.of_settings(None), Language::Go);
    }

    #[test]
    fn timeouts_of_every_unit_are_understood_and_nonsense_is_none() {
        for (text, expected) in [
            ("23S", Some(Duration::from_secs(23))),
            ("8760H", Some(Duration::from_secs(8760 * 3600))),
            ("31536000M", Some(Duration::from_secs(31_536_000 * 60))),
            ("3000m", Some(Duration::from_secs(3))),
            ("3000000u", Some(Duration::from_secs(3))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("", None),
            ("S", None),
            ("-1S", None),
            ("123456789S", None),
            ("1x", None),
            ("1é", None),
        ] {
            assert_eq!(parse_timeout(text), expected, "{text}");
        }
    }
}
