//! A service that signs: `eth_signTransaction` as op-signer and Web3Signer answer it, or Web3Signer's `eth1/sign`.
//!
//! The service is trusted with the key and with nothing else. Its words are shown cut, without control characters and
//! without anything that we gave it; the text beside a bad status is not shown at all. What a crash means: a signature
//! that nobody recorded was sent to nobody.

use std::path::PathBuf;

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Signature, hex};
use prooflog_events::ids::Address;
use prooflog_net::{Endpoint, HttpError, Limits, RpcClient, RpcError, Secret, read_body};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity};
use serde_json::{Value, json};

use crate::{Signed, SignerError, check, files};

/// Most characters of the service's words that are shown.
const WORDS_MAX: usize = 256;
/// Shortest text that is taken out of the service's words; shorter ones would only garble them.
const HIDDEN_MIN: usize = 4;

/// A service that signs, and for whom.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// Its address.
    pub endpoint: Endpoint,
    /// The account that it signs for.
    pub address: Address,
    /// What it understands.
    pub api: RemoteApi,
    /// Headers of each call: name and value.
    pub headers: Vec<(String, Secret<String>)>,
    /// Certificates of its connection.
    pub tls: Tls,
    /// Limits of a call.
    pub limits: Limits,
}

/// What a service that signs understands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RemoteApi {
    /// JSON-RPC with `eth_signTransaction`: op-signer, Web3Signer, geth's clef.
    #[default]
    SignTransaction,
    /// Web3Signer's REST call that signs bytes with a named key.
    Eth1Sign {
        /// The key's name there: the public key in hex.
        public_key: String,
    },
}

/// Certificate files (PEM) of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities, one of which must have issued the service's certificate; the system's where `None`.
    pub ca: Option<PathBuf>,
    /// Our certificate, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// The service, ready to be asked.
pub(crate) struct Remote {
    rpc: RpcClient,
    http: Client,
    limits: Limits,
    address: Address,
    api: RemoteApi,
    who: String,
    /// What its words must not repeat.
    hidden: Secret<Vec<String>>,
}

impl Remote {
    /// Reads the certificates and sets up the connection; asks nothing yet.
    pub(crate) fn new(config: RemoteConfig) -> Result<Self, SignerError> {
        let hidden = Secret::new(hidden(&config));
        let headers = headers(&config.headers)?;
        let builder = certified(&config)?.default_headers(headers);
        let http = builder.build().map_err(|_| {
            SignerError::Settings("TLS cannot be set up with signer.tls.ca, .cert and .key".to_owned())
        })?;
        let api = match config.api {
            RemoteApi::Eth1Sign { public_key } => named(&public_key, config.address)?,
            api @ RemoteApi::SignTransaction => api,
        };
        Ok(Self {
            who: format!("the remote signer {}", config.endpoint),
            rpc: RpcClient::with(config.endpoint, http.clone(), config.limits),
            http,
            limits: config.limits,
            address: config.address,
            api,
            hidden,
        })
    }

    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    pub(crate) async fn sign(&self, tx: TxEip1559) -> Result<Signed, SignerError> {
        let raw = match &self.api {
            RemoteApi::SignTransaction => self.sign_transaction(&tx).await?,
            RemoteApi::Eth1Sign { public_key } => {
                let signature = self.sign_bytes(&tx, public_key).await?;
                tx.clone().into_signed(signature).encoded_2718()
            }
        };
        check::check(&tx, raw, self.address, &self.who)
    }

    async fn sign_transaction(&self, tx: &TxEip1559) -> Result<Vec<u8>, SignerError> {
        let question = json!([question(tx, self.address)]);
        let answer: Value =
            self.rpc.call("eth_signTransaction", question).await.map_err(|error| self.failed(error))?;
        // Some answer with the bytes alone, some with the bytes beside the transaction.
        let raw = answer.as_str().or_else(|| answer.get("raw").and_then(Value::as_str));
        raw.and_then(|raw| hex::decode(raw).ok())
            .ok_or_else(|| self.malformed("its answer holds no bytes in hex"))
    }

    async fn sign_bytes(&self, tx: &TxEip1559, public_key: &str) -> Result<Signature, SignerError> {
        let url = self.rpc.endpoint().join(&format!("api/v1/eth1/sign/{public_key}"));
        let body = json!({ "data": hex::encode_prefixed(tx.encoded_for_signing()) });
        let answer = read_body(self.http.post(url).json(&body), self.limits).await;
        let bytes = answer.and_then(|answer| answer.ok(self.rpc.endpoint()));
        let bytes = bytes.map_err(|error| self.http_failed(&error))?;
        let text = std::str::from_utf8(&bytes).unwrap_or_default().trim().trim_matches('"');
        hex::decode(text)
            .ok()
            .and_then(|bytes| Signature::from_raw(&bytes).ok())
            .ok_or_else(|| self.malformed("its answer is no signature in hex"))
    }

    fn failed(&self, error: RpcError) -> SignerError {
        let unknown = error.is_unknown_method();
        match error {
            RpcError::Http { source, .. } => self.http_failed(&source),
            RpcError::Refused { code, message, .. } => {
                let hint = if unknown {
                    "it does not know eth_signTransaction: check signer.endpoint"
                } else {
                    "check its rules and signer.address"
                };
                self.refused(format!("{} ({code}); {hint}", self.cleaned(&message)))
            }
            // The parser's position, and never its input.
            RpcError::Malformed { problem, .. } => self.malformed(&self.cleaned(&problem)),
        }
    }

