//! TLS of the gRPC port: a certificate from files, or one that signs itself, made at first start.
//!
//! Java, Go, C# and C++ SDKs use TLS by default and accept any certificate, so a self-signed one
//! lets them connect without any setting.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const CERTIFICATE_FILE: &str = "cert.pem";
const KEY_FILE: &str = "key.pem";

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// `cert.pem` and `key.pem` of this folder, made by us when the first is missing.
    SelfSigned {
        /// The folder; created when missing.
        folder: PathBuf,
        /// Host names and addresses that the certificate names beside the local ones.
        hosts: Vec<String>,
    },
    /// Files of the operator, PEM: the chain, leaf first, and its private key.
    Files {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot access '{}': {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no usable PEM.
    #[error("'{}' holds no usable PEM: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate is there and its key is not.
    #[error(
        "'{}' is missing but its certificate is there; restore it, or remove the certificate to \
         have both made again",
        path.display()
    )]
    KeyMissing {
        /// The key file.
        path: PathBuf,
    },
    /// A certificate cannot be made for these names.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The TLS settings of the gRPC port: TLS 1.2 and 1.3, HTTP/2 only.
pub fn server_config(source: &CertificateSource) -> Result<Arc<ServerConfig>, TlsError> {
    let (certificate, key) = match source {
        CertificateSource::Files { certificate, key } => (certificate.clone(), key.clone()),
        CertificateSource::SelfSigned { folder, hosts } => ensure_self_signed(folder, hosts)?,
    };
    let pem = |path: &Path, source| TlsError::Pem { path: path.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| pem(&certificate, source))?;
    let private_key = PrivateKeyDer::from_pem_file(&key).map_err(|source| pem(&key, source))?;

    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private_key)?;
    // grpc-go refuses a TLS peer that does not choose a protocol.
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// The certificate is written last: where it is, the key is complete.
fn ensure_self_signed(folder: &Path, hosts: &[String]) -> Result<(PathBuf, PathBuf), TlsError> {
    let certificate_path = folder.join(CERTIFICATE_FILE);
    let key_path = folder.join(KEY_FILE);
    if certificate_path.exists() {
        if !key_path.exists() {
            return Err(TlsError::KeyMissing { path: key_path });
        }
        return Ok((certificate_path, key_path));
    }

    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
    names.extend(hosts.iter().cloned());
    names.dedup();
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "LiteMQ self-signed");
    let certificate = params.self_signed(&key)?;

    let file = |path: &Path, source| TlsError::File { path: path.to_owned(), source };
    fs::create_dir_all(folder).map_err(|source| file(folder, source))?;
    write_durably(&key_path, key.serialize_pem().as_bytes(), 0o600)
        .map_err(|source| file(&key_path, source))?;
    write_durably(&certificate_path, certificate.pem().as_bytes(), 0o644)
        .map_err(|source| file(&certificate_path, source))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(|source| file(folder, source))?;
    tracing::info!(certificate = %certificate_path.display(), "made a self-signed certificate");
    Ok((certificate_path, key_path))
}

/// A new file, complete or absent. It never exists with a wider mode than asked for.
fn write_durably(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn self_signed(folder: &Path) -> CertificateSource {
        CertificateSource::SelfSigned {
            folder: folder.join("tls"),
            hosts: vec!["broker.example".to_owned(), "10.1.2.3".to_owned()],
        }
    }

    #[test]
    fn the_first_start_makes_a_certificate_that_later_starts_keep() {
        let folder = tempfile::tempdir().unwrap();
        let source = self_signed(folder.path());
        server_config(&source).unwrap();
        let first = fs::read(folder.path().join("tls/cert.pem")).unwrap();
        server_config(&source).unwrap();
        assert_eq!(fs::read(folder.path().join("tls/cert.pem")).unwrap(), first);
    }

    #[test]
    fn the_private_key_is_readable_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        server_config(&self_signed(folder.path())).unwrap();
        let mode = fs::metadata(folder.path().join("tls/key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_start_that_broke_off_between_key_and_certificate_is_made_good() {
        let folder = tempfile::tempdir().unwrap();
        let source = self_signed(folder.path());
        fs::create_dir_all(folder.path().join("tls")).unwrap();
        fs::write(folder.path().join("tls/key.pem"), "half a k").unwrap();
        fs::write(folder.path().join("tls/key.new"), "hal").unwrap();
        server_config(&source).unwrap();
    }

    #[test]
    fn a_lost_key_is_reported_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let source = self_signed(folder.path());
        server_config(&source).unwrap();
        fs::remove_file(folder.path().join("tls/key.pem")).unwrap();
        assert!(matches!(server_config(&source), Err(TlsError::KeyMissing { .. })));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        server_config(&self_signed(one.path())).unwrap();
        server_config(&self_signed(two.path())).unwrap();
        let mixed = CertificateSource::Files {
            certificate: one.path().join("tls/cert.pem"),
            key: two.path().join("tls/key.pem"),
        };
        assert!(matches!(server_config(&mixed), Err(TlsError::Unusable(_))));
    }

    #[test]
    fn a_missing_file_is_named() {
        let source = CertificateSource::Files {
            certificate: "/nonexistent/c.pem".into(),
            key: "/nonexistent/k.pem".into(),
        };
        let error = server_config(&source).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/c.pem"), "{error}");
    }

    #[test]
    fn http2_is_the_only_protocol_offered() {
        let folder = tempfile::tempdir().unwrap();
        let config = server_config(&self_signed(folder.path())).unwrap();
        assert_eq!(config.alpn_protocols, vec![b"h2".to_vec()]);
    }
}
