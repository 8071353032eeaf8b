//! Where a running local stack tells clients of its own machine how to reach it.
//!
//! The stack writes one JSON file into its state directory when it is ready and removes it when it stops; the command
//! line reads it when neither a flag nor the environment names an endpoint. The file holds a token: it is written for
//! its owner only, and [`Profile`] prints without it.

use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file's name inside the state directory.
pub const PROFILE_FILE: &str = "profile.json";

/// The environment variable that names another state directory.
pub const STATE_DIR_VAR: &str = "NIGHTSHIFT_STATE_DIR";

/// How to reach a running stack.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The API's base address, such as `http://127.0.0.1:4777`.
    pub url: String,
    /// The bearer token.
    pub token: String,
    /// The process that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").field("url", &self.url).field("token", &"[redacted]").field("pid", &self.pid).finish()
    }
}

/// A profile that is there and cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} is no profile")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Profile {
    /// The profile in `state_dir`; `None` when no stack left one there.
    pub fn read(state_dir: &Path) -> Result<Option<Self>, ProfileError> {
        let path = state_dir.join(PROFILE_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|source| ProfileError::Parse { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ProfileError::Read { path, source }),
        }
    }
}

/// The state directory: `$NIGHTSHIFT_STATE_DIR`, else `nightshift` in `$XDG_STATE_HOME`, else `~/.local/state/nightshift`.
///
/// `None` when none of the three variables (`HOME` is the last) is set.
pub fn default_state_dir() -> Option<PathBuf> {
    state_dir_from(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn state_dir_from(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // The XDG base directory specification tells to ignore a relative path.
    let xdg = || var("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let home = || var("HOME").map(|home| home.join(".local/state"));
    var(STATE_DIR_VAR).or_else(|| xdg().or_else(home).map(|state| state.join("nightshift")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_dir(vars: &[(&str, &str)]) -> Option<PathBuf> {
        state_dir_from(|name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value)))
    }

    #[test]
    fn the_state_dir_is_the_named_one_then_xdgs_then_homes() {
        let all = [("NIGHTSHIFT_STATE_DIR", "/s"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(state_dir(&all), Some("/s".into()));
        assert_eq!(state_dir(&all[1..]), Some("/x/nightshift".into()));
        assert_eq!(state_dir(&all[2..]), Some("/h/.local/state/nightshift".into()));
        assert_eq!(
            state_dir(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]),
            Some("/h/.local/state/nightshift".into())
        );
        assert_eq!(state_dir(&[]), None);
    }

    #[test]
    fn a_profile_prints_without_its_token_and_ignores_fields_of_later_versions() {
        let text = r#"{"url":"http://127.0.0.1:1","token":"s3cret","pid":7,"startedAtMs":1}"#;
        let profile: Profile = serde_json::from_str(text).unwrap();
        assert_eq!(profile.pid, Some(7));
        assert!(!format!("{profile:?}").contains("s3cret"));
    }
}
