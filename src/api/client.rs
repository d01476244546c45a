//! The client's side: what the commands of the program ask a running engine.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client as Http, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ErrorAnswer, socket};

/// Backups take as long as the disk needs.
const TIME_MAX: Duration = Duration::from_secs(3_600);

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody is there.
    #[error("no engine answers for {0}: is `prooflog run` up with this data directory?")]
    Nobody(String),
    /// It was refused.
    #[error("{0}")]
    Refused(String),
    /// The engine is not what we think it is.
    #[error("the engine's answer makes no sense: {0}")]
    Malformed(String),
}

/// Asks a running engine.
pub(crate) struct Client {
    http: Http,
    base: Url,
    user: Option<(String, String)>,
    shown: String,
}

impl Client {
    /// Of the engine that holds a data directory.
    ///
    /// # Errors
    /// When no engine does.
    pub(crate) fn local(dir: &Path) -> Result<Self, ClientError> {
        let path = socket(dir);
        let shown = dir.display().to_string();
        if !path.exists() {
            return Err(ClientError::Nobody(shown));
        }
        let http = Http::builder().unix_socket(path).no_proxy().timeout(TIME_MAX).build();
        Self::new(http, "http://engine", None, shown)
    }

    /// Of an engine at an address.
    ///
    /// # Errors
    /// When the address is none.
    pub(crate) fn remote(address: &str, user: (String, String)) -> Result<Self, ClientError> {
        let http = Http::builder().no_proxy().timeout(TIME_MAX).build();
        Self::new(http, address, Some(user), address.to_owned())
    }

    fn new(
        http: reqwest::Result<Http>,
        base: &str,
        user: Option<(String, String)>,
        shown: String,
    ) -> Result<Self, ClientError> {
        let http = http.map_err(|error| ClientError::Malformed(error.without_url().to_string()))?;
        let base = Url::parse(base).map_err(|error| ClientError::Refused(format!("{shown}: {error}")))?;
        Ok(Self { http, base, user, shown })
    }

    /// Asks for something.
    ///
    /// # Errors
    /// Why it is not to be had.
    pub(crate) async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        self.send(self.http.get(self.url(path)?)).await
    }

    /// Has something done.
    ///
    /// # Errors
    /// Why it was not done.
    pub(crate) async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, ClientError> {
        self.send(self.http.post(self.url(path)?).json(body)).await
    }

    fn url(&self, path: &str) -> Result<Url, ClientError> {
        self.base.join(path).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    async fn send<A: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<A, ClientError> {
        let request = match &self.user {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        };
        let response = request.send().await.map_err(|_| ClientError::Nobody(self.shown.clone()))?;
        let status = response.status();
        let malformed = |error: reqwest::Error| ClientError::Malformed(error.without_url().to_string());
        if status == StatusCode::OK {
            return response.json().await.map_err(malformed);
        }
        let text = response.text().await.map_err(malformed)?;
        let words = serde_json::from_str::<ErrorAnswer>(&text).map_or(text, |answer| answer.error);
        Err(ClientError::Refused(words))
    }
}
