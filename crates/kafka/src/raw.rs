//! What the crate `rdkafka` does not offer safely: the one module with `unsafe`.
#![allow(unsafe_code, reason = "calls into librdkafka for which rdkafka has no safe door")]

use std::ffi::{CStr, CString, c_void};
use std::ptr::null_mut;

use bytes::Bytes;
use events::{Header, HeaderName};
use rdkafka::bindings;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::Producer as _;

use crate::deliveries::{Delivery, Sender};

/// A record's headers. `rdkafka`'s own reader panics on a name that is not UTF-8, which any producer
/// can send; here such bytes are replaced.
pub(crate) fn headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let mut list = std::ptr::null_mut();
    // SAFETY: the message is borrowed, so it lives; librdkafka writes the list that belongs to it.
    let error = unsafe { bindings::rd_kafka_message_headers(message.ptr(), &raw mut list) };
    if error != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || list.is_null() {
        return Vec::new();
    }
    // SAFETY: the list was just given to us, and lives as long as the message.
    let count = unsafe { bindings::rd_kafka_header_cnt(list) };
    (0..count).filter_map(|index| header(list, index)).collect()
}

fn header(list: *const bindings::rd_kafka_headers_t, index: usize) -> Option<Header> {
    let mut name = std::ptr::null();
    let mut value = std::ptr::null();
    let mut length = 0;
    // SAFETY: `list` is a living list of headers; an index out of bounds is answered by an error.
    let error = unsafe {
        bindings::rd_kafka_header_get_all(
            list,
            index,
            &raw mut name,
            &raw mut value,
            &raw mut length,
        )
    };
    if error != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return None;
    }
    // SAFETY: without an error the name is a C string that lives as long as the list.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    // SAFETY: a value that is not null has `length` bytes that live as long as the list.
    let value = (!value.is_null()).then(|| unsafe {
        Bytes::copy_from_slice(std::slice::from_raw_parts(value.cast::<u8>(), length))
    });
    Some(Header { name: HeaderName::read(&name), value })
}

/// Whether a record that could not be delivered was certainly never stored: librdkafka has not sent it,
/// or the broker has refused it, on every try.
pub(crate) fn is_not_stored(message: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the message is borrowed, so it lives.
    let status = unsafe { bindings::rd_kafka_message_status(message.ptr()) };
    status == bindings::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED
}

/// Hands values over for one partition, all in one call. One after the other, the client's own thread would
/// wake up at the first and send a request with what it finds by then; the rest would need another, and has to
/// wait for the first one's answer once that holds five records. Gives the number of the first value that was
/// not taken, with the reason; those behind it may have been.
pub(crate) fn produce_batch(
    sender: &Sender,
    topic: &str,
    partition: i32,
    values: impl Iterator<Item = (Bytes, Delivery)>,
) -> Result<(), (usize, KafkaError)> {
    let refused = |code: bindings::rd_kafka_resp_err_t| {
        KafkaError::MessageProduction(RDKafkaErrorCode::from(code))
    };
    let name = CString::new(topic).map_err(|error| (0, KafkaError::from(error)))?;
    // The bytes are copied, and need to live until then.
    let (values, mut messages): (Vec<Bytes>, Vec<_>) = values
        .map(|(value, delivery)| {
            let message = bindings::rd_kafka_message_t {
                err: bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                rkt: null_mut(),
                partition,
                payload: value.as_ptr().cast_mut().cast::<c_void>(),
                len: value.len(),
                key: null_mut(),
                key_len: 0,
                offset: 0,
                // The form in which rdkafka gives it back to `ProducerContext::delivery`.
                _private: Box::into_raw(Box::new(delivery)).cast::<c_void>(),
            };
            (value, message)
        })
        .unzip();
    let count = i32::try_from(messages.len()).unwrap_or(i32::MAX);
    // SAFETY: the client lives as long as `sender`. The topic's handle is counted: it is let go of at once, and
    // its records keep it. Without settings of its own it takes those of the topic that the client knows.
    let taken = unsafe {
        let handle =
            bindings::rd_kafka_topic_new(sender.client().native_ptr(), name.as_ptr(), null_mut());
        if handle.is_null() {
            for message in &mut messages {
                message.err = bindings::rd_kafka_last_error();
            }
            0
        } else {
            let flags = bindings::RD_KAFKA_MSG_F_COPY;
            let taken = bindings::rd_kafka_produce_batch(
                handle,
                partition,
                flags,
                messages.as_mut_ptr(),
                count,
            );
            bindings::rd_kafka_topic_destroy(handle);
            taken
        }
    };
    drop(values);
    if taken == count {
        return Ok(());
    }
    let mut first = None;
    for (index, message) in messages.iter().enumerate() {
        if message.err != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            // SAFETY: made above, and not taken over by the client, which says so by the error.
            drop(unsafe { Box::from_raw(message._private.cast::<Delivery>()) });
            first = first.or(Some((index, refused(message.err))));
        }
    }
    first.map_or(Ok(()), Err)
}
