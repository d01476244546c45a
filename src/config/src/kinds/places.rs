//! Places: addresses on L1, endpoints, listeners, files.
//!
//! An endpoint shows as scheme, host and a salted digest; a text that is no endpoint does not show at all.

use std::net::IpAddr;
use std::path::PathBuf;

use prooflog_events::ids::Address;
use prooflog_net::{Endpoint, EndpointError};
use sha3::{Digest, Keccak256};

use super::{Context, Exposure, Given, Kind, Shape, is_secret_like};

/// An account or contract on L1; the zero address counts as none.
pub(crate) struct Account;

/// One http or https address.
pub(crate) struct Url;

/// One or more http or https addresses, in the order in which they are preferred.
pub(crate) struct Urls;

/// An IP address to listen on.
pub(crate) struct Host;

/// The name or address of a machine, and a port.
pub(crate) struct HostPort;

/// A file; empty is none.
pub(crate) struct File;

/// A directory.
pub(crate) struct Directory;

impl Kind for Account {
    type Value = Option<Address>;

    fn read(&self, given: &Given, _: &mut Context) -> Result<Self::Value, String> {
        let digits = given.one()?.strip_prefix("0x").ok_or("does not begin with 0x")?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| "is not 40 hex digits after 0x")?;
        let mixed =
            digits.bytes().any(|b| b.is_ascii_lowercase()) && digits.bytes().any(|b| b.is_ascii_uppercase());
        if mixed && checksummed(&bytes) != digits {
            return Err("has a wrong checksum (EIP-55): a digit or its case is mistyped".to_owned());
        }
        Ok((bytes != [0; 20]).then_some(Address(bytes)))
    }

    fn show(&self, value: &Self::Value) -> String {
        value.map_or_else(String::new, |address| address.to_string())
    }

    fn right(&self) -> String {
        "an address: 0x and 40 hex digits".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        [format!("0x{}", "07".repeat(20)), format!("0x{}", "13".repeat(20))]
    }
}

/// The digits of an address with the case that EIP-55 gives them.
fn checksummed(bytes: &[u8; 20]) -> String {
    let digits = hex::encode(bytes);
    let hash = hex::encode(Keccak256::digest(digits.as_bytes()));
    let upper = |(digit, check): (char, char)| match check {
        '8'..='9' | 'a'..='f' => digit.to_ascii_uppercase(),
        _ => digit,
    };
    digits.chars().zip(hash.chars()).map(upper).collect()
}

fn endpoint(text: &str, context: &Context) -> Result<Endpoint, String> {
    // The scheme of a text that is no URL may be the beginning of a secret.
    Endpoint::parse(text, context.salt).map_err(|error| match error {
        EndpointError::Url(why) => format!("is not a URL: {why}"),
        EndpointError::Scheme(_) => "is not an http or https URL".to_owned(),
        EndpointError::Host => "names no host".to_owned(),
    })
}

impl Kind for Url {
    type Value = Option<Endpoint>;
    const EXPOSURE: Exposure = Exposure::Masked;

    fn read(&self, given: &Given, context: &mut Context) -> Result<Self::Value, String> {
        match given.one()? {
            "" => Ok(None),
            text => endpoint(text, context).map(Some),
        }
    }

    fn show(&self, value: &Self::Value) -> String {
        value.as_ref().map_or_else(String::new, |endpoint| endpoint.label().to_owned())
    }

    fn right(&self) -> String {
        "a URL that begins with http:// or https://".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["http://seven:1".to_owned(), "https://thirteen/key".to_owned()]
    }
}

impl Kind for Urls {
    type Value = Vec<Endpoint>;
    const SHAPE: Shape = Shape::List;
    const EXPOSURE: Exposure = Exposure::Masked;

    fn read(&self, given: &Given, context: &mut Context) -> Result<Self::Value, String> {
        let mut found: Vec<Endpoint> = Vec::new();
        for (place, text) in (1..).zip(given.each()) {
            let endpoint = endpoint(text, context).map_err(|why| format!("number {place} {why}"))?;
            if found.contains(&endpoint) {
                return Err(format!("number {place} stands there twice"));
            }
            found.push(endpoint);
        }
        Ok(found)
    }

    fn show(&self, value: &Self::Value) -> String {
        value.iter().map(Endpoint::label).collect::<Vec<_>>().join(",")
    }

    fn right(&self) -> String {
        "one or more URLs that begin with http:// or https://, with commas between".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["http://seven:1,http://eight".to_owned(), "https://thirteen/key".to_owned()]
    }
}

