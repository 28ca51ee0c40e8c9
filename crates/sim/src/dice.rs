//! Chance from a seed: SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).

/// A stream of chance.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream of that name of a seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut dice = Self(seed ^ stream.wrapping_mul(0xd605_bbb5_8c8a_bc1f));
        dice.next();
        dice
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` up to, and without, `high`.
    pub(crate) fn range(&mut self, low: i64, high: i64) -> i64 {
        let width = high.saturating_sub(low).max(1).cast_unsigned();
        low + (self.next() % width).cast_signed()
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n.max(1))
    }

    /// One of them.
    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.next() % u64::try_from(all.len()).unwrap_or(u64::MAX);
        &all[usize::try_from(at).unwrap_or_default()]
    }

    /// Spread over the orders of magnitude from `low` to `high`: small ones come as often as large ones.
    pub(crate) fn scale(&mut self, low: i64, high: i64) -> i64 {
        let mut top = low.max(1);
        while top < high && !self.one_in(3) {
            top = top.saturating_mul(2);
        }
        self.range(low, top.min(high).saturating_add(1))
    }

    /// Puts them in another order.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            let other = self.next() % (u64::try_from(at).unwrap_or_default() + 1);
            all.swap(at, usize::try_from(other).unwrap_or_default());
        }
    }
}
