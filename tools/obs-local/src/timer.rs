//! Waiting with the precision of the kernel's timers.
//!
//! An async runtime's timer wheel turns in whole milliseconds and rounds up twice: at 20 ms of latency that alone would
//! cost a client five per cent of its ideal rate, which is what the latency option is there to measure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

pub(crate) struct Timer {
    shared: Arc<(Mutex<Queue>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    waiting: BinaryHeap<Reverse<Waiter>>,
    stopped: bool,
}

struct Waiter {
    deadline: Instant,
    wake: oneshot::Sender<()>,
}

impl Timer {
    pub fn start() -> Self {
        let shared: Arc<(Mutex<Queue>, Condvar)> = Arc::default();
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("obs-local-timer".into())
            .spawn(move || run(&for_thread))
            .expect("a thread can be started");
        Self { shared, thread: Some(thread) }
    }

    pub async fn until(&self, deadline: Instant) {
        if deadline <= Instant::now() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        {
            let (queue, changed) = &*self.shared;
            let mut queue = queue.lock().unwrap();
            let first = queue.waiting.peek().is_none_or(|next| deadline < next.0.deadline);
            queue.waiting.push(Reverse(Waiter { deadline, wake }));
            if first {
                changed.notify_one();
            }
        }
        // An error means that the timer was stopped with its server: there is nothing left to wait for.
        let _ = woken.await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap().stopped = true;
        self.shared.1.notify_one();
        // Joined, so that a test that counts its threads sees none of a server that is gone.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &(Mutex<Queue>, Condvar)) {
    let mut queue = shared.0.lock().unwrap();
    while !queue.stopped {
        let now = Instant::now();
        match queue.waiting.peek().map(|next| next.0.deadline) {
            None => queue = shared.1.wait(queue).unwrap(),
            Some(deadline) if deadline > now => {
                queue = shared.1.wait_timeout(queue, deadline - now).unwrap().0;
            }
            Some(_) => {
                let due = queue.waiting.pop().expect("just seen");
                let _ = due.0.wake.send(());
            }
        }
    }
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        self.deadline == other.deadline
    }
}

impl Eq for Waiter {}

impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.deadline.cmp(&other.deadline)
    }
}