impl Kind for HostPort {
    type Value = Option<(String, u16)>;

    fn read(&self, given: &Given, _: &mut Context) -> Result<Self::Value, String> {
        let text = given.one()?;
        if text.is_empty() {
            return Ok(None);
        }
        let (host, port) = text.rsplit_once(':').ok_or("has no port")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if is_secret_like(host) {
            return Err("looks like a secret, and would be shown".to_owned());
        }
        if host.is_empty() || host.len() > 253 || !host.chars().all(fits) {
            return Err("has no name or address before its port".to_owned());
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Some((host.to_owned(), port))),
            _ => Err("has no port from 1 to 65535".to_owned()),
        }
    }

    fn show(&self, value: &Self::Value) -> String {
        match value {
            Some((host, port)) if host.contains(':') => format!("[{host}]:{port}"),
            Some((host, port)) => format!("{host}:{port}"),
            None => String::new(),
        }
    }

    fn right(&self) -> String {
        "a name or address, `:` and a port".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["seven.example:7".to_owned(), "[::1]:13".to_owned()]
    }
}

impl Kind for Host {
    type Value = IpAddr;

    fn read(&self, given: &Given, _: &mut Context) -> Result<IpAddr, String> {
        match given.one()? {
            "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
            text => text.parse().map_err(|_| "is not an IP address".to_owned()),
        }
    }

    fn show(&self, value: &IpAddr) -> String {
        value.to_string()
    }

    fn right(&self) -> String {
        "an IP address such as 127.0.0.1, or 0.0.0.0 for all interfaces".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["0.0.0.0".to_owned(), "::1".to_owned()]
    }
}

impl Kind for File {
    type Value = Option<PathBuf>;

    fn read(&self, given: &Given, _: &mut Context) -> Result<Self::Value, String> {
        path(given.one()?)
    }

    fn show(&self, value: &Self::Value) -> String {
        value.as_ref().map_or_else(String::new, |path| path.display().to_string())
    }

    fn right(&self) -> String {
        "the path of a file".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["/seven".to_owned(), "./thirteen".to_owned()]
    }
}

impl Kind for Directory {
    type Value = PathBuf;

    fn read(&self, given: &Given, _: &mut Context) -> Result<PathBuf, String> {
        path(given.one()?)?.ok_or_else(|| "is empty".to_owned())
    }

    fn show(&self, value: &PathBuf) -> String {
        value.display().to_string()
    }

    fn right(&self) -> String {
        "the path of a directory".to_owned()
    }

    #[cfg(test)]
    fn samples(&self) -> [String; 2] {
        ["/seven".to_owned(), "./thirteen".to_owned()]
    }
}

fn path(text: &str) -> Result<Option<PathBuf>, String> {
    if is_secret_like(text) {
        return Err("is a secret and not the path of a file that holds it".to_owned());
    }
    if text.len() > 4_096 || text.chars().any(char::is_control) {
        return Err("is longer than a path can be, or has control characters".to_owned());
    }
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use prooflog_net::Salt;

    use super::*;

    fn read<K: Kind>(kind: &K, text: &str) -> Result<K::Value, String> {
        let mut context = Context { salt: Salt::default(), hint: None };
        kind.read(&Given::text(text.to_owned()), &mut context)
    }

    #[test]
    fn an_address_in_mixed_case_must_have_its_checksum() {
        // The first two examples of EIP-55.
        for right in
            ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"]
        {
            assert!(read(&Account, right).unwrap().is_some());
            assert!(read(&Account, &right.to_lowercase()).unwrap().is_some());
        }
        let wrong = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD";
        assert!(read(&Account, wrong).unwrap_err().contains("checksum"));
        assert_eq!(read(&Account, &format!("0x{}", "0".repeat(40))).unwrap(), None);
        assert!(read(&Account, "0x1234").is_err() && read(&Account, &"ab".repeat(20)).is_err());
    }

    #[test]
    fn a_list_of_endpoints_has_each_once() {
        assert_eq!(read(&Urls, "http://a, http://b,").unwrap().len(), 2);
        assert!(read(&Urls, "http://a,http://a/").unwrap_err().contains("twice"));
        assert!(read(&Urls, "http://a,ws://b").unwrap_err().contains("number 2"));
    }

    #[test]
    fn what_is_no_url_is_not_repeated() {
        for text in ["hunter2:hunter2@host", "http://hunter2:hunter2@:x", "hunter2", "hunter2://host"] {
            assert!(!read(&Url, text).unwrap_err().contains("hunter2"), "{text}");
        }
    }
}
