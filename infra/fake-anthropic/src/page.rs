//! Cursor paging as lists of this API do it: newest first, `after_id` for older, `before_id` for newer.

use std::ops::Range;

use http::Uri;

use crate::answer::ApiError;

/// The query of a list call. Parameters it does not know (older SDKs send `beta=true`) are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageQuery {
    limit: usize,
    cursor: Cursor,
    /// Every parameter as it came, for filters.
    pub(crate) pairs: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cursor {
    Start,
    After(String),
    Before(String),
}

impl PageQuery {
    /// `limit` is 1 to 1000, default 20 (Python SDK 2.11.0, batch list parameters). Both cursors at once are refused.
    pub(crate) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| ApiError::invalid("the query string is malformed"))?
            .0;
        let find = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
        let limit = match find("limit") {
            None => 20,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=1000).contains(limit))
                .ok_or_else(|| ApiError::field("limit", "Input should be an integer from 1 to 1000"))?,
        };
        let cursor = match (find("after_id"), find("before_id")) {
            (None, None) => Cursor::Start,
            (Some(id), None) => Cursor::After(id.to_owned()),
            (None, Some(id)) => Cursor::Before(id.to_owned()),
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid("only one of before_id and after_id may be given"));
            }
        };
        Ok(Self { limit, cursor, pairs })
    }

    /// The part of `ids` (in list order) that the page shows, and whether more follows in the direction of paging.
    pub(crate) fn slice(&self, ids: &[&str]) -> Result<(Range<usize>, bool), ApiError> {
        let position = |name: &str, wanted: &str| {
            ids.iter()
                .position(|id| *id == wanted)
                .ok_or_else(|| ApiError::field(name, format!("no object with id \"{wanted}\"")))
        };
        Ok(match &self.cursor {
            Cursor::Start => self.forward(0, ids.len()),
            Cursor::After(id) => self.forward(position("after_id", id)? + 1, ids.len()),
            Cursor::Before(id) => {
                let end = position("before_id", id)?;
                let start = end.saturating_sub(self.limit);
                (start..end, start > 0)
            }
        })
    }

    fn forward(&self, start: usize, len: usize) -> (Range<usize>, bool) {
        let end = len.min(start + self.limit);
        (start..end, end < len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<(Range<usize>, bool), ApiError> {
        let uri: Uri = format!("/v1/messages/batches{query}").parse().unwrap();
        PageQuery::of(&uri)?.slice(&["e", "d", "c", "b", "a"])
    }

    #[test]
    fn pages_run_from_newest_to_oldest_and_back() {
        assert_eq!(page("").unwrap(), (0..5, false));
        assert_eq!(page("?limit=2&beta=true").unwrap(), (0..2, true));
        assert_eq!(page("?limit=2&after_id=d").unwrap(), (2..4, true));
        assert_eq!(page("?limit=2&after_id=b").unwrap(), (4..5, false));
        assert_eq!(page("?limit=2&before_id=c").unwrap(), (0..2, false));
        assert_eq!(page("?limit=2&before_id=b").unwrap(), (1..3, true));
    }

    #[test]
    fn a_bad_limit_or_cursor_is_a_400() {
        for query in ["?limit=0", "?limit=1001", "?limit=x", "?after_id=zz", "?after_id=a&before_id=b"] {
            assert_eq!(page(query).unwrap_err().status, 400, "{query}");
        }
    }
}
