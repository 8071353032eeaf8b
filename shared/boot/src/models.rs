//! Opens providers from the configuration.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use nightshift_anthropic::Anthropic;
use nightshift_domain::config::{Config, Provider};
use nightshift_domain::run::{Credential, credential_kind};
use nightshift_engine::Clock;
use nightshift_engine::ports::{Model, Models, OpenModelError, OpenedModel, Secret, Secrets};
use nightshift_openai::OpenAi;

use crate::environment::ModelPlace;

/// The provider that is there without being configured.
const ANTHROPIC: &str = "anthropic";

/// Opens providers; one that was opened is kept while its settings and key stay the same, with what it knows of its models.
#[derive(Debug)]
pub struct OpenModels {
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    secrets: Arc<dyn Secrets>,
    place: ModelPlace,
    opened: Mutex<HashMap<String, Opened>>,
}

#[derive(Debug)]
struct Opened {
    provider: Provider,
    key: Option<Secret>,
    model: OpenedModel,
}

impl OpenModels {
    /// Opens with these defaults.
    pub fn new(http: reqwest::Client, clock: Arc<dyn Clock>, secrets: Arc<dyn Secrets>, place: ModelPlace) -> Self {
        Self { http, clock, secrets, place, opened: Mutex::new(HashMap::new()) }
    }

    async fn key(&self, name: &str, provider: &Provider) -> Result<Option<Secret>, OpenModelError> {
        let unusable = |reason: String| OpenModelError::Key { provider: name.to_owned(), reason };
        let key = match (&provider.api_key, &self.place.key) {
            (Some(reference), _) => Some(self.secrets.resolve(reference).await.map_err(unusable)?),
            (None, Some(key)) if name == ANTHROPIC => Some(key.clone()),
            (None, _) if provider.is_anthropic() => {
                return Err(unusable("none is configured: set providers.anthropic.apiKey".to_owned()));
            }
            (None, _) => None,
        };
        if key.as_ref().is_some_and(|key| key.expose().starts_with("sk-ant-admin")) {
            return Err(unusable("it is an admin key, which cannot send messages".to_owned()));
        }
        Ok(key)
    }

    fn build(&self, name: &str, provider: &Provider, key: Option<Secret>) -> Result<OpenedModel, OpenModelError> {
        if !provider.is_anthropic() {
            let Some(base_url) = provider.base_url.clone() else {
                let reason = "its baseUrl is not configured".to_owned();
                return Err(OpenModelError::Key { provider: name.to_owned(), reason });
            };
            let settings = nightshift_openai::Settings { base_url, key };
            let model: Arc<dyn Model> = Arc::new(OpenAi::new(settings, self.http.clone(), self.clock.clone()));
            return Ok(OpenedModel { model, credential: Credential::ApiKey });
        }
        let Some(key) = key else {
            return Err(OpenModelError::Key { provider: name.to_owned(), reason: "none is configured".to_owned() });
        };
        let credential = credential_kind(provider, key.expose());
        let base_url = self
            .place
            .base_url
            .clone()
            .or_else(|| provider.base_url.clone())
            .unwrap_or_else(|| nightshift_anthropic::DEFAULT_BASE_URL.to_owned());
        let settings = nightshift_anthropic::Settings {
            base_url,
            subscription: key.expose().starts_with("sk-ant-oat"),
            key,
            workspace_id: provider.workspace_id.clone(),
        };
        let model: Arc<dyn Model> = Arc::new(Anthropic::new(settings, self.http.clone(), self.clock.clone()));
        Ok(OpenedModel { model, credential })
    }
}

#[async_trait]
impl Models for OpenModels {
    async fn open(&self, config: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        let provider = config.provider(name).ok_or_else(|| OpenModelError::Unknown(name.to_owned()))?;
        let key = self.key(name, &provider).await?;
        let kept = |opened: &HashMap<String, Opened>| {
            opened.get(name).filter(|one| one.provider == provider && one.key == key).map(|one| one.model.clone())
        };
        if let Some(model) = kept(&self.opened.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(model);
        }
        let model = self.build(name, &provider, key.clone())?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(name.to_owned(), Opened { provider, key, model: model.clone() });
        Ok(model)
    }
}
