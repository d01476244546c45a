//! Keys that stay with a cloud: AWS KMS and Google Cloud KMS, each behind a feature of the build.
//!
//! Credentials come from the cloud's own environment and are never seen here. Reading the public key at the start shows
//! that key and credentials work. What a crash means: a signature that nobody recorded was sent to nobody.

use std::time::Duration;

use crate::{Held, SignerError};

/// How long a cloud may take to answer, retries of its own client counted.
pub(crate) const LIMIT: Duration = Duration::from_secs(15);

/// A key in AWS KMS.
#[cfg(feature = "aws")]
pub(crate) async fn aws(key_id: String, region: Option<String>) -> Result<Held, SignerError> {
    use alloy::signers::aws::AwsSigner;
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_kms::Client;
    const WHO: &str = "AWS KMS";
    let connecting = async {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        AwsSigner::new(Client::new(&loader.load().await), key_id, None).await
    };
    let hint = "check aws.key-id, aws.region, AWS's own credentials, and that they may use kms:GetPublicKey";
    let signer = within(WHO, connecting).await?.map_err(|error| refused(WHO, &error, hint))?;
    Ok(Held { signer: Box::new(signer), kind: "aws", who: WHO })
}

/// A key in AWS KMS, which this build does not know.
#[cfg(not(feature = "aws"))]
pub(crate) async fn aws(_: String, _: Option<String>) -> Result<Held, SignerError> {
    Err(SignerError::Feature { feature: "aws" })
}

/// A key in Google Cloud KMS.
#[cfg(feature = "gcp")]
pub(crate) async fn gcp(key: crate::GcpKey) -> Result<Held, SignerError> {
    use alloy::signers::gcp::gcloud_sdk::GoogleApi;
    use alloy::signers::gcp::gcloud_sdk::google::cloud::kms::v1::key_management_service_client::KeyManagementServiceClient;
    use alloy::signers::gcp::{GcpKeyRingRef, GcpSigner, KeySpecifier};
    const WHO: &str = "Google Cloud KMS";
    const HOST: &str = "https://cloudkms.googleapis.com";
    let hint = "check gcp.project, .location, .keyring, .key and .key-version, and Google's own credentials";
    let ring = GcpKeyRingRef::new(&key.project, &key.location, &key.keyring);
    let key = KeySpecifier::new(ring, &key.key, key.version);
    let api = within(WHO, GoogleApi::from_function(KeyManagementServiceClient::new, HOST, None)).await?;
    let api = api.map_err(|error| refused(WHO, &error, hint))?;
    let signer = within(WHO, GcpSigner::new(api, key, None)).await?;
    let signer = signer.map_err(|error| refused(WHO, &error, hint))?;
    Ok(Held { signer: Box::new(signer), kind: "gcp", who: WHO })
}

/// A key in Google Cloud KMS, which this build does not know.
#[cfg(not(feature = "gcp"))]
pub(crate) async fn gcp(_: crate::GcpKey) -> Result<Held, SignerError> {
    Err(SignerError::Feature { feature: "gcp" })
}

/// Ends a call at its limit.
pub(crate) async fn within<T>(who: &str, call: impl Future<Output = T>) -> Result<T, SignerError> {
    tokio::time::timeout(LIMIT, call).await.map_err(|_| SignerError::Unreachable {
        who: who.to_owned(),
        problem: format!("no answer within {LIMIT:?}; check the network and the cloud's own status"),
    })
}

/// A cloud's refusal: its words with their causes, cut, and what to do.
pub(crate) fn refused(who: &str, error: &dyn std::error::Error, hint: &str) -> SignerError {
    /// Most characters of a cloud's words that are shown.
    const WORDS_MAX: usize = 256;
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect();
    SignerError::Refused { who: who.to_owned(), problem: format!("{words}; {hint}") }
}
