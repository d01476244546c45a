//! Ordered maps and sets that share structure between clones.
//!
//! A clone costs next to nothing, so a snapshot can be encoded on another thread while the engine goes on. Entries stand
//! sorted in leaves of a few dozen; what two clones still share is copied when one of them changes it, a leaf at a time.
//! One level of leaves is enough for a million entries, and a change costs one atomic operation instead of one for each
//! level of a tree. They are encoded as their sorted entries; two that are equal have equal bytes, whatever their history.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bincode::de::{Decode, Decoder};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};

/// Bytes that a leaf's entries may take, which bounds what one change copies.
const LEAF_BYTES: usize = 2_048;

/// An ordered map.
#[derive(Clone)]
pub struct Map<K, V> {
    /// Leaves in order, each with a bound: its keys are at or above it, and below the next bound. Only one that is alone
    /// may be empty.
    leaves: Vec<(K, Leaf<K, V>)>,
    len: usize,
}

type Leaf<K, V> = Arc<Vec<(K, V)>>;

/// A place in a map: a leaf, and an entry in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    leaf: usize,
    entry: usize,
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// Entries of a full leaf.
    const FULL: usize = {
        let entries = LEAF_BYTES / if size_of::<(K, V)>() > 0 { size_of::<(K, V)>() } else { 1 };
        if entries < 4 {
            4
        } else if entries > 64 {
            64
        } else {
            entries
        }
    };

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let leaf = self.leaf(self.leaf_of(key))?;
        let entry = find(leaf, key).ok()?;
        leaf.get(entry).map(|(_, value)| value)
    }

    /// The value of `key`, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.leaf_of(key);
        let entry = find(self.leaf(at)?, key).ok()?;
        self.leaf_mut(at)?.get_mut(entry).map(|(_, value)| value)
    }

    /// Whether `key` has a value.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The lowest entry.
    #[must_use]
    pub fn get_min(&self) -> Option<&(K, V)> {
        self.leaves.first()?.1.first()
    }

    /// The highest entry.
    #[must_use]
    pub fn get_max(&self) -> Option<&(K, V)> {
        self.leaves.last()?.1.last()
    }

    /// Gives `key` a value; answers with the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.leaf_of(&key);
        let Some((bound, leaf)) = self.leaves.get_mut(at) else {
            self.leaves.push((key.clone(), Arc::new(vec![(key, value)])));
            self.len = 1;
            return None;
        };
        if key < *bound {
            bound.clone_from(&key);
        }
        let leaf = Arc::make_mut(leaf);
        match find(leaf, &key) {
            Ok(entry) => leaf.get_mut(entry).map(|(_, old)| std::mem::replace(old, value)),
            Err(entry) => {
                leaf.insert(entry, (key, value));
                self.len += 1;
                if leaf.len() > Self::FULL {
                    // What grows at its end keeps full leaves behind it.
                    let half = if entry == Self::FULL { entry } else { Self::FULL / 2 };
                    self.split(at, half);
                }
                None
            }
        }
    }

    /// Takes the value of `key` out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.leaf_of(key);
        let entry = find(self.leaf(at)?, key).ok()?;
        let leaf = self.leaf_mut(at)?;
        let (_, value) = leaf.remove(entry);
        let left = leaf.len();
        self.len -= 1;
        if left == 0 && self.leaves.len() > 1 {
            self.leaves.remove(at);
        } else if left <= Self::FULL / 4 {
            self.merge(at);
        }
        Some(value)
    }

    /// Takes all entries out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Changes the value of `key`, which is made first if there is none.
    pub fn upsert<R>(&mut self, key: K, make: impl FnOnce() -> V, change: impl FnOnce(&mut V) -> R) -> R {
        if let Some(value) = self.get_mut(&key) {
            return change(value);
        }
        let mut value = make();
        let changed = change(&mut value);
        self.insert(key, value);
        changed
    }

    /// The entries in order.
    #[must_use]
    pub fn iter(&self) -> Entries<'_, K, V> {
        Entries {
            leaves: &self.leaves,
            from: Place { leaf: 0, entry: 0 },
            to: Place { leaf: self.leaves.len(), entry: 0 },
        }
    }

    /// The entries whose keys lie in `range`, in order.
    #[must_use]
    pub fn range(&self, range: impl RangeBounds<K>) -> Entries<'_, K, V> {
        let from = match range.start_bound() {
            Bound::Unbounded => Place { leaf: 0, entry: 0 },
            Bound::Included(key) => self.place(key, |at| at < key),
            Bound::Excluded(key) => self.place(key, |at| at <= key),
        };
        let to = match range.end_bound() {
            Bound::Unbounded => Place { leaf: self.leaves.len(), entry: 0 },
            Bound::Included(key) => self.place(key, |at| at <= key),
            Bound::Excluded(key) => self.place(key, |at| at < key),
        };
        Entries { leaves: &self.leaves, from, to: to.max(from) }
    }

    /// The keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// Number of the leaf where `key` is, or would be.
    fn leaf_of(&self, key: &K) -> usize {
        match self.leaves.as_slice() {
            [] | [_] => 0,
            // Most of our maps grow at their end and shrink at their beginning.
            [.., (last, _)] if last <= key => self.leaves.len() - 1,
            [_, (second, _), ..] if key < second => 0,
            leaves => leaves.partition_point(|(bound, _)| bound <= key).saturating_sub(1),
        }
    }

    fn leaf(&self, at: usize) -> Option<&Vec<(K, V)>> {
        self.leaves.get(at).map(|(_, leaf)| &**leaf)
    }

    fn leaf_mut(&mut self, at: usize) -> Option<&mut Vec<(K, V)>> {
        self.leaves.get_mut(at).map(|(_, leaf)| Arc::make_mut(leaf))
    }

    /// Where the entries end for whose keys `before` holds, given the key that decides.
    fn place(&self, key: &K, before: impl Fn(&K) -> bool) -> Place {
        let leaf = self.leaf_of(key);
        let entry = self.leaf(leaf).map_or(0, |entries| entries.partition_point(|(at, _)| before(at)));
        // The end of a leaf is the beginning of the next.
        match self.leaf(leaf) {
            Some(entries) if entry == entries.len() => Place { leaf: leaf + 1, entry: 0 },
            _ => Place { leaf, entry },
        }
    }

    /// Moves the entries of a leaf from `half` on into a leaf of their own.
    fn split(&mut self, at: usize, half: usize) {
        let Some(leaf) = self.leaf_mut(at) else { return };
        let mut high = Vec::with_capacity(Self::FULL + 1);
        high.extend(leaf.drain(half..));
        if let Some((bound, _)) = high.first() {
            let bound = bound.clone();
            self.leaves.insert(at + 1, (bound, Arc::new(high)));
        }
    }

    /// Joins a leaf that became small with the one behind or before it, where both fit well into one.
    fn merge(&mut self, at: usize) {
        for low in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            if let (Some(left), Some(right)) = (self.leaf(low), self.leaf(low + 1))
                && left.len() + right.len() <= Self::FULL * 3 / 4
            {
                let (_, high) = self.leaves.remove(low + 1);
                if let Some(leaf) = self.leaf_mut(low) {
                    leaf.extend(Arc::unwrap_or_clone(high));
                }
                return;
            }
        }
    }
}

