//! Callbacks run only on the thread that made the call, one at a time, and what a slow or a meddling one can do.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use obs_local::{End, Fault, Options, Server};
use support::obs::{entries, server_with, uploads};
use support::process::within_a_minute;
use support::{Call, Client, Config, Ending, borrowed, code};
use support::{OBS_ABORT_LOG_DEBUG as DEBUG, OBS_ABORT_LOG_INFO as INFO};

/// 250 ms is the promise; the rest is for a machine that is busy with other tests.
const PROMPT: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
enum What {
    Line(String),
    Progress(String),
    Beat,
}

type Then = Box<dyn Fn(&str) + Send + Sync>;

/// Every call of both callbacks, in order, with the thread it came on.
#[derive(Default)]
struct Heard {
    events: Mutex<Vec<(ThreadId, What)>>,
    inside: AtomicBool,
    /// A panic in a callback would end the process: it is told afterwards.
    overlapped: AtomicBool,
    /// What the log callback does besides.
    then: OnceLock<Then>,
}

unsafe extern "C" fn log(_level: i32, message: *const c_char, userdata: *mut c_void) {
    let heard = unsafe { &*userdata.cast::<Heard>() };
    let line = unsafe { borrowed(message) }.expect("a line");
    heard.note(What::Line(line.clone()));
    if let Some(then) = heard.then.get() {
        then(&line);
    }
}

impl Heard {
    fn new() -> &'static Heard {
        Box::leak(Box::default())
    }

    fn then(&'static self, then: impl Fn(&str) + Send + Sync + 'static) -> &'static Heard {
        assert!(self.then.set(Box::new(then)).is_ok());
        self
    }

    fn client(&'static self, config: Config) -> Client {
        config.log(Some(log), std::ptr::from_ref(self).cast_mut().cast(), DEBUG).client()
    }

    fn note(&self, what: What) {
        if self.inside.swap(true, Ordering::SeqCst) {
            self.overlapped.store(true, Ordering::SeqCst);
        }
        // Long enough for another thread to get between.
        std::thread::yield_now();
        self.events.lock().unwrap().push((std::thread::current().id(), what));
        self.inside.store(false, Ordering::SeqCst);
    }

    fn many(&self, client: &Client, call: Option<&Call>, list: &[(String, String)]) -> Ending {
        client.many(call, "backups", &entries(list), &mut |outcome, _, _| {
            self.note(outcome.map_or(What::Beat, |outcome| What::Progress(outcome.upload_id.clone())));
            false
        })
    }

    fn stale(&self, client: &Client, call: Option<&Call>) -> Ending {
        client.stale(call, "backups", None, 60, 0, &mut |outcome, _, _| {
            self.note(outcome.map_or(What::Beat, |outcome| What::Progress(outcome.upload_id.clone())));
            false
        })
    }

    /// All that was heard: one at a time, and every one of it on this thread.
    fn here(&self) -> Vec<What> {
        assert!(!self.overlapped.load(Ordering::SeqCst), "two callbacks at once");
        let this = std::thread::current().id();
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        for (thread, what) in &events {
            assert_eq!(*thread, this, "on another thread: {what:?}");
        }
        events.into_iter().map(|(_, what)| what).collect()
    }
}

fn server(page_cap: usize) -> Server {
    server_with(Options { page_cap, ..Options::default() })
}

/// Whatever a line is logged for: retries, kept connections that died, throttling, redirects, refusals.
fn trouble(server: &Server) {
    let elsewhere = "http://elsewhere.example/";
    for fault in [
        Fault::answer(500).error("InternalError").skip(5).times(9),
        Fault::answer(503).error("SlowDown").skip(20).times(3),
        Fault::silence().then(End::Reset).reused_connection().skip(7).times(5),
        Fault::real().then(End::Close).skip(9).times(5),
        Fault::answer(307).header("Location", elsewhere).skip(31).times(2),
    ] {
        server.fault(fault.method("DELETE"));
    }
}

fn lines_with(heard: &[What], part: &str) -> usize {
    heard.iter().filter(|what| matches!(what, What::Line(line) if line.contains(part))).count()
}

