//! What a process is started with.

use std::path::{Path, PathBuf};

use nightshift_domain::config::SecretsPath;
use nightshift_engine::Settings;
use nightshift_engine::ports::Secret;

/// Where long texts are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobPlace {
    /// A folder (`file:///path`).
    Folder(PathBuf),
    /// An S3 bucket (`s3://name`).
    Bucket(String),
}

/// Where models are, unless the configuration says otherwise.
#[derive(Debug, Clone, Default)]
pub struct ModelPlace {
    /// Wins over everything for the provider `anthropic`: on the local stack, so that a manual clock never reaches the real
    /// API.
    pub base_url: Option<String>,
    /// The key of a provider that names none.
    pub key: Option<Secret>,
}

/// What a process is started with; the variables are named at the fields.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `NIGHTSHIFT_TABLE`.
    pub table: String,
    /// `NIGHTSHIFT_BLOBS`.
    pub blobs: BlobPlace,
    /// `NIGHTSHIFT_GROUP`: the schedule group.
    pub group: String,
    /// `NIGHTSHIFT_SCHEDULER_ROLE_ARN`: what schedules invoke functions as.
    pub scheduler_role_arn: String,
    /// `NIGHTSHIFT_FUNCTION_ARN_PREFIX`: a function's ARN without its short name.
    pub function_arn_prefix: String,
    /// `NIGHTSHIFT_DEAD_LETTER_ARN`: the queue for schedules' events that Lambda did not take within their retries.
    pub dead_letter_arn: Option<String>,
    /// `NIGHTSHIFT_CONSOLE_URL`: the local stack's console.
    pub console_url: Option<String>,
    /// `NIGHTSHIFT_MODEL_URL` and `ANTHROPIC_API_KEY`.
    pub model: ModelPlace,
    /// `NIGHTSHIFT_METRICS`: the CloudWatch namespace that metrics are written for as log lines; none are without it.
    pub metrics: Option<String>,
    /// `AWS_LAMBDA_FUNCTION_NAME`.
    pub function: Option<String>,
    /// `NIGHTSHIFT_LOCAL`, `NIGHTSHIFT_SKIP_CRON` (or `OPENCLAW_SKIP_CRON`), `NIGHTSHIFT_PARAMETERS` (the path in the parameter
    /// store under which this deployment's secrets lie, `/nightshift`), `NIGHTSHIFT_API_TOKEN_SHA256`.
    pub settings: Settings,
}

/// A variable the process needs is not set or does not fit.
#[derive(Debug, thiserror::Error)]
#[error("the variable {name} {problem}")]
pub struct SettingMissing {
    name: &'static str,
    problem: &'static str,
}

