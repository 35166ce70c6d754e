//! Threads for runs that train side by side.
//!
//! Runs share nothing, so each goes through all steps of a chunk on its own, and nobody waits at the end of a kernel for
//! the slowest. With at least as many runs as threads a run has one thread, on which its kernels find their data in the
//! cache; with fewer, the threads are shared out evenly. No number depends on it: kernels cut their work by shape.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// Pools of threads, each for one run at a time.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pools: Vec<ThreadPool>,
    threads: usize,
}

impl Lanes {
    /// Does `work` for every slot, each on one pool, and returns when all is done. The threads are as many as those of
    /// the caller's pool.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Device`] if the system gives no threads.
    pub fn each(&mut self, slots: &[usize], work: impl Fn(usize) + Sync) -> Result<()> {
        let threads = rayon::current_num_threads();
        let lanes = threads.min(slots.len());
        if lanes <= 1 {
            slots.iter().for_each(|slot| work(*slot));
            return Ok(());
        }
        if (self.pools.len(), self.threads) != (lanes, threads) {
            self.pools = pools(lanes, threads)?;
            self.threads = threads;
        }
        let next = AtomicUsize::new(0);
        let take = || slots.get(next.fetch_add(1, Ordering::Relaxed));
        thread::scope(|scope| {
            for pool in &self.pools {
                scope.spawn(|| {
                    pool.install(|| {
                        while let Some(slot) = take() {
                            work(*slot);
                        }
                    });
                });
            }
        });
        Ok(())
    }
}

fn pools(lanes: usize, threads: usize) -> Result<Vec<ThreadPool>> {
    (0..lanes)
        .map(|lane| {
            // The first lanes have one thread more where they do not divide evenly.
            let own = threads / lanes + usize::from(lane < threads % lanes);
            ThreadPoolBuilder::new()
                .num_threads(own)
                .build()
                .map_err(|e| Error::device(format!("no threads for runs side by side: {e}")))
        })
        .collect()
}
