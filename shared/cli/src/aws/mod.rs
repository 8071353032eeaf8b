//! The command line's view of AWS: whose credentials, which region, and a client for each service it asks.
//!
//! Guarantee: nothing here runs before a command needs AWS. Files and variables of AWS are read in [`Aws::load`] and nowhere
//! else, so local commands and `--version` start as they would without this module.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig, imds};
use aws_sdk_lambda::config::{Credentials, ProvideCredentials as _, SharedCredentialsProvider};

use crate::error::ExpectedError;

pub(crate) mod checkup;
mod failure;
pub(crate) mod parameters;
pub(crate) mod sign;
pub(crate) mod stack;

pub use failure::AwsFailure;
pub(crate) use failure::LOG_IN;

use sign::Signer;

/// How long the chain's last link, the metadata service of an EC2 machine, is waited for. It answers within milliseconds
/// where it is; elsewhere everybody without credentials would wait for it.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// What a command was started in, apart from its arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// AWS as it is already known; else it is looked for in the usual places. For tests, whose AWS is on loopback.
    pub(crate) aws: Option<SdkConfig>,
}

/// Somebody's AWS, in one region.
#[derive(Debug)]
pub(crate) struct Aws {
    /// Holds the credentials of now: what is asked with it is asked at once.
    config: SdkConfig,
    credentials: Credentials,
    /// Where newer ones come from.
    provider: SharedCredentialsProvider,
    region: Region,
}

impl Aws {
    /// Credentials and region as AWS's own tools find them: variables, the profile that `AWS_PROFILE` names, SSO, containers
    /// and machines. `region` wins over all of these.
    ///
    /// The region of the machine one is on is not asked for, unlike its credentials: a stack is not where somebody happens to
    /// sit.
    pub(crate) async fn load(
        surroundings: &Surroundings,
        region: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, ExpectedError> {
        let given = region.map(|name| Region::new(name.to_owned()));
        if let Some(config) = &surroundings.aws {
            let region = given.or_else(|| config.region().cloned()).ok_or(ExpectedError::NoRegion)?;
            let provider = config.credentials_provider().ok_or(ExpectedError::NoCredentials { source: None })?;
            return Self::within(config.clone(), region, provider).await;
        }
        let chain = RegionProviderChain::first_try(given)
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new());
        let region = chain.region().await.ok_or(ExpectedError::NoRegion)?;
        let metadata = imds::Client::builder().max_attempts(1).connect_timeout(METADATA_TIMEOUT).build();
        let provider = DefaultCredentialsChain::builder().region(region.clone()).imds_client(metadata).build().await;
        let provider = SharedCredentialsProvider::new(provider);
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(region.clone())
            .credentials_provider(provider.clone())
            .timeout_config(TimeoutConfig::builder().operation_timeout(timeout).build())
            .load()
            .await;
        Self::within(config, region, provider).await
    }

    async fn within(
        config: SdkConfig,
        region: Region,
        provider: SharedCredentialsProvider,
    ) -> Result<Self, ExpectedError> {
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|source| ExpectedError::NoCredentials { source: Some(source.into()) })?;
        let fixed = SharedCredentialsProvider::new(credentials.clone());
        let config = config.into_builder().region(region.clone()).credentials_provider(fixed).build();
        Ok(Self { config, credentials, provider, region })
    }

    /// The region's name.
    pub(crate) fn region(&self) -> &str {
        self.region.as_ref()
    }

    /// What signs requests to function URLs of `region`.
    pub(crate) fn signer(&self, region: &str) -> Signer {
        Signer::new(self.provider.clone(), self.credentials.clone(), region)
    }

    fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.config)
    }

    fn scheduler(&self) -> aws_sdk_scheduler::Client {
        aws_sdk_scheduler::Client::new(&self.config)
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    fn ssm(&self) -> aws_sdk_ssm::Client {
        aws_sdk_ssm::Client::new(&self.config)
    }

    fn sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.config)
    }
}