impl Environment {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, SettingMissing> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads the settings that `variable` gives by name: all that a function reads of its environment but what the AWS SDK
    /// and the Lambda runtime read themselves. An empty value is none.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingMissing> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let need = |name: &'static str| get(name).ok_or(SettingMissing { name, problem: "is not set" });
        let on = |name: &str| get(name).is_some_and(|value| is_on(&value));
        Ok(Self {
            table: need("NIGHTSHIFT_TABLE")?,
            blobs: blob_place(&need("NIGHTSHIFT_BLOBS")?).ok_or(SettingMissing {
                name: "NIGHTSHIFT_BLOBS",
                problem: "is neither s3://bucket nor file:///folder",
            })?,
            group: need("NIGHTSHIFT_GROUP")?,
            scheduler_role_arn: need("NIGHTSHIFT_SCHEDULER_ROLE_ARN")?,
            function_arn_prefix: need("NIGHTSHIFT_FUNCTION_ARN_PREFIX")?,
            dead_letter_arn: get("NIGHTSHIFT_DEAD_LETTER_ARN"),
            console_url: get("NIGHTSHIFT_CONSOLE_URL"),
            model: ModelPlace {
                base_url: get("NIGHTSHIFT_MODEL_URL"),
                key: get("ANTHROPIC_API_KEY").map(Secret::from),
            },
            metrics: get("NIGHTSHIFT_METRICS"),
            function: get("AWS_LAMBDA_FUNCTION_NAME"),
            settings: Settings {
                skip_cron: on("NIGHTSHIFT_SKIP_CRON") || on("OPENCLAW_SKIP_CRON"),
                local: on("NIGHTSHIFT_LOCAL"),
                secrets: get("NIGHTSHIFT_PARAMETERS").map(|path| SecretsPath::new(&path)),
                api_token_sha256: get("NIGHTSHIFT_API_TOKEN_SHA256"),
            },
        })
    }

    /// The environment of functions on the local stack, before its token and model are known.
    pub fn local(console_url: &str, state_dir: &Path) -> Self {
        Self {
            table: "nightshift".to_owned(),
            blobs: BlobPlace::Folder(state_dir.join("blobs")),
            group: "nightshift".to_owned(),
            scheduler_role_arn: "arn:aws:iam::000000000000:role/nightshift-scheduler".to_owned(),
            function_arn_prefix: "arn:aws:lambda:us-east-1:000000000000:function:nightshift-".to_owned(),
            dead_letter_arn: None,
            console_url: Some(console_url.to_owned()),
            model: ModelPlace::default(),
            metrics: None,
            function: None,
            settings: Settings { local: true, ..Settings::default() },
        }
    }

    /// The same as variables, for functions that are processes of their own.
    pub fn variables(&self) -> Vec<(String, String)> {
        let blobs = match &self.blobs {
            BlobPlace::Folder(dir) => format!("file://{}", dir.display()),
            BlobPlace::Bucket(bucket) => format!("s3://{bucket}"),
        };
        let mut variables = vec![
            ("NIGHTSHIFT_TABLE", self.table.clone()),
            ("NIGHTSHIFT_BLOBS", blobs),
            ("NIGHTSHIFT_GROUP", self.group.clone()),
            ("NIGHTSHIFT_SCHEDULER_ROLE_ARN", self.scheduler_role_arn.clone()),
            ("NIGHTSHIFT_FUNCTION_ARN_PREFIX", self.function_arn_prefix.clone()),
        ];
        let mut optional = |name, value: Option<String>| variables.extend(value.map(|value| (name, value)));
        optional("NIGHTSHIFT_DEAD_LETTER_ARN", self.dead_letter_arn.clone());
        optional("NIGHTSHIFT_PARAMETERS", self.settings.secrets.as_ref().map(|path| path.as_str().to_owned()));
        optional("NIGHTSHIFT_CONSOLE_URL", self.console_url.clone());
        optional("NIGHTSHIFT_MODEL_URL", self.model.base_url.clone());
        optional("ANTHROPIC_API_KEY", self.model.key.as_ref().map(|key| key.expose().to_owned()));
        optional("NIGHTSHIFT_LOCAL", self.settings.local.then(|| "1".to_owned()));
        optional("NIGHTSHIFT_SKIP_CRON", self.settings.skip_cron.then(|| "1".to_owned()));
        optional("NIGHTSHIFT_API_TOKEN_SHA256", self.settings.api_token_sha256.clone());
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Whether the value of a variable that switches something on does so: whatever is not blank and does not say no.
pub fn is_on(value: &str) -> bool {
    !["", "0", "false", "no", "off"].contains(&value.trim().to_ascii_lowercase().as_str())
}

fn blob_place(text: &str) -> Option<BlobPlace> {
    if let Some(bucket) = text.strip_prefix("s3://") {
        return Some(BlobPlace::Bucket(bucket.trim_end_matches('/').to_owned()));
    }
    text.strip_prefix("file://").map(|dir| BlobPlace::Folder(PathBuf::from(dir)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_says_no_is_off() {
        for off in ["", " ", "0", "false", "False", "no", "OFF", " off "] {
            assert!(!is_on(off), "{off:?}");
        }
        for on in ["1", "true", "yes", "on", "please"] {
            assert!(is_on(on), "{on:?}");
        }
        let with = |name: &'static str, value: &'static str| {
            let needed = |name: &str| match name {
                "NIGHTSHIFT_BLOBS" => Some("s3://b".to_owned()),
                "NIGHTSHIFT_TABLE"
                | "NIGHTSHIFT_GROUP"
                | "NIGHTSHIFT_SCHEDULER_ROLE_ARN"
                | "NIGHTSHIFT_FUNCTION_ARN_PREFIX" => Some("x".to_owned()),
                _ => None,
            };
            let read = Environment::read(|asked| if asked == name { Some(value.to_owned()) } else { needed(asked) });
            read.unwrap().settings.skip_cron
        };
        assert!(!with("NIGHTSHIFT_SKIP_CRON", "false"));
        assert!(with("OPENCLAW_SKIP_CRON", "1"));
    }
}
