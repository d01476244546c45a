//! Ordered maps and sets that share structure between clones.
//!
//! A clone costs nothing, so a snapshot can be encoded on another thread while the engine goes on. They are encoded as
//! their sorted entries; two that are equal have equal bytes, whatever their history.

use std::ops::{Deref, DerefMut};

use bincode::de::{Decode, Decoder};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};

/// An ordered map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map<K: Ord + Clone, V: Clone>(imbl::OrdMap<K, V>);

/// An ordered set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set<K: Ord + Clone>(imbl::OrdSet<K>);

impl<K: Ord + Clone, V: Clone> Default for Map<K, V> {
    fn default() -> Self {
        Self(imbl::OrdMap::new())
    }
}

impl<K: Ord + Clone> Default for Set<K> {
    fn default() -> Self {
        Self(imbl::OrdSet::new())
    }
}

impl<K: Ord + Clone, V: Clone> Deref for Map<K, V> {
    type Target = imbl::OrdMap<K, V>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Ord + Clone, V: Clone> DerefMut for Map<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Ord + Clone> Deref for Set<K> {
    type Target = imbl::OrdSet<K>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Ord + Clone> DerefMut for Set<K> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Ord + Clone + Encode, V: Clone + Encode> Encode for Map<K, V> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.0.len() as u64).encode(encoder)?;
        for (key, value) in &self.0 {
            key.encode(encoder)?;
            value.encode(encoder)?;
        }
        Ok(())
    }
}

impl<C, K: Ord + Clone + Decode<C>, V: Clone + Decode<C>> Decode<C> for Map<K, V> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let entries = u64::decode(decoder)?;
        let mut map = imbl::OrdMap::new();
        for _ in 0..entries {
            let key = K::decode(decoder)?;
            map.insert(key, V::decode(decoder)?);
        }
        Ok(Self(map))
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
        let mut map = imbl::OrdMap::new();
        for _ in 0..entries {
            let key = K::borrow_decode(decoder)?;
            map.insert(key, V::borrow_decode(decoder)?);
        }
        Ok(Self(map))
    }
}

impl<K: Ord + Clone + Encode> Encode for Set<K> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.0.len() as u64).encode(encoder)?;
        self.0.iter().try_for_each(|key| key.encode(encoder))
    }
}

impl<C, K: Ord + Clone + Decode<C>> Decode<C> for Set<K> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let entries = u64::decode(decoder)?;
        let mut set = imbl::OrdSet::new();
        for _ in 0..entries {
            set.insert(K::decode(decoder)?);
        }
        Ok(Self(set))
    }
}
