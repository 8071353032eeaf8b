//! How a limited list is shared among kinds of things.

/// At most `limit` of `kinds`, in order. Every kind has its turn until it has nothing left, so that a flood of one does not
/// keep the others out; within a kind the smallest go first.
pub fn shares<T: Ord>(mut kinds: Vec<Vec<T>>, limit: usize) -> Vec<T> {
    for kind in &mut kinds {
        kind.sort_unstable();
    }
    // Whoever waits longest begins: it matters where the limit is smaller than the number of kinds.
    kinds.retain(|kind| !kind.is_empty());
    kinds.sort_unstable_by(|one, other| one.first().cmp(&other.first()));
    let mut left: Vec<_> = kinds.into_iter().map(Vec::into_iter).collect();
    let mut taken = Vec::new();
    while !left.is_empty() {
        left.retain_mut(|kind| {
            let next = if taken.len() < limit { kind.next() } else { None };
            let more = next.is_some();
            taken.extend(next);
            more
        });
    }
    taken.sort_unstable();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_leaves_the_others_their_share() {
        let flood: Vec<u32> = (0..100).collect();
        assert_eq!(shares(vec![flood, vec![500], vec![900, 800, 700, 600]], 7), [0, 1, 2, 500, 600, 700, 800]);
    }

    #[test]
    fn what_a_kind_leaves_the_others_have() {
        assert_eq!(shares(vec![vec![3, 1, 2], vec![]], 3), [1, 2, 3]);
        assert_eq!(shares(vec![vec![3, 1, 2], vec![9]], 9), [1, 2, 3, 9]);
    }

    #[test]
    fn a_limit_below_the_number_of_kinds_goes_to_the_oldest() {
        assert_eq!(shares(vec![vec![5], vec![1], vec![3]], 2), [1, 3]);
        assert_eq!(shares(vec![vec![5], vec![1]], 0), Vec::<u32>::new());
    }
}
