//! What the crate `rdkafka` does not offer safely: the one module with `unsafe`.
#![allow(unsafe_code, reason = "calls into librdkafka for which rdkafka has no safe door")]

use std::ffi::CStr;

use bytes::Bytes;
use events::Header;
use rdkafka::bindings;
use rdkafka::message::BorrowedMessage;

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
    Some(Header { name: name.into_owned().into(), value })
}

/// Whether a record that could not be delivered was certainly never stored: librdkafka has not sent it,
/// or the broker has refused it, on every try.
pub(crate) fn is_not_stored(message: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the message is borrowed, so it lives.
    let status = unsafe { bindings::rd_kafka_message_status(message.ptr()) };
    status == bindings::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED
}
