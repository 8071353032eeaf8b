//! The list of a batch's members: in its row while it is short, in the blob store when it is not.

use bytes::Bytes;
use nightshift_domain::AttemptId;
use nightshift_domain::batch::{Batch, MOST_LISTED, Member, Roll};

use crate::deps::Deps;
use crate::error::EngineError;
use crate::runs::digest;

/// Keeps `members`, sorted. A blob's key is its digest, so a repeat writes the same blob.
pub(crate) async fn enrol(deps: &Deps, id: &AttemptId, mut members: Vec<Member>) -> Result<Roll, EngineError> {
    members.sort_unstable();
    if members.len() <= MOST_LISTED {
        return Ok(Roll::Listed(members));
    }
    let rows = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let body = serde_json::to_vec(&members).map_err(|_| EngineError::RollMissing { batch: id.clone() })?;
    let key = format!("batches/{id}/{}", digest(&body));
    deps.blobs.put(&key, Bytes::from(body)).await?;
    Ok(Roll::Blob { key, rows })
}

/// All members, in order.
pub(crate) async fn members(deps: &Deps, batch: &Batch) -> Result<Vec<Member>, EngineError> {
    match &batch.members {
        Roll::Listed(members) => Ok(members.clone()),
        Roll::Blob { key, .. } => {
            let missing = || EngineError::RollMissing { batch: batch.id.clone() };
            let body = deps.blobs.get(key).await?.ok_or_else(missing)?;
            serde_json::from_slice(&body).map_err(|_| missing())
        }
    }
}

/// Those that were not yet told how their row ended, as far as was noted.
pub(crate) async fn open(deps: &Deps, batch: &Batch) -> Result<Vec<Member>, EngineError> {
    let all = members(deps, batch).await?;
    Ok(all.into_iter().enumerate().filter(|(at, _)| !batch.settled.has(*at)).map(|(_, member)| member).collect())
}
