//! How much memory a process has.

use crate::failure::Failure;

/// Bytes of this process that are in memory now.
pub(crate) fn resident() -> Result<u64, Failure> {
    resident_of(std::process::id())
}

/// Bytes of a process that are in memory now, as Linux counts them (`VmRSS`).
pub(crate) fn resident_of(process: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let bytes = kibibytes.and_then(|kibibytes| kibibytes.checked_mul(1024));
    bytes.ok_or_else(|| {
        Failure::failed("this system does not say how much memory a process has: there is no VmRSS in /proc/ID/status")
    })
}
