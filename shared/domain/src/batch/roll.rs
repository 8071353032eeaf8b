//! Who is in a batch, and which of them know how it ended.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::RunKey;

/// Most members listed in the batch's own row, which every poll writes: a few kilobytes.
pub const MOST_LISTED: usize = 100;

/// One row of a batch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The run.
    pub run: RunKey,
    /// Its hop.
    pub hop: u32,
    /// Which try at the hop.
    pub attempt: u32,
}

impl Member {
    /// Its name at Anthropic.
    pub fn custom_id(&self) -> String {
        self.run.custom_id(self.hop, self.attempt)
    }
}

/// The members of a batch, in order: a member's place is its number in [`Marks`]. Up to [`MOST_LISTED`] stand in the row;
/// of more, the row says where the list is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Roll {
    /// Here.
    Listed(Vec<Member>),
    /// There: a JSON array of members.
    Blob {
        /// Its key.
        key: String,
        /// How many members it lists.
        rows: u32,
    },
}

impl Roll {
    /// How many there are.
    pub fn rows(&self) -> u32 {
        match self {
            Self::Listed(members) => u32::try_from(members.len()).unwrap_or(u32::MAX),
            Self::Blob { rows, .. } => *rows,
        }
    }
}

/// The place of the member called `custom_id` among `members`, which are sorted.
pub fn place_of(members: &[Member], custom_id: &str) -> Option<usize> {
    let (run, hop, attempt) = RunKey::of_custom_id(custom_id)?;
    members.binary_search(&Member { run, hop, attempt }).ok()
}

/// A set of small numbers: the places of members that were told how their row ended. 100,000 of them, the most a batch may
/// have (batch-processing page, 2026-10), take 17 KB.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks(Vec<u8>);

impl Marks {
    /// Whether no number is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// Whether `place` is in it.
    pub fn has(&self, place: usize) -> bool {
        self.0.get(place / 8).is_some_and(|byte| byte & (1 << (place % 8)) != 0)
    }

    /// Puts `place` in it.
    pub fn set(&mut self, place: usize) {
        if self.0.len() <= place / 8 {
            self.0.resize(place / 8 + 1, 0);
        }
        self.0[place / 8] |= 1 << (place % 8);
    }

    /// Puts everything in it that is in `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }

    /// How many are in it.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }
}

impl Serialize for Marks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD_NO_PAD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(job: &str, hop: u32) -> Member {
        Member { run: RunKey::parse(&format!("{job}_20261120T070000Z")).unwrap(), hop, attempt: 1 }
    }

    #[test]
    fn a_member_is_found_by_its_name_at_the_provider() {
        let members = [member("a", 1), member("a", 2), member("b", 1)];
        assert!(members.is_sorted());
        for (place, member) in members.iter().enumerate() {
            assert_eq!(place_of(&members, &member.custom_id()), Some(place));
        }
        assert_eq!(place_of(&members, &member("c", 1).custom_id()), None);
        assert_eq!(place_of(&members, "not-ours"), None);
    }

    #[test]
    fn a_roll_in_the_row_reads_as_it_did_before_there_were_others() {
        let old = r#"[{"run":"a_20261120T070000Z","hop":1,"attempt":1,"settled":false}]"#;
        assert_eq!(serde_json::from_str::<Roll>(old).unwrap(), Roll::Listed(vec![member("a", 1)]));
        let far = Roll::Blob { key: "batches/x/y".into(), rows: 100_000 };
        assert_eq!(serde_json::from_str::<Roll>(&serde_json::to_string(&far).unwrap()).unwrap(), far);
    }

    #[test]
    fn marks_hold_what_was_set_and_survive_a_round_trip_within_17_kb() {
        let mut marks = Marks::default();
        assert!(marks.is_empty() && !marks.has(7));
        for place in [0, 7, 8, 99_999] {
            marks.set(place);
        }
        assert!(marks.has(8) && marks.has(99_999) && !marks.has(9) && !marks.has(1_000_000));
        assert_eq!(marks.count(), 4);
        let mut few = Marks::default();
        few.set(9);
        few.merge(&marks);
        assert!(few.has(9) && few.has(99_999) && few.count() == 5);
        few.merge(&Marks::default());
        assert_eq!(few.count(), 5);
        let text = serde_json::to_string(&marks).unwrap();
        assert!(text.len() < 17_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<Marks>(&text).unwrap(), marks);
    }
}