    fn http_failed(&self, error: &HttpError) -> SignerError {
        match error {
            HttpError::Status { status: status @ (401 | 403), .. } => {
                self.refused(format!("status {status}: check signer.header and the client certificate"))
            }
            HttpError::Status { status: status @ (429 | 500..), .. } => {
                self.unreachable(format!("status {status}: see its log"))
            }
            HttpError::Status { status, .. } => {
                self.refused(format!("status {status}: check the path of signer.endpoint"))
            }
            HttpError::TooLarge(_) => self.malformed(&error.to_string()),
            HttpError::Unreachable(_) | HttpError::Timeout(_) | HttpError::Dropped(_) => {
                let text = self.cleaned(&error.to_string());
                self.unreachable(format!("{text}; check that it runs, signer.endpoint and signer.tls"))
            }
        }
    }

    fn unreachable(&self, problem: String) -> SignerError {
        SignerError::Unreachable { who: self.who.clone(), problem }
    }

    fn refused(&self, problem: String) -> SignerError {
        SignerError::Refused { who: self.who.clone(), problem }
    }

    fn malformed(&self, problem: &str) -> SignerError {
        SignerError::Malformed { who: self.who.clone(), problem: problem.to_owned() }
    }

    /// Words as they may be shown. What is hidden goes first, or cutting could leave a part of it.
    fn cleaned(&self, words: &str) -> String {
        let hide = |words: String, hidden: &String| words.replace(hidden, "***");
        let words = self.hidden.expose().iter().fold(words.to_owned(), hide);
        words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect()
    }
}

/// The transaction as a question. Some services read `data`, some `input`.
fn question(tx: &TxEip1559, from: Address) -> Value {
    json!({
        "from": from.to_string(),
        "to": tx.to.to().map(hex::encode_prefixed),
        "gas": format!("{:#x}", tx.gas_limit),
        "maxFeePerGas": format!("{:#x}", tx.max_fee_per_gas),
        "maxPriorityFeePerGas": format!("{:#x}", tx.max_priority_fee_per_gas),
        "value": format!("{:#x}", tx.value),
        "nonce": format!("{:#x}", tx.nonce),
        "data": hex::encode_prefixed(&tx.input),
        "input": hex::encode_prefixed(&tx.input),
        "accessList": tx.access_list,
        "chainId": format!("{:#x}", tx.chain_id),
        "type": "0x2",
    })
}

/// What was given to the service and may come back in its words, the longest first.
fn hidden(config: &RemoteConfig) -> Vec<String> {
    let url = config.endpoint.url();
    let values = config.headers.iter().map(|(_, value)| value.expose().as_str());
    let address = [url.username(), url.password().unwrap_or_default(), url.query().unwrap_or_default()];
    let mut hidden: Vec<String> = values
        .chain(address)
        .chain(url.path().split('/'))
        .flat_map(|text| std::iter::once(text).chain(text.split([' ', '=', '&', ':'])))
        .filter(|text| text.len() >= HIDDEN_MIN)
        .map(ToOwned::to_owned)
        .collect();
    hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
    hidden.dedup();
    hidden
}

fn headers(given: &[(String, Secret<String>)]) -> Result<HeaderMap, SignerError> {
    let mut headers = HeaderMap::new();
    for (at, (name, value)) in given.iter().enumerate() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value.expose());
        let (Ok(name), Ok(mut value)) = (name, value) else {
            let text = format!("header {} of signer.header is none: `Name: value`", at + 1);
            return Err(SignerError::Settings(text));
        };
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// A connection with the configured certificates.
fn certified(config: &RemoteConfig) -> Result<reqwest::ClientBuilder, SignerError> {
    let mut builder = prooflog_net::builder(config.limits);
    let is_plain = config.endpoint.url().scheme() != "https";
    if is_plain && config.tls != Tls::default() {
        let text = "certificates are configured and signer.endpoint is not https: make it https";
        return Err(SignerError::Settings(text.to_owned()));
    }
    if let Some(path) = &config.tls.ca {
        let found = Certificate::from_pem_bundle(&files::public(path)?);
        let found = found.ok().filter(|found| !found.is_empty());
        builder = builder.tls_certs_only(found.ok_or_else(|| no_pem(path, "certificate authority"))?);
    }
    if let Some((certificate, key)) = &config.tls.client {
        let mut both = files::public(certificate)?;
        both.push(b'\n');
        both.extend_from_slice(files::private(key)?.expose());
        let identity = Identity::from_pem(&both).map_err(|_| no_pem(certificate, "certificate with key"))?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

fn no_pem(path: &std::path::Path, what: &str) -> SignerError {
    let problem = format!("holds no {what}: PEM is needed");
    SignerError::File { path: path.to_owned(), problem }
}

/// A key's name at the service; it must be the account's own public key.
fn named(public_key: &str, account: Address) -> Result<RemoteApi, SignerError> {
    let wrong =
        || SignerError::Settings("the name of its key is none: the public key, 128 hex digits".to_owned());
    let bytes = hex::decode(public_key.trim()).map_err(|_| wrong())?;
    // The uncompressed form begins with a four that the service leaves out.
    let bytes = bytes.strip_prefix(&[4]).filter(|rest| rest.len() == 64).unwrap_or(&bytes);
    if bytes.len() != 64 {
        return Err(wrong());
    }
    let found = Address(alloy::primitives::Address::from_raw_public_key(bytes).into_array());
    if found != account {
        return Err(SignerError::OtherAccount { found, expected: account });
    }
    Ok(RemoteApi::Eth1Sign { public_key: hex::encode_prefixed(bytes) })
}
