//! Ids in Anthropic's format, reproducible from a seed and a counter.

/// Base-62 digits, as Anthropic's ids use them.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Hands out ids; the counter is journalled, so that none is given twice over a restart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    seed: u64,
    next: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64, next: u64) -> Self {
        Self { seed, next }
    }

    /// How many ids have been handed out.
    pub(crate) fn position(self) -> u64 {
        self.next
    }

    /// A fresh id such as `msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d`: the prefix, `01` and 22 base-62 digits.
    pub(crate) fn fresh(&mut self, prefix: &str) -> String {
        let word = self.seed.wrapping_add(self.next.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        self.next += 1;
        format!("{prefix}01{}", digits(word))
    }
}

/// 22 digits that differ whenever `word` does.
fn digits(word: u64) -> String {
    let mut bits = (u128::from(mix(word)) << 64) | u128::from(mix(!word));
    let mut text = String::with_capacity(22);
    for _ in 0..22 {
        text.push(usize::try_from(bits % 62).ok().and_then(|digit| DIGITS.get(digit)).map_or('0', |d| char::from(*d)));
        bits /= 62;
    }
    text
}

/// The workspace a key belongs to: `wrkspc_01` and a hash, so that the key itself is kept nowhere.
pub(crate) fn workspace_of(key: &str) -> String {
    format!("wrkspc_01{}", digits(hash(key.as_bytes())))
}

/// FNV-1a, mixed. Not a secret-keeping hash, and not used for one.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)))
}

/// The finaliser of splitmix64: one-to-one, so distinct words stay distinct.
pub(crate) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_look_like_the_real_ones_and_do_not_repeat() {
        let mut ids = Ids::new(7, 0);
        let all: HashSet<String> = (0..10_000).map(|_| ids.fresh("msgbatch_")).collect();
        assert_eq!(all.len(), 10_000);
        assert!(all.iter().all(|id| id.starts_with("msgbatch_01") && id.len() == "msgbatch_01".len() + 22));
    }

    #[test]
    fn ids_go_on_where_they_stopped() {
        let mut before = Ids::new(7, 0);
        let _ = before.fresh("a");
        let mut after = Ids::new(7, before.position());
        assert_eq!(before.fresh("a"), after.fresh("a"));
    }

    #[test]
    fn a_workspace_id_is_stable_and_does_not_show_the_key() {
        let id = workspace_of("sk-ant-api03-secret");
        assert_eq!(id, workspace_of("sk-ant-api03-secret"));
        assert_ne!(id, workspace_of("sk-ant-api03-other"));
        assert!(!id.contains("secret"));
    }
}
