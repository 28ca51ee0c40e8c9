//! What has happened, as a number by which two runs can be compared, and on request as text.

/// The trace of one run.
#[derive(Default)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Keeps the text from here on.
    pub(crate) fn listen(&mut self) {
        self.lines = Some(Vec::new());
    }

    /// Whether somebody reads the text.
    pub(crate) fn is_heard(&self) -> bool {
        self.lines.is_some()
    }

    /// Takes bytes into the number (FNV-1a).
    pub(crate) fn mix(&mut self, bytes: &[u8]) {
        let mut hash = self.hash ^ 0xcbf2_9ce4_8422_2325;
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.hash = hash;
    }

    /// Notes a line, where somebody reads them.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
