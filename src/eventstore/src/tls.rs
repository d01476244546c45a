//! What the server shows of itself over TLS: a certificate that is given, or one that is made.
//!
//! A made certificate is for this machine's own names. It is signed by an authority made for it alone, whose key is
//! thrown away at once, so that nobody can ever sign another by it; clients are given the authority's certificate. What
//! a crash means: a half-made set is made anew at the next start.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates are none.
    #[error("the certificate file holds no certificate in PEM")]
    Certificate,
    /// The key is none. What it holds instead is not said.
    #[error("the key file holds no private key in PEM")]
    Key,
    /// They do not belong together, or are of a kind that is not supported.
    #[error("the certificate and its key cannot be used: {0}")]
    Pair(tokio_rustls::rustls::Error),
    /// None could be made.
    #[error("no certificate could be made: {0}")]
    Made(#[from] rcgen::Error),
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Bytes of a file at most.
const FILE_MAX: u64 = 1 << 20;
/// Whom a made certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// The authority's certificate, for clients to trust.
const CA: &str = "eventstore-ca.pem";
const CERT: &str = "eventstore-cert.pem";
const KEY: &str = "eventstore-key.pem";

/// A certificate with its key, ready for use.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// A certificate chain and its private key, both in PEM.
    ///
    /// # Errors
    /// When they are not, or cannot be used.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Pair)?;
        let mut config =
            builder.with_no_client_auth().with_single_cert(chain, key).map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// A certificate chain and its private key from PEM files.
    ///
    /// # Errors
    /// When they cannot be read, are larger than a megabyte, or cannot be used.
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read(certificates)?, &read(key)?)
    }

    /// The certificate made in `dir` before, or one that is made now. Clients are to trust `eventstore-ca.pem` there.
    ///
    /// # Errors
    /// When `dir` cannot be written, or what lies there cannot be used.
    pub fn made_in(dir: &Path) -> Result<Self, TlsError> {
        let (cert, key) = (dir.join(CERT), dir.join(KEY));
        // The certificate is written last: where it is, all is there.
        if !cert.exists() {
            make(dir)?;
        }
        Self::from_files(&cert, &key)
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}

fn make(dir: &Path) -> Result<(), TlsError> {
    let named = |name: &str, alternatives: Vec<String>| {
        let mut params = CertificateParams::new(alternatives)?;
        params.distinguished_name.push(DnType::CommonName, name);
        Ok::<_, TlsError>(params)
    };
    let mut authority = named("prooflog, made at its first start", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let throwaway = KeyPair::generate()?;
    let root = authority.self_signed(&throwaway)?;
    let key = KeyPair::generate()?;
    let leaf = named("prooflog", NAMES.map(str::to_owned).to_vec())?;
    let leaf = leaf.signed_by(&key, &Issuer::new(authority, throwaway))?;
    write(&dir.join(CA), &root.pem(), Readers::All)?;
    write(&dir.join(KEY), &key.serialize_pem(), Readers::Owner)?;
    write(&dir.join(CERT), &leaf.pem(), Readers::All)
}

/// Who may read a file.
#[derive(Clone, Copy)]
enum Readers {
    Owner,
    All,
}

fn write(path: &Path, text: &str, readers: Readers) -> Result<(), TlsError> {
    let partial = path.with_extension("new");
    let write = || {
        // What a crash left may have other rights.
        if partial.exists() {
            std::fs::remove_file(&partial)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(match readers {
                Readers::Owner => 0o600,
                Readers::All => 0o644,
            });
        }
        let mut file = options.open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read;
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        Tls::made_in(dir.path()).unwrap();
        let files = || [CA, CERT, KEY].map(|name| std::fs::read(dir.path().join(name)).unwrap());
        let first = files();
        Tls::made_in(dir.path()).unwrap();
        assert_eq!(first, files());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join(KEY)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        // Half of a set is not used.
        std::fs::remove_file(dir.path().join(CERT)).unwrap();
        Tls::made_in(dir.path()).unwrap();
        assert_ne!(first, files());
        std::fs::write(dir.path().join(KEY), "no key").unwrap();
        assert!(matches!(Tls::made_in(dir.path()), Err(TlsError::Key)));
    }
}