#[test]
fn both_callbacks_run_on_the_callers_thread_only() {
    let server = server(10);
    let heard = Heard::new();
    let config = || Config::new(&server.endpoint()).max_connections(8);

    trouble(&server);
    let client = heard.client(config());
    let mut list = uploads(&server, 60);
    list.push(("never begun".into(), "unknown".into()));
    list.push((String::new(), "an entry that is bad".into()));
    assert_eq!(heard.many(&client, None, &list).code, code::PARTIAL);
    let events = heard.here();
    assert_eq!(lines_with(&events, "key is empty"), 1, "{events:#?}");
    for part in ["again in", "SlowDown", "NoSuchUpload", "not followed", "a kept connection had died"] {
        assert!(lines_with(&events, part) > 0, "{part}: {events:#?}");
    }
    assert!(events.iter().filter(|what| matches!(what, What::Progress(_))).count() >= 60);

    // The log callback without the other: the workers count, and hand over their lines as before.
    server.clear_faults();
    trouble(&server);
    let list = uploads(&server, 60);
    let ending = client.many_unwatched(None, "backups", &entries(&list));
    assert_eq!(ending.report.unwrap().total, 60);
    let events = heard.here();
    assert!(lines_with(&events, "DELETE ") > 60 && lines_with(&events, "aborted upload") > 50, "{events:#?}");

    // A sweep lists on its workers, too.
    server.clear_faults();
    trouble(&server);
    server.fault(Fault::answer(500).error("InternalError").query("uploads").skip(2).times(2));
    uploads(&server, 60);
    let ending = heard.stale(&client, None);
    // With those that the calls before were redirected away from.
    assert_eq!(ending.report.unwrap().total, 64);
    let events = heard.here();
    assert!(lines_with(&events, "GET ") > 6 && lines_with(&events, "aborted upload") > 50, "{events:#?}");

    // So does a listing that fails, and the confirmation of an abort.
    server.clear_faults();
    server.fault(Fault::answer(403).error("AccessDenied").query("uploads").always());
    assert_eq!(heard.stale(&client, None).code, code::ACCESS_DENIED);
    assert_eq!(lines_with(&heard.here(), "listing the uploads"), 1);
    server.clear_faults();
    let list = uploads(&server, 20);
    assert_eq!(heard.many(&heard.client(config().confirm()), None, &list).code, code::OK);
    assert_eq!(lines_with(&heard.here(), "GET "), 20);
}

#[test]
fn lines_of_an_upload_come_in_order_and_before_its_progress() {
    let server = server(1000);
    server.fault(Fault::answer(500).error("InternalError").probability(0.3).always());
    let heard = Heard::new();
    let client = heard.client(Config::new(&server.endpoint()).max_connections(8).max_attempts(9));
    let list = uploads(&server, 80);
    assert_eq!(heard.many(&client, None, &list).code, code::OK);
    let events = heard.here();
    let mut retried = 0;
    for (key, id) in &list {
        // What tells of the wait before the next attempt names the request before it, not the upload.
        let mut last_request = "none".to_owned();
        let mut seen = Vec::new();
        for event in &events {
            match event {
                What::Line(line) if line.starts_with("DELETE") && line.contains(key.as_str()) => {
                    last_request =
                        line.split_once("(request id ").unwrap().1.split_once(',').unwrap().0.into();
                    let attempt = line.split_once("attempt ").unwrap().1.split_once(' ').unwrap().0;
                    seen.push(format!("response {attempt}"));
                }
                What::Line(line) if line.contains("again in") && line.contains(&last_request) => {
                    seen.push("wait".into());
                }
                What::Line(line) if line.starts_with("aborted upload") && line.contains(id.as_str()) => {
                    seen.push("aborted".into());
                }
                What::Progress(upload_id) if upload_id == id => seen.push("progress".into()),
                _ => {}
            }
        }
        let attempts = seen.iter().filter(|what| what.starts_with("response")).count();
        let mut wanted: Vec<String> = Vec::new();
        for attempt in 1..=attempts {
            wanted.extend((attempt > 1).then(|| "wait".into()));
            wanted.push(format!("response {attempt}"));
        }
        wanted.extend(["aborted".into(), "progress".into()]);
        assert_eq!(seen, wanted, "{key}");
        retried += usize::from(attempts > 1);
    }
    assert!(retried > 10, "{retried}");
}

