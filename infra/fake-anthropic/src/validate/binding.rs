//! What happens to replayed thinking that is not what it was (docs page "preserved-thinking", 2026-10-01).

use serde_json::{Map, Value, json};

use super::Purpose;
use crate::answer::ApiError;
use crate::models::Model;
use crate::thinking::{Kind, Mismatch, mismatches};

/// What binding left of a request's thinking.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bound {
    /// How many blocks were removed.
    pub(crate) dropped: u64,
    /// `input_transformations` of the answer, for callers with the beta `thinking-binding-controls-…`.
    pub(crate) transformations: Option<Value>,
}

/// Judges the replayed thinking of a valid request.
///
/// An edited block is a 400 with every model. A changed prefix matters to the models that preserve thinking: the request
/// is refused, or the block removed, as `thinking.block_binding.prefix_mismatch_behavior` says; unset, realtime refuses
/// and a batch removes silently.
pub(crate) fn bind(
    params: &mut Map<String, Value>,
    model: &Model,
    purpose: Purpose,
    betas: &[String],
) -> Result<Bound, ApiError> {
    let found = mismatches(params);
    let path = |found: &Mismatch| format!("messages.{}.content.{}", found.message, found.block);
    if let Some(edited) = found.iter().find(|found| found.kind == Kind::Edited) {
        return Err(ApiError::field(&path(edited), "Invalid `signature` in `thinking` block"));
    }
    let found = if model.preserved_thinking { found } else { Vec::new() };
    let asked =
        params.get("thinking").and_then(|thinking| thinking["block_binding"]["prefix_mismatch_behavior"].as_str());
    let drops = asked.map_or(purpose == Purpose::Batch, |behavior| behavior == "drop_block");
    if let Some(first) = found.first().filter(|_| !drops) {
        let problem = "the conversation before this `thinking` block has changed since it was created";
        return Err(ApiError::field(&path(first), problem));
    }
    for gone in found.iter().rev() {
        let blocks = params.get_mut("messages").and_then(|messages| messages[gone.message]["content"].as_array_mut());
        if let Some(blocks) = blocks {
            blocks.remove(gone.block);
        }
    }
    let entry = |found: &Mismatch| json!({"type": "thinking_dropped", "path": path(found), "reason": "prefix_binding_mismatch"});
    let told = betas.iter().any(|beta| beta.starts_with("thinking-binding-controls-"));
    let transformations = told.then(|| found.iter().map(entry).collect());
    Ok(Bound { dropped: found.len() as u64, transformations })
}
