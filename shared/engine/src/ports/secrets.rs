//! Where secret values come from: the configuration holds references to them only.

use std::fmt;

use async_trait::async_trait;

/// A secret value. `Debug` does not show it, and it has no `Display`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value; white space around it (a newline at a file's end) is dropped.
    pub fn new(value: &str) -> Self {
        Self(value.trim().to_owned())
    }

    /// The value, for the one header or path it belongs in.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(&value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Turns a reference from the configuration (`ssm:name`, `env:NAME`) into the value.
#[async_trait]
pub trait Secrets: Send + Sync + fmt::Debug {
    /// The value behind `reference`; the error says why there is none, and never holds a value.
    async fn resolve(&self, reference: &str) -> Result<Secret, String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some([redacted])");
    }
}
