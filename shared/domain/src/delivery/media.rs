//! An image that a channel fetches by its address.

use serde::{Deserialize, Serialize};

/// An image by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Media {
    /// Where it is: an `http` or `https` address.
    pub url: String,
    /// What it shows, in words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alt: String,
}
