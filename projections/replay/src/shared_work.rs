//! The same work on many things, shared among threads.
//!
//! Answers come back in the order of the things, whoever was faster. What a crash in here means: nothing is kept.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Threads at most: what is shared in here is soon bound by memory.
const THREADS_MAX: usize = 4;

/// What `work` makes of each of `things`, in their order, on up to `threads` threads, of which this is one; `None` if
/// another one panicked.
pub(crate) fn shared_work<T: Send, R: Send>(
    things: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> R + Sync,
) -> Option<Vec<R>> {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = threads.min(cores).min(THREADS_MAX).min(things.len());
    if threads < 2 {
        return Some(things.into_iter().map(work).collect());
    }
    let count = things.len();
    let queue = Mutex::new(things.into_iter().enumerate());
    let work_off = || {
        let mut done = Vec::with_capacity(count / threads + 1);
        // In a statement of its own: the lock is not held while working.
        while let Some((at, thing)) = { queue.lock().unwrap_or_else(PoisonError::into_inner).next() } {
            done.push((at, work(thing)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .filter_map(|_| {
                thread::Builder::new().name("decoder".to_owned()).spawn_scoped(scope, work_off).ok()
            })
            .collect();
        let mut done = work_off();
        for other in others {
            done.extend(other.join().ok()?);
        }
        Some(done)
    })?;
    done.sort_unstable_by_key(|(at, _)| *at);
    Some(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stand_in_the_order_of_what_was_asked() {
        for threads in [0, 1, 2, 9] {
            let squares = shared_work((0_u64..100).collect(), threads, |number| number * number);
            assert_eq!(squares, Some((0..100).map(|number| number * number).collect()));
        }
        assert_eq!(shared_work(Vec::<u8>::new(), 4, |byte| byte), Some(Vec::new()));
    }
}
