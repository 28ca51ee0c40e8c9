//! Inputs that are kept, and the run over them and what chance makes of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::MEMORY;
use crate::luck::Luck;

/// Something that takes bytes from outside.
pub(crate) struct Target<'a> {
    /// Also the folder of its inputs, `tests/corpus/<name>`.
    pub(crate) name: &'a str,
    /// Inputs made by today's code.
    pub(crate) made: Vec<Vec<u8>>,
    /// What such inputs are made of.
    pub(crate) words: &'a [&'a [u8]],
    /// Inputs that chance makes in the ordinary run.
    pub(crate) inputs: usize,
    /// The most memory that one input may take at once, bytes, beside `bytes_for_each` for each of its own.
    pub(crate) bytes_max: usize,
    pub(crate) bytes_for_each: usize,
}

/// Memory is counted for the whole process: one target at a time, its preparations too.
static TURN: Mutex<()> = Mutex::new(());

/// Held by a test from its first line on.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn kept(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

impl Target<'_> {
    /// Gives every kept input, and then what chance makes of them, to `take`, which asserts what must hold.
    /// `PAVANE_FUZZ=<n>` makes n inputs of chance instead of the ordinary number, `PAVANE_FUZZ_SEED=<n>` others.
    pub(crate) fn run(&self, mut take: impl FnMut(&[u8])) {
        let mut inputs = kept(self.name);
        inputs.extend(self.made.iter().cloned());
        assert!(!inputs.is_empty(), "there is nothing to begin with");
        for input in &inputs {
            self.give(input, &mut take);
        }
        let count = setting("PAVANE_FUZZ").map_or(self.inputs, |n| usize::try_from(n).unwrap());
        let mut luck = Luck::new(setting("PAVANE_FUZZ_SEED").unwrap_or(1));
        for _ in 0..count {
            let mut input = inputs[luck.below(inputs.len())].clone();
            let other = &inputs[luck.below(inputs.len())];
            luck.change(&mut input, other, self.words);
            self.give(&input, &mut take);
        }
    }

    fn give(&self, input: &[u8], take: &mut impl FnMut(&[u8])) {
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let caught = catch_unwind(AssertUnwindSafe(|| take(input)));
        let took = MEMORY.peak_usage().saturating_sub(before);
        let most = self.bytes_max + self.bytes_for_each * input.len();
        if caught.is_ok() && took <= most {
            return;
        }
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.input", self.name));
        std::fs::write(&file, input).unwrap();
        panic!(
            "the input in {} {}; once that is mended, keep it as a file of tests/corpus/{}",
            file.display(),
            match caught {
                Err(_) => "breaks a promise, see above".to_owned(),
                Ok(()) => format!("took {took} bytes of memory, {most} at most"),
            },
            self.name
        );
    }
}