/// Where `key` is, or where it would be.
fn find<K: Ord, V>(leaf: &[(K, V)], key: &K) -> Result<usize, usize> {
    match leaf {
        [.., (last, _)] if last < key => Err(leaf.len()),
        [(first, _), ..] if first == key => Ok(0),
        _ => leaf.binary_search_by(|(at, _)| at.cmp(key)),
    }
}

/// Entries of a map in order, from either end.
#[derive(Debug)]
pub struct Entries<'m, K, V> {
    leaves: &'m [(K, Leaf<K, V>)],
    from: Place,
    to: Place,
}

impl<K, V> Clone for Entries<'_, K, V> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'m, K, V> Iterator for Entries<'m, K, V> {
    type Item = (&'m K, &'m V);

    fn next(&mut self) -> Option<Self::Item> {
        if self.from >= self.to {
            return None;
        }
        let (_, leaf) = self.leaves.get(self.from.leaf)?;
        let (key, value) = leaf.get(self.from.entry)?;
        self.from.entry += 1;
        if self.from.entry == leaf.len() {
            self.from = Place { leaf: self.from.leaf + 1, entry: 0 };
        }
        Some((key, value))
    }
}

impl<K, V> DoubleEndedIterator for Entries<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.from >= self.to {
            return None;
        }
        if self.to.entry == 0 {
            let leaf = self.to.leaf.checked_sub(1)?;
            self.to = Place { leaf, entry: self.leaves.get(leaf)?.1.len() };
        }
        self.to.entry = self.to.entry.checked_sub(1)?;
        let (key, value) = self.leaves.get(self.to.leaf)?.1.get(self.to.entry)?;
        Some((key, value))
    }
}

