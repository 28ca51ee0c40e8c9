//! Avro's binary encoding, as far as the lifecycle events need it (Avro specification 1.12, "Binary
//! encoding"): long, double, boolean, string, array of string, optional, record, enum.

use bytes::{BufMut, BytesMut};

use crate::{
    AgentName, By, CodecError, How, Json, Problem, Run, SagaName, TaskId, Timestamp, Version,
    WorkflowId,
};

/// Writes one value of an Avro type.
pub(crate) trait Put {
    fn put(&self, out: &mut BytesMut);
}

/// Reads one value of an Avro type.
pub(crate) trait Take: Sized {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError>;
}

/// Bytes and how far they have been read. No length that they state is believed before that many
/// bytes are seen to be there, so broken bytes cannot make a reader allocate.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn take<T: Take>(&mut self) -> Result<T, CodecError> {
        T::take(self)
    }

    /// That nothing is left.
    pub(crate) fn end(&self) -> Result<(), CodecError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.broken("the end")) }
    }

    fn broken(&self, what: &'static str) -> CodecError {
        CodecError::Broken { at: self.at, what }
    }

    fn exactly(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], CodecError> {
        let end = self.at.checked_add(count);
        let part = end.and_then(|end| self.bytes.get(self.at..end));
        let part = part.ok_or_else(|| self.broken(what))?;
        self.at += count;
        Ok(part)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, CodecError> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.broken(what))?;
        self.at += 1;
        Ok(byte)
    }

    /// A variable-length zig-zag integer: seven bits a byte, least significant first.
    fn long(&mut self) -> Result<i64, CodecError> {
        let start = self.at;
        let mut zigzag = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte("an integer")?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            zigzag |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        Err(CodecError::Broken { at: start, what: "an integer of at most 64 bits" })
    }

    fn text(&mut self) -> Result<&'a str, CodecError> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| self.broken("a length"))?;
        let start = self.at;
        let bytes = self.exactly(length, "a text of the length that stands before it")?;
        std::str::from_utf8(bytes)
            .map_err(|_| CodecError::Broken { at: start, what: "a text in UTF-8" })
    }
}

fn put_long(value: i64, out: &mut BytesMut) {
    let mut zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    if zigzag <= 0x7f {
        return out.put_u8(zigzag as u8);
    }
    // 64 bits by seven.
    let (mut bytes, mut length) = ([0; 10], 0);
    for byte in &mut bytes {
        length += 1;
        *byte = (zigzag & 0x7f) as u8;
        zigzag >>= 7;
        if zigzag == 0 {
            break;
        }
        *byte |= 0x80;
    }
    out.put_slice(bytes.get(..length).unwrap_or_default());
}

fn put_text(text: &str, out: &mut BytesMut) {
    // A text in memory is shorter than isize::MAX, which i64 holds.
    put_long(text.len() as i64, out);
    out.put_slice(text.as_bytes());
}

/// Texts with a type of their own.
macro_rules! text {
    ($($name:ty),*) => {$(
        impl Put for $name {
            fn put(&self, out: &mut BytesMut) {
                put_text(self.as_str(), out);
            }
        }

        impl Take for $name {
            fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
                from.text().map(Self::from)
            }
        }
    )*};
}

text!(String, WorkflowId, SagaName, Version, TaskId, AgentName);

impl Put for Json {
    fn put(&self, out: &mut BytesMut) {
        put_text(self.as_str(), out);
    }
}

impl Take for Json {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let text = from.text()?.trim_ascii();
        // Read, but kept as it was written: a number read and written again may differ in its text.
        match Self::is_json(text) {
            true => Ok(Self::from_trusted(text)),
            false => Err(from.broken("a text that is JSON, before this place")),
        }
    }
}

impl Put for i64 {
    fn put(&self, out: &mut BytesMut) {
        put_long(*self, out);
    }
}

impl Take for i64 {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        from.long()
    }
}

