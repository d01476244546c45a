//! A service that signs: `eth_signTransaction` as Web3Signer and op-signer answer it.
//!
//! The service is trusted with the key and with nothing else: what comes back must be the transaction that was asked for,
//! signed by the account that was configured.

use alloy::consensus::{SignableTransaction, Transaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::hex;
use prooflog_events::ids::Address;
use prooflog_net::{Endpoint, HttpError, Limits, RpcClient, RpcError};
use reqwest::{Certificate, Identity};
use serde_json::{Value, json};

use crate::SignerError;

/// A service that signs, and for whom.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// Its address.
    pub endpoint: Endpoint,
    /// The account that it signs for.
    pub address: Address,
    /// Headers of each call: name and value.
    pub headers: Vec<(String, prooflog_net::Secret<String>)>,
    /// Certificate authority that its certificate must come from, as PEM.
    pub ca: Option<Vec<u8>>,
    /// Our certificate and its key, as PEM.
    pub identity: Option<prooflog_net::Secret<Vec<u8>>>,
    /// Limits of a call.
    pub limits: Limits,
}

/// The service, ready to be asked.
pub(crate) struct Remote {
    rpc: RpcClient,
    address: Address,
}

impl Remote {
    pub(crate) fn new(config: RemoteConfig) -> Result<Self, SignerError> {
        let mut builder = prooflog_net::builder(config.limits);
        if let Some(ca) = &config.ca {
            let ca = Certificate::from_pem(ca);
            let ca = ca.map_err(|_| SignerError::Remote("the certificate authority is no PEM".to_owned()))?;
            builder = builder.tls_certs_only([ca]);
        }
        if let Some(identity) = &config.identity {
            let identity = Identity::from_pem(identity.expose());
            let identity = identity
                .map_err(|_| SignerError::Remote("our certificate or its key is no PEM".to_owned()))?;
            builder = builder.identity(identity);
        }
        let mut headers = reqwest::header::HeaderMap::new();
        for (name, value) in &config.headers {
            let name = reqwest::header::HeaderName::from_bytes(name.as_bytes());
            let value = reqwest::header::HeaderValue::from_str(value.expose());
            let (Ok(name), Ok(mut value)) = (name, value) else {
                return Err(SignerError::Remote("a configured header is none".to_owned()));
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let http = builder.default_headers(headers).build();
        let http =
            http.map_err(|_| SignerError::Remote("TLS cannot be set up with these files".to_owned()))?;
        Ok(Self { rpc: RpcClient::with(config.endpoint, http, config.limits), address: config.address })
    }

    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    pub(crate) async fn sign(&self, tx: TxEip1559) -> Result<Vec<u8>, SignerError> {
        let answer: Value =
            self.rpc.call("eth_signTransaction", json!([self.question(&tx)])).await.map_err(failed)?;
        // Some answer with the bytes alone, some with the bytes beside the transaction.
        let raw = answer.as_str().or_else(|| answer.get("raw").and_then(Value::as_str));
        let raw = raw.and_then(|raw| hex::decode(raw).ok());
        let raw = raw.ok_or_else(|| SignerError::Remote("its answer holds no signed bytes".to_owned()))?;
        self.check(&tx, &raw)?;
        Ok(raw)
    }

    fn question(&self, tx: &TxEip1559) -> Value {
        json!({
            "from": self.address.to_string(),
            "to": tx.to.to().map(ToString::to_string),
            "gas": format!("{:#x}", tx.gas_limit),
            "maxFeePerGas": format!("{:#x}", tx.max_fee_per_gas),
            "maxPriorityFeePerGas": format!("{:#x}", tx.max_priority_fee_per_gas),
            "value": format!("{:#x}", tx.value),
            "nonce": format!("{:#x}", tx.nonce),
            "data": hex::encode_prefixed(&tx.input),
            "input": hex::encode_prefixed(&tx.input),
            "chainId": format!("{:#x}", tx.chain_id),
            "type": "0x2",
        })
    }

    fn check(&self, asked: &TxEip1559, raw: &[u8]) -> Result<(), SignerError> {
        let forged = |what: &str| SignerError::Forged(what.to_owned());
        let mut rest = raw;
        let envelope = TxEnvelope::decode_2718(&mut rest).map_err(|_| forged("no transaction"))?;
        if !rest.is_empty() {
            return Err(forged("bytes follow the transaction"));
        }
        let TxEnvelope::Eip1559(signed) = &envelope else {
            return Err(forged("another kind of transaction"));
        };
        let found = signed.tx();
        let differs = [
            (found.chain_id != asked.chain_id, "the chain id"),
            (found.nonce != asked.nonce, "the nonce"),
            (found.to != asked.to, "the recipient"),
            (found.value != asked.value, "the value"),
            (found.input() != asked.input(), "the call data"),
            (found.gas_limit != asked.gas_limit, "the gas limit"),
            (found.max_fee_per_gas != asked.max_fee_per_gas, "the fee"),
            (found.max_priority_fee_per_gas != asked.max_priority_fee_per_gas, "the tip"),
            (found.access_list != asked.access_list, "the access list"),
        ];
        if let Some((_, what)) = differs.iter().find(|(differs, _)| *differs) {
            return Err(forged(&format!("{what} differs")));
        }
        let signer = signed.signature().recover_address_from_prehash(&found.signature_hash());
        let signer = signer.map_err(|_| forged("its signature is none"))?;
        if signer.0.0 != self.address.0 {
            return Err(forged(&format!("it was signed by {signer}, not {}", self.address)));
        }
        Ok(())
    }
}

fn failed(error: RpcError) -> SignerError {
    match error {
        RpcError::Http { source: HttpError::Unreachable(why), .. } => SignerError::Unreachable(why),
        RpcError::Http { source: error @ (HttpError::Timeout(_) | HttpError::Dropped(_)), .. } => {
            SignerError::Unreachable(error.to_string())
        }
        other => SignerError::Remote(other.to_string()),
    }
}