impl<'m, K: Ord + Clone, V: Clone> IntoIterator for &'m Map<K, V> {
    type Item = (&'m K, &'m V);
    type IntoIter = Entries<'m, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord + Clone, V: Clone> std::ops::Index<&K> for Map<K, V> {
    type Output = V;

    #[expect(clippy::expect_used, reason = "as in every map of std; for tests, the rooms use `get`")]
    fn index(&self, key: &K) -> &V {
        self.get(key).expect("no entry found for key")
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { leaves: Vec::new(), len: 0 }
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other)
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for Map<K, V> {}

impl<K: Ord + Clone + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut building = Building::default();
        for (key, value) in entries {
            building.push(key, value);
        }
        building.finish()
    }
}

/// A map that is made of entries in their order, leaf by leaf; from the first that is not in order they are inserted.
struct Building<K, V> {
    map: Map<K, V>,
    /// The last leaf, which is still filled: its keys are above all in `map`.
    last: Vec<(K, V)>,
}

impl<K, V> Default for Building<K, V> {
    fn default() -> Self {
        Self { map: Map::default(), last: Vec::new() }
    }
}

impl<K: Ord + Clone, V: Clone> Building<K, V> {
    fn push(&mut self, key: K, value: V) {
        let is_above = match self.last.last() {
            Some((highest, _)) => *highest < key,
            None => self.map.is_empty(),
        };
        if !is_above {
            self.close_leaf();
            self.map.insert(key, value);
            return;
        }
        if self.last.len() == Map::<K, V>::FULL {
            self.close_leaf();
            self.last.reserve_exact(Map::<K, V>::FULL);
        }
        self.last.push((key, value));
    }

    fn close_leaf(&mut self) {
        let leaf = std::mem::take(&mut self.last);
        if let Some((bound, _)) = leaf.first() {
            self.map.len += leaf.len();
            self.map.leaves.push((bound.clone(), Arc::new(leaf)));
        }
    }

    fn finish(mut self) -> Map<K, V> {
        self.close_leaf();
        self.map
    }
}

impl<K: Ord + Clone + Encode, V: Clone + Encode> Encode for Map<K, V> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.len as u64).encode(encoder)?;
        for (key, value) in self {
            key.encode(encoder)?;
            value.encode(encoder)?;
        }
        Ok(())
    }
}

impl<C, K: Ord + Clone + Decode<C>, V: Clone + Decode<C>> Decode<C> for Map<K, V> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let entries = u64::decode(decoder)?;
        let mut building = Building::default();
        for _ in 0..entries {
            let key = K::decode(decoder)?;
            building.push(key, V::decode(decoder)?);
        }
        Ok(building.finish())
    }
}

impl<'de, C, K, V> bincode::BorrowDecode<'de, C> for Map<K, V>
where
    K: Ord + Clone + bincode::BorrowDecode<'de, C>,
    V: Clone + bincode::BorrowDecode<'de, C>,
{
    fn borrow_decode<D: bincode::de::BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        let entries = u64::decode(decoder)?;
        let mut building = Building::default();
        for _ in 0..entries {
            let key = K::borrow_decode(decoder)?;
            building.push(key, V::borrow_decode(decoder)?);
        }
        Ok(building.finish())
    }
}

