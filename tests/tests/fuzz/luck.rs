//! Chance from a seed, and what it does to bytes.

/// Chance (xorshift64*, Marsaglia and Vigna), the same for the same seed.
pub(crate) struct Luck(u64);

/// Bytes that decoders tend to trip over.
const BYTES: &[u8] =
    &[0, 1, 0x7f, 0x80, 0xc0, 0xfe, 0xff, b'"', b'{', b'[', b'\\', b'\n', b':', b'-'];

/// The most that an input grows to.
const INPUT_BYTES_MAX: usize = 64 * 1024;

impl Luck {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from((self.next() >> 11) % end).unwrap()
    }

    /// One of these.
    pub(crate) fn one_of<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// A few changes to an input. `other`: something to take pieces of. `words`: what such inputs are made of.
    pub(crate) fn change(&mut self, input: &mut Vec<u8>, other: &[u8], words: &[&[u8]]) {
        for _ in 0..[1, 1, 1, 2, 4][self.below(5)] {
            self.change_once(input, other, words);
        }
        input.truncate(INPUT_BYTES_MAX);
    }

    fn change_once(&mut self, input: &mut Vec<u8>, other: &[u8], words: &[&[u8]]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(32) + 1);
        match self.below(9) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = BYTES[self.below(BYTES.len())];
                }
            }
            2 => drop(input.drain(at..end)),
            3 => input.truncate(at),
            4 => {
                // A length or a number, of any width, that promises more than there is.
                let number = [u64::MAX, 1 << 31, 1 << 62, 0xffff, 1 << 20][self.below(5)];
                let bytes = number.to_be_bytes();
                for (place, byte) in bytes.iter().skip(8 - (1 << self.below(4))).enumerate() {
                    if let Some(slot) = input.get_mut(at + place) {
                        *slot = *byte;
                    }
                }
            }
            5 => {
                let piece = input[at..end].to_vec();
                let times = 1 << self.below(12);
                let piece = piece.repeat(times.min(INPUT_BYTES_MAX / piece.len().max(1)));
                input.splice(at..at, piece);
            }
            6 => {
                let from = self.below(other.len() + 1);
                let upto = from + self.below((other.len() - from).min(256) + 1);
                input.splice(at..end, other[from..upto].iter().copied());
            }
            _ => {
                if !words.is_empty() {
                    let word = self.one_of(words);
                    input.splice(at..end, word.iter().copied());
                }
            }
        }
    }
}