#[test]
fn two_calls_at_once_are_told_on_their_own_threads() {
    let server = server(1000);
    server.fault(Fault::answer(500).error("InternalError").probability(0.2).always());
    let list = uploads(&server, 120);
    static EVENTS: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());
    unsafe extern "C" fn log(_: i32, message: *const c_char, _: *mut c_void) {
        let line = unsafe { borrowed(message) }.unwrap();
        EVENTS.lock().unwrap().push((std::thread::current().id(), line));
    }
    let config = Config::new(&server.endpoint()).max_connections(4).max_attempts(9);
    let client = config.log(Some(log), std::ptr::null_mut(), DEBUG).client();
    let (left, right) = list.split_at(60);
    let threads: Vec<(ThreadId, &[(String, String)])> = std::thread::scope(|scope| {
        let client = &client;
        let started: Vec<_> = [left, right]
            .into_iter()
            .map(|part| {
                scope.spawn(move || {
                    let ending = client.many(None, "backups", &entries(part), &mut |_, _, _| false);
                    assert_eq!(ending.code, code::OK);
                    (std::thread::current().id(), part)
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let of: HashMap<&str, ThreadId> =
        threads.iter().flat_map(|(thread, part)| part.iter().map(|(_, id)| (id.as_str(), *thread))).collect();
    let mut aborted = 0;
    for (thread, line) in EVENTS.lock().unwrap().iter() {
        assert!(threads.iter().any(|(caller, _)| caller == thread), "on a thread that made no call: {line}");
        if let Some((_, caller)) = of.iter().find(|(id, _)| line.contains(*id)) {
            assert_eq!(thread, caller, "of the other call: {line}");
            aborted += usize::from(line.starts_with("aborted upload"));
        }
    }
    assert_eq!(aborted, 120);
}

#[test]
fn workers_wait_for_a_callback_that_does_not_return() {
    within_a_minute("a callback that waits", || {
        let server = server(1000);
        let list = uploads(&server, 500);
        let (entered, wait_entered) = mpsc::channel();
        let (release, wait_release) = mpsc::channel::<()>();
        let gates = Mutex::new(Some((entered, wait_release)));
        let heard = Heard::new().then(move |_| {
            let gates = gates.lock().unwrap().take();
            if let Some((entered, wait_release)) = gates {
                entered.send(()).unwrap();
                wait_release.recv().unwrap();
            }
        });
        let client = heard.client(Config::new(&server.endpoint()).max_connections(4));
        std::thread::scope(|scope| {
            let call = scope.spawn(|| {
                let ending = heard.many(&client, None, &list);
                (ending.code, ending.report.unwrap().aborted, heard.here())
            });
            wait_entered.recv().unwrap();
            std::thread::sleep(Duration::from_millis(500));
            let requests = server.counts().requests;
            release.send(()).unwrap();
            assert!(requests < 50, "{requests} requests, the lines of all of them waiting in memory");
            let (code, aborted, events) = call.join().unwrap();
            assert_eq!((code, aborted), (code::OK, 500));
            assert_eq!(lines_with(&events, "aborted upload"), 500, "and no line is lost");
        });
    });
}

#[test]
fn a_slow_callback_does_not_hold_up_cancellation() {
    within_a_minute("a slow callback", || {
        let server = server(1000);
        server.set_latency(Duration::from_millis(1));
        let heard = Heard::new().then(|_| std::thread::sleep(Duration::from_millis(1)));
        let client = heard.client(Config::new(&server.endpoint()).max_connections(8));
        let list = uploads(&server, 2000);
        type Verb<'a> = &'a (dyn Fn(&Call) -> i32 + Sync);
        let verbs: [Verb<'_>; 2] = [&|call| heard.many(&client, Some(call), &list).code, &|call| {
            heard.stale(&client, Some(call)).code
        }];
        for verb in verbs {
            let call = Call::new();
            std::thread::scope(|scope| {
                let thread = scope.spawn(|| (verb(&call), Instant::now()));
                std::thread::sleep(Duration::from_millis(300));
                call.cancel();
                let cancelled = Instant::now();
                let (code, returned) = thread.join().unwrap();
                assert_eq!(code, code::CANCELLED);
                let took = returned - cancelled;
                assert!(took < PROMPT, "{took:?} after the cancellation");
            });
        }
    });
}

#[test]
fn a_line_of_a_worker_may_cancel_shut_down_and_call() {
    within_a_minute("a callback that meddles", || {
        let server: &'static Server = Box::leak(Box::new(server(100)));
        let list = uploads(server, 400);
        // Each is done in the tenth line, while all workers have lines to hand over.
        type Act = fn(&Client, &Call);
        let acts: [(Act, i32); 3] = [
            (|_, call| call.cancel(), code::CANCELLED),
            (|client, _| client.shutdown(), code::CANCELLED),
            (
                |client, _| {
                    let uploads = [("nested", "gone"); 40];
                    let ending = client.many(None, "backups", &uploads, &mut |_, _, _| false);
                    assert_eq!(ending.code, code::OK, "{ending:?}");
                },
                code::OK,
            ),
        ];
        for (act, expected) in acts {
            for sweep in [false, true] {
                static CLIENT: Mutex<usize> = Mutex::new(0);
                let call: &'static Call = Box::leak(Box::new(Call::new()));
                let left = Mutex::new(10);
                let heard = Heard::new().then(move |_| {
                    let due = {
                        let mut left = left.lock().unwrap();
                        *left -= 1;
                        *left == 0
                    };
                    if due {
                        let client = *CLIENT.lock().unwrap() as *const Client;
                        act(unsafe { &*client }, call);
                    }
                });
                let client = heard.client(Config::new(&server.endpoint()).max_connections(8));
                *CLIENT.lock().unwrap() = (&raw const client) as usize;
                let ending = match sweep {
                    false => heard.many(&client, Some(call), &list),
                    true => heard.stale(&client, Some(call)),
                };
                assert_eq!(ending.code, expected, "{ending:?}");
                assert!(heard.here().len() >= 10);
                uploads(server, 400 - server.upload_count("backups"));
            }
        }
    });
}

/// A line that is not wanted costs nothing, and a level that is left out is left out for workers as well.
#[test]
fn levels_hold_for_workers() {
    let server = server(1000);
    let heard = Heard::new();
    let userdata = std::ptr::from_ref(heard).cast_mut().cast();
    let client = Config::new(&server.endpoint()).log(Some(log), userdata, INFO).client();
    assert_eq!(heard.many(&client, None, &uploads(&server, 30)).code, code::OK);
    let events = heard.here();
    assert_eq!(lines_with(&events, "DELETE"), 0);
    assert_eq!(lines_with(&events, "aborted upload"), 30);
}
