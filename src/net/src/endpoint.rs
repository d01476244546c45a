//! Addresses of outside systems.
//!
//! An address may carry credentials anywhere but in scheme, host and port; only those and a salted digest of the whole
//! are ever shown, in errors and `Debug` too.

use std::fmt;

use reqwest::Url;
use sha2::{Digest, Sha256};

/// What the digests of endpoints are salted with: made once per data directory, so that digests of one directory can
/// be compared and those of two cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Salt(pub [u8; 16]);

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It does not parse. The text is not repeated: it may hold a secret.
    #[error("not a URL: {0}")]
    Url(String),
    /// The scheme is not one that we speak.
    #[error("the scheme must be http or https, not `{0}`")]
    Scheme(String),
    /// There is no host.
    #[error("the URL names no host")]
    Host,
}

/// Parts of an address shorter than this are words and no secrets.
const SECRET_MIN: usize = 6;

/// The address of an outside system. It shows as scheme, host, port and a salted digest of everything.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    label: String,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// When it is not an http or https URL with a host.
    pub fn parse(text: &str, salt: Salt) -> Result<Self, EndpointError> {
        let url = Url::parse(text.trim()).map_err(|error| EndpointError::Url(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme(url.scheme().to_owned()));
        }
        let host = url.host_str().ok_or(EndpointError::Host)?;
        let digest = Sha256::new().chain_update(salt.0).chain_update(url.as_str()).finalize();
        let digest = hex::encode(digest.get(..4).unwrap_or_default());
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let label = format!("{}://{host}{port}#{digest}", url.scheme());
        Ok(Self { url, label })
    }

    /// The address itself. It may hold a secret: it goes into a call and nowhere else.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The address of a path below this one.
    #[must_use]
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}", path.trim_start_matches('/')));
        url
    }

    /// What may be shown: scheme, host, port, digest.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What it said, without any part of its address: some repeat the key that they refuse. To be asked before a text is
    /// cut: half a secret would not be found.
    #[must_use]
    pub fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in secrets_of(&self.url) {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "***");
            }
        }
        text
    }
}

/// The parts of an address that may be secret: user, password, path segments, query values. The longest comes first: one
/// may be a part of another.
fn secrets_of(url: &Url) -> Vec<String> {
    let path = url.path_segments().into_iter().flatten().map(str::to_owned);
    let query = url.query_pairs().map(|(_, value)| value.into_owned());
    let user = [url.username(), url.password().unwrap_or_default()].map(str::to_owned);
    let mut secrets: Vec<String> =
        path.chain(query).chain(user).filter(|part| part.len() >= SECRET_MIN).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn neither_user_nor_path_nor_query_show() {
        let endpoint =
            Endpoint::parse("https://joe:pw@rpc.example:8443/v2/key?token=t", Salt([1; 16])).unwrap();
        let shown = format!("{endpoint} {endpoint:?}");
        for secret in ["joe", "pw", "v2", "key", "token"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.starts_with("https://rpc.example:8443#"));
    }

    #[test]
    fn what_an_endpoint_says_shows_no_part_of_its_address() {
        let text = "https://joseph:pa55word@rpc.example/v2/k3ym4ter1al?token=t0kent0ken";
        let endpoint = Endpoint::parse(text, Salt::default()).unwrap();
        let said = "no such key k3ym4ter1al (token t0kent0ken) of joseph, pa55word";
        assert_eq!(endpoint.without_secrets(said), "no such key *** (token ***) of ***, ***");
        assert_eq!(endpoint.without_secrets("rpc.example: v2 is over"), "rpc.example: v2 is over");
    }

    #[test]
    fn digests_tell_endpoints_apart_and_depend_on_the_salt() {
        let label = |text, salt| Endpoint::parse(text, Salt([salt; 16])).unwrap().label().to_owned();
        assert_ne!(label("http://h/a", 1), label("http://h/b", 1));
        assert_ne!(label("http://h/a", 1), label("http://h/a", 2));
        assert_eq!(label("http://h/a", 1), label("http://h/a", 1));
    }

    #[test]
    fn a_wrong_address_is_refused_without_being_repeated() {
        let error = Endpoint::parse("http://user:secret@:port", Salt::default()).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(Endpoint::parse("ws://h", Salt::default()), Err(EndpointError::Scheme("ws".into())));
    }

    #[test]
    fn a_path_is_joined_below_the_base() {
        let endpoint = Endpoint::parse("http://h/base/?k=v", Salt::default()).unwrap();
        assert_eq!(endpoint.join("/status/1").as_str(), "http://h/base/status/1?k=v");
    }
}