impl Put for Run {
    fn put(&self, out: &mut BytesMut) {
        put_long(self.0, out);
    }
}

impl Take for Run {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        from.long().map(Self)
    }
}

impl Put for Timestamp {
    fn put(&self, out: &mut BytesMut) {
        put_long(self.as_millis(), out);
    }
}

impl Take for Timestamp {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        from.long().map(Self::from_millis)
    }
}

/// Counters. Avro's `int` is 31 bits and a sign, so that a `u32` is a `long` as well.
impl Put for u32 {
    fn put(&self, out: &mut BytesMut) {
        put_long(i64::from(*self), out);
    }
}

impl Take for u32 {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let value = from.long()?;
        Self::try_from(value).map_err(|_| from.broken("a count below 2^32, before this place"))
    }
}

impl Put for u64 {
    fn put(&self, out: &mut BytesMut) {
        // At a million a second a sequence reaches the bound after 292,000 years.
        put_long(i64::try_from(*self).unwrap_or(i64::MAX), out);
    }
}

impl Take for u64 {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let value = from.long()?;
        Self::try_from(value).map_err(|_| from.broken("a count from 0, before this place"))
    }
}

impl Put for f64 {
    fn put(&self, out: &mut BytesMut) {
        out.put_f64_le(*self);
    }
}

impl Take for f64 {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut eight = [0; 8];
        eight.copy_from_slice(from.exactly(8, "a double of eight bytes")?);
        Ok(Self::from_le_bytes(eight))
    }
}

impl Put for bool {
    fn put(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }
}

impl Take for bool {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        match from.byte("a boolean")? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(from.broken("a boolean of 0 or 1, before this place")),
        }
    }
}

/// The union of null and a type, null first.
impl<T: Put> Put for Option<T> {
    fn put(&self, out: &mut BytesMut) {
        match self {
            None => put_long(0, out),
            Some(value) => {
                put_long(1, out);
                value.put(out);
            }
        }
    }
}

impl<T: Take> Take for Option<T> {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        match from.long()? {
            0 => Ok(None),
            1 => from.take().map(Some),
            _ => Err(from.broken("a union's branch of 0 or 1, before this place")),
        }
    }
}

/// An array, in one block.
impl Put for Vec<TaskId> {
    fn put(&self, out: &mut BytesMut) {
        if !self.is_empty() {
            put_long(self.len() as i64, out);
            self.iter().for_each(|task| task.put(out));
        }
        put_long(0, out);
    }
}

/// Any number of blocks. A negative count is followed by the block's length in bytes, which we do
/// not need. An item takes a byte at least, so a count that lies is found out by the bytes' end.
impl Take for Vec<TaskId> {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut items = Self::new();
        loop {
            let count = from.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                from.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                items.push(from.take()?);
            }
        }
    }
}

impl Put for By {
    fn put(&self, out: &mut BytesMut) {
        let Self { actor, reason } = self;
        actor.put(out);
        reason.put(out);
    }
}

impl Take for By {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { actor: from.take()?, reason: from.take()? })
    }
}

impl Put for Problem {
    fn put(&self, out: &mut BytesMut) {
        let Self { task, code, message } = self;
        task.put(out);
        code.put(out);
        message.put(out);
    }
}

impl Take for Problem {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { task: from.take()?, code: from.take()?, message: from.take()? })
    }
}

/// By the symbol's place in the schema.
impl Put for How {
    fn put(&self, out: &mut BytesMut) {
        let place = match self {
            Self::Failed => 0,
            Self::Compensated => 1,
            Self::Partial => 2,
        };
        put_long(place, out);
    }
}

impl Take for How {
    fn take(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        match from.long()? {
            0 => Ok(Self::Failed),
            1 => Ok(Self::Compensated),
            2 => Ok(Self::Partial),
            _ => Err(from.broken("a symbol of `How`, before this place")),
        }
    }
}