/// An ordered set.
#[derive(Clone)]
pub struct Set<K>(Map<K, ()>);

impl<K: Ord + Clone> Set<K> {
    /// How many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `key` is in it.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// The lowest key.
    #[must_use]
    pub fn get_min(&self) -> Option<&K> {
        self.0.get_min().map(|(key, ())| key)
    }

    /// Adds `key`; answers whether it is new.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Takes `key` out; answers whether it was in it.
    pub fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }

    /// The keys in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.0.keys()
    }

    /// The keys that lie in `range`, in order.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.0.range(range).map(|(key, ())| key)
    }
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self(Map::default())
    }
}

impl<K: Ord + Clone> PartialEq for Set<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Ord + Clone> Eq for Set<K> {}

impl<K: Ord + Clone + fmt::Debug> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone> Extend<K> for Set<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(key);
        }
    }
}

impl<K: Ord + Clone> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key, ())).collect())
    }
}

impl<K: Ord + Clone + Encode> Encode for Set<K> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.len() as u64).encode(encoder)?;
        self.iter().try_for_each(|key| key.encode(encoder))
    }
}

impl<C, K: Ord + Clone + Decode<C>> Decode<C> for Set<K> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let keys = u64::decode(decoder)?;
        let mut building = Building::default();
        for _ in 0..keys {
            building.push(K::decode(decoder)?, ());
        }
        Ok(Self(building.finish()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Ten entries to a leaf, so that small maps have many.
    type Wide = [u64; 24];

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64, u64),
        /// Beyond the highest key, as most of our maps grow.
        Append(u64),
        Remove(u64),
        RemoveLowest,
        Change(u64),
        Fork,
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0_u64..200;
        prop_oneof![
            3 => (key.clone(), any::<u64>()).prop_map(|(key, value)| Step::Insert(key, value)),
            4 => (1_u64..3).prop_map(Step::Append),
            3 => key.clone().prop_map(Step::Remove),
            2 => Just(Step::RemoveLowest),
            2 => key.prop_map(Step::Change),
            1 => Just(Step::Fork),
        ]
    }

    fn wide(value: u64) -> Wide {
        [value; 24]
    }

    fn compare(map: &Map<u64, Wide>, model: &BTreeMap<u64, Wide>) -> Result<(), TestCaseError> {
        prop_assert_eq!(map.len(), model.len());
        prop_assert!(map.iter().eq(model.iter()));
        prop_assert!(map.iter().rev().eq(model.iter().rev()));
        prop_assert_eq!(map.get_min().map(|(key, _)| key), model.keys().next());
        prop_assert_eq!(map.get_max().map(|(key, _)| key), model.keys().next_back());
        Ok(())
    }

    fn apply(
        map: &mut Map<u64, Wide>,
        model: &mut BTreeMap<u64, Wide>,
        step: &Step,
    ) -> Result<(), TestCaseError> {
        match *step {
            Step::Insert(key, value) => {
                prop_assert_eq!(map.insert(key, wide(value)), model.insert(key, wide(value)));
            }
            Step::Append(by) => {
                let key = model.keys().next_back().map_or(0, |key| key + by);
                prop_assert_eq!(map.insert(key, wide(by)), model.insert(key, wide(by)));
            }
            Step::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
            Step::RemoveLowest => {
                let lowest = map.get_min().map(|(key, _)| *key);
                let removed = lowest.and_then(|key| map.remove(&key).map(|value| (key, value)));
                prop_assert_eq!(removed, model.pop_first());
            }
            Step::Change(key) => {
                prop_assert_eq!(map.get_mut(&key).is_some(), model.contains_key(&key));
                map.upsert(key, || wide(7), |value| *value = wide(value.len() as u64));
                model.insert(key, wide(24));
            }
            Step::Fork => {}
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn behaves_like_the_ordered_map_of_std_and_leaves_its_clones_alone(
            steps in prop::collection::vec(step(), 0..400),
        ) {
            let (mut map, mut model) = (Map::default(), BTreeMap::new());
            let mut forks = Vec::new();
            for step in &steps {
                if matches!(step, Step::Fork) {
                    forks.push((map.clone(), model.clone()));
                }
                apply(&mut map, &mut model, step)?;
                prop_assert!(map.leaves.len() < 2 || map.leaves.iter().all(|(_, leaf)| !leaf.is_empty()));
            }
            forks.push((map, model));
            for (map, model) in &forks {
                compare(map, model)?;
                prop_assert_eq!(map, &model.iter().map(|(key, value)| (*key, *value)).collect());
            }
        }

        #[test]
        fn ranges_are_those_of_the_ordered_map_of_std(
            keys in prop::collection::btree_set(0_u64..100, 0..80),
            low in 0_u64..110,
            more in 0_u64..110,
        ) {
            let map: Map<u64, Wide> = keys.iter().map(|key| (*key, wide(*key))).collect();
            let high = low + more;
            prop_assert!(map.range(low..high).map(|(key, _)| key).eq(keys.range(low..high)));
            prop_assert!(map.range(low..=high).map(|(key, _)| key).eq(keys.range(low..=high)));
            prop_assert!(map.range(..low).rev().map(|(key, _)| key).eq(keys.range(..low).rev()));
            prop_assert!(map.range(low..).rev().map(|(key, _)| key).eq(keys.range(low..).rev()));
            let above = (Bound::Excluded(low), Bound::Unbounded);
            prop_assert!(map.range(above).map(|(key, _)| key).eq(keys.range(above)));
        }
    }

    proptest! {
        #[test]
        fn a_map_made_of_entries_in_any_order_holds_the_last_of_each_key_and_can_be_changed(
            sorted in 0_usize..60,
            entries in prop::collection::vec((0_u64..100, any::<u64>()), 0..120),
            steps in prop::collection::vec(step(), 0..40),
        ) {
            let (mut entries, sorted) = (entries.clone(), sorted.min(entries.len()));
            entries[..sorted].sort_unstable();
            let entries = || entries.iter().map(|(key, value)| (*key, wide(*value)));
            let (mut map, mut model): (Map<u64, Wide>, BTreeMap<u64, Wide>) = (entries().collect(), entries().collect());
            compare(&map, &model)?;
            prop_assert!(map.leaves.iter().all(|(bound, leaf)| leaf.first().is_some_and(|(key, _)| bound <= key)));
            for step in &steps {
                apply(&mut map, &mut model, step)?;
            }
            compare(&map, &model)?;
        }
    }

    #[test]
    fn a_map_that_lost_most_entries_has_few_leaves() {
        let mut map: Map<u64, u64> = (0..10_000).map(|key| (key, key)).collect();
        let full = map.leaves.len();
        (0..10_000).filter(|key| key % 50 != 0).for_each(|key| _ = map.remove(&key));
        assert_eq!(map.len(), 200);
        assert!(map.leaves.len() < full / 10, "{} of {full} leaves", map.leaves.len());
    }

    #[test]
    fn what_is_stored_are_the_sorted_entries() {
        let forward: Map<u64, u64> = (0..500).map(|key| (key, key)).collect();
        let backward: Map<u64, u64> = (0..500).rev().map(|key| (key, key)).collect();
        let sorted: BTreeMap<u64, u64> = (0..500).map(|key| (key, key)).collect();
        let config = bincode::config::standard();
        let bytes = bincode::encode_to_vec(&forward, config).unwrap();
        assert_eq!(bytes, bincode::encode_to_vec(&backward, config).unwrap());
        assert_eq!(bytes, bincode::encode_to_vec(&sorted, config).unwrap());
        let (read, _): (Map<u64, u64>, _) = bincode::decode_from_slice(&bytes, config).unwrap();
        assert_eq!(read, forward);
    }
}
