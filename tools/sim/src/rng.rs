//! Randomness of one seed: the same seed gives the same run, on every machine and for ever.
//!
//! xoshiro256** seeded through splitmix64, written here because a crate may change its streams with a release. Each
//! part of the world draws from a stream of its own, so that a change in one does not reshuffle the others.

use prooflog_events::ids::Hash32;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
}

const fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream of `seed` for the part of the world called `part`.
    #[must_use]
    pub fn new(seed: u64, part: &str) -> Self {
        let mut at = seed;
        for byte in part.bytes() {
            at = splitmix(at ^ u64::from(byte));
        }
        let mut state = [0; 4];
        for word in &mut state {
            at = splitmix(at);
            *word = at;
        }
        Self { state }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        let (b_next, a_next) = (b ^ c, a ^ d);
        self.state = [a_next, b_next, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number below `bound`; 0 where there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.bits() % bound }
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// `true` in `permille` of 1,000 cases. Nothing is drawn for a chance of 0.
    pub fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.below(1_000) < u64::from(permille)
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let at = usize::try_from(self.below(choices.len() as u64)).ok()?;
        choices.get(at).copied()
    }
}

/// Thirty-two bytes that follow from `parts` and look like a hash.
#[must_use]
pub fn mix(parts: &[u64]) -> Hash32 {
    let mut at = 0x243f_6a88_85a3_08d3;
    for part in parts {
        at = splitmix(at ^ *part);
    }
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        at = splitmix(at);
        chunk.copy_from_slice(&at.to_be_bytes());
    }
    Hash32(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_part_name_one_stream() {
        let draw = |seed, part| {
            let mut rng = Rng::new(seed, part);
            (0..4).map(|_| rng.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, "prover"), draw(7, "prover"));
        assert_ne!(draw(7, "prover"), draw(7, "l1"));
        assert_ne!(draw(7, "prover"), draw(8, "prover"));
    }

    #[test]
    fn numbers_stay_in_their_bounds() {
        let mut rng = Rng::new(1, "");
        for _ in 0..1_000 {
            assert!((3..=5).contains(&rng.between(3, 5)));
        }
        assert_eq!(rng.below(0), 0);
        assert!(!rng.chance(0));
        assert!(rng.chance(1_000));
    }
}
