//! When a next attempt may be made, and when.

use std::time::Duration;

use events::{Run, TaskId, WorkflowId};
use sha2::{Digest, Sha256};

use crate::plan::RetryPlan;

impl RetryPlan {
    /// Whether a failure with this code may be repeated. `http.*` names all codes that begin so.
    pub(crate) fn allows(&self, code: &str) -> bool {
        let listed = |codes: &[String]| {
            codes.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(beginning) => code.starts_with(beginning),
                None => pattern == code,
            })
        };
        self.only.as_ref().is_none_or(|only| listed(only)) && !listed(&self.never)
    }

    /// The wait after the failure number `failures` (from 1), spread by `chance` from 0 to 1.
    pub(crate) fn wait(&self, failures: u32, chance: f64) -> Duration {
        let longest = self.max_backoff.as_secs_f64();
        let mut wait = self.backoff.as_secs_f64();
        for _ in 1..failures {
            if wait >= longest || self.factor <= 1.0 {
                break;
            }
            wait *= self.factor;
        }
        let spread = 1.0 - self.jitter.clamp(0.0, 1.0) * chance;
        Duration::try_from_secs_f64(wait.min(longest) * spread).unwrap_or(self.max_backoff)
    }
}

/// A number from 0 to 1 that is the same wherever it is asked for: chance is no input of a decision.
pub(crate) fn chance(workflow: &WorkflowId, run: Run, task: &TaskId, what: &str, n: u32) -> f64 {
    let hash = Sha256::digest(format!("{workflow}/{run}/{task}/{what}{n}"));
    let number = hash.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    f64::from(number) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> RetryPlan {
        RetryPlan {
            max_attempts: 3,
            backoff: Duration::from_secs(1),
            factor: 2.0,
            max_backoff: Duration::from_secs(60),
            jitter: 0.5,
            only: None,
            never: vec!["card_declined".into(), "http.4*".into()],
        }
    }

    #[test]
    fn waits_grow_up_to_their_bound_and_are_spread_below() {
        let waits: Vec<u64> = (1..9).map(|failures| plan().wait(failures, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(plan().wait(3, 1.0), Duration::from_secs(2));
        assert_eq!(plan().wait(u32::MAX, 0.0), Duration::from_secs(60));
    }

    #[test]
    fn codes_are_matched_whole_or_by_their_beginning() {
        assert!(plan().allows("timeout") && plan().allows("http.503"));
        assert!(!plan().allows("card_declined") && !plan().allows("http.404"));
        let only = RetryPlan { only: Some(vec!["http.*".into()]), ..plan() };
        assert!(only.allows("http.503") && !only.allows("timeout") && !only.allows("http.404"));
    }

    #[test]
    fn chance_is_the_same_for_the_same_attempt_and_else_spread() {
        let of = |n| chance(&"a:1".into(), Run(7), &"t".into(), "do", n);
        assert!((of(1) - of(1)).abs() < f64::EPSILON);
        let all: Vec<f64> = (0..100).map(of).collect();
        assert!(all.iter().all(|chance| (0.0..=1.0).contains(chance)));
        assert!(all.iter().any(|chance| *chance < 0.2) && all.iter().any(|chance| *chance > 0.8));
    }
}
