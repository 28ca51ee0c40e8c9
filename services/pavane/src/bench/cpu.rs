//! Processor time: less noisy than latency where others use the machine too.

use std::time::Duration;

/// Linux counts it in hundredths of a second for everybody.
const TICK: Duration = Duration::from_millis(10);

/// What all threads of these processes have spent so far; `None` where the system does not say.
pub(crate) fn spent(processes: &[u32]) -> Option<Duration> {
    processes.iter().map(|id| spent_by(*id)).sum()
}

fn spent_by(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field, a name in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11);
    let user: u32 = ticks.next()?.parse().ok()?;
    let system: u32 = ticks.next()?.parse().ok()?;
    TICK.checked_mul(user.checked_add(system)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_spends_is_counted() {
        let own = [std::process::id()];
        let Some(before) = spent(&own) else { return };
        let mut sum = 0_u64;
        while spent(&own).unwrap() < before + 2 * TICK {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0);
        assert_eq!(spent(&[u32::MAX]), None);
    }
}
