//! stub
pub(crate) fn config_of(_: &prooflog_config::ChainConfig) -> prooflog_signer::SignerConfig {
    prooflog_signer::SignerConfig
}
