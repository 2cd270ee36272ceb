//! fork(): a child goes on using its parent's client, over connections of its own, whatever the parent's threads were
//! doing at that moment.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use obs_local::{AccessKey, Entry, Options, Server};
use support::obs::server_with;
use support::pki::Pki;
use support::process::eventually;
use support::{Call, Client, Config, code};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn kill(pid: i32, signal: i32) -> i32;
    fn _exit(status: i32) -> !;
}

const WNOHANG: i32 = 1;
const SIGKILL: i32 = 9;
/// A child's exit status where its test code panicked.
const PANICKED: i32 = 101;

/// A child has a few requests to make on loopback; one that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// One test at a time: a child has copies of all of this process's sockets, those of other tests' servers among them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that runs this, and exits with what it gives: 0 to 255.
fn child(run: impl FnOnce() -> i32) -> i32 {
    let pid = unsafe { fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        // Neither the test harness nor exit handlers may run twice.
        let status = catch_unwind(AssertUnwindSafe(run)).unwrap_or(PANICKED);
        unsafe { _exit(status) };
    }
    pid
}

/// Its exit status; a child that hangs is killed, and fails the test.
fn status_of(pid: i32) -> i32 {
    let patience = Instant::now() + PATIENCE;
    let mut status = 0;
    loop {
        let ended = unsafe { waitpid(pid, &raw mut status, WNOHANG) };
        assert!(ended >= 0, "waitpid: {}", std::io::Error::last_os_error());
        if ended == pid {
            assert_eq!(status & 0x7f, 0, "the child was ended by signal {}", status & 0x7f);
            return status >> 8;
        }
        if Instant::now() > patience {
            unsafe {
                kill(pid, SIGKILL);
                waitpid(pid, &raw mut status, 0);
            }
            panic!("the child hung for {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn server(pki: Option<&Pki>) -> Server {
    let tls = pki.map(Pki::tls);
    server_with(Options { tls, ..Options::default() })
}

fn client(server: &Server, pki: Option<&Pki>) -> Client {
    let config = Config::new(&server.endpoint());
    match pki {
        Some(pki) => config.ca_file(&pki.ca()).client(),
        None => config.client(),
    }
}

fn aborted(server: &Server, client: &Client, key: &str) -> i32 {
    let id = server.create_upload("backups", key);
    client.abort("backups", key, &id).0
}

/// The requests about one key.
fn about(server: &Server, key: &str) -> Vec<Entry> {
    let path = format!("/backups/{key}?");
    server.journal().into_iter().filter(|entry| entry.target.starts_with(&path)).collect()
}

fn a_child_has_connections_of_its_own(pki: Option<&Pki>) {
    let _alone = alone();
    let server = server(pki);
    let client = client(&server, pki);
    assert_eq!(aborted(&server, &client, "before"), code::OK);
    assert_eq!(server.connections_accepted(), 1);
    let parents = about(&server, "before")[0].connection;
    for round in 1..=3 {
        let (first, second) = (format!("first{round}"), format!("second{round}"));
        let ids = [server.create_upload("backups", &first), server.create_upload("backups", &second)];
        let pid = child(|| {
            let one = client.abort("backups", &first, &ids[0]).0;
            let two = client.abort("backups", &second, &ids[1]).0;
            one.max(two)
        });
        // While the child works, so does the parent.
        assert_eq!(aborted(&server, &client, &format!("meanwhile{round}")), code::OK);
        assert_eq!(status_of(pid), code::OK);
        assert!(server.was_aborted(&ids[0]) && server.was_aborted(&ids[1]));
        assert_eq!(aborted(&server, &client, &format!("after{round}")), code::OK);
        let childs = about(&server, &first)[0].connection;
        assert_ne!(childs, parents);
        assert_eq!(about(&server, &second)[0].connection, childs, "the child keeps its connection, too");
        assert_eq!(about(&server, &format!("meanwhile{round}"))[0].connection, parents);
        assert_eq!(about(&server, &format!("after{round}"))[0].connection, parents);
        assert_eq!(server.connections_accepted(), 1 + round, "one for the parent, one for each child");
    }
    let on_parents =
        server.journal().into_iter().filter(|entry| entry.connection == parents).collect::<Vec<_>>();
    assert_eq!(on_parents.len(), 7, "nothing of a child's is on it: {on_parents:?}");
    assert_eq!((server.bad_requests(), server.handshakes_failed()), (0, 0));
    assert!(server.journal().iter().all(|entry| entry.status == 204));
}

#[test]
fn a_child_has_connections_of_its_own_http() {
    a_child_has_connections_of_its_own(None);
}

#[test]
fn a_child_has_connections_of_its_own_https() {
    a_child_has_connections_of_its_own(Some(&Pki::new()));
}

/// 200 forks from a thread beside eight that call: whatever those held, the child is not held by it.
fn forks_while_others_call(pki: Option<&Pki>, forks: u32) {
    let _alone = alone();
    let server = server(pki);
    let client = client(&server, pki);
    let over = AtomicBool::new(false);
    let (calls, began) = (AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        let _over = Raise(&over);
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let (server, client, over, calls) = (&server, &client, &over, &calls);
                scope.spawn(move || {
                    let mut n = 0;
                    while !over.load(Ordering::Relaxed) {
                        n += 1;
                        assert_eq!(aborted(server, client, &format!("caller{caller}-{n}")), code::OK);
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        eventually("the callers call", || calls.load(Ordering::Relaxed) > 50);
        for n in 0..forks {
            let id = server.create_upload("backups", &format!("child{n}"));
            let pid = child(|| client.abort("backups", &format!("child{n}"), &id).0);
            assert_eq!(status_of(pid), code::OK, "fork {n}");
            assert!(server.was_aborted(&id));
        }
        over.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.join().unwrap();
        }
    });
    let parents = server.connections_accepted() - u64::from(forks);
    assert!(parents <= 8, "each child opened one, and each of eight threads at most one: {parents}");
    assert_eq!(server.counts().status(204), server.counts().requests, "{:?}", server.counts());
    println!(
        "{forks} forks beside {} calls from 8 threads in {:?}: every child aborted its upload; {parents} connections \
         of the parent's, none broken",
        calls.load(Ordering::Relaxed),
        began.elapsed()
    );
}

/// Also where the test fails: its threads would wait for each other.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn forks_while_eight_threads_call_http() {
    forks_while_others_call(None, 200);
}

#[test]
fn forks_while_eight_threads_call_https() {
    forks_while_others_call(Some(&Pki::new()), 60);
}

fn a_child_frees_the_client(pki: Option<&Pki>) {
    let _alone = alone();
    let server = server(pki);
    let client = client(&server, pki);
    assert_eq!(aborted(&server, &client, "before"), code::OK);
    let id = server.create_upload("backups", "child");
    for uses_it_first in [false, true] {
        let pid = child(|| {
            let code = if uses_it_first { client.abort("backups", "child", &id).0 } else { code::OK };
            unsafe { (support::lib().obs_abort_client_free)(client.0) };
            code
        });
        assert_eq!(status_of(pid), code::OK);
        assert_eq!(aborted(&server, &client, "after"), code::OK);
    }
    let parents = about(&server, "before")[0].connection;
    assert!(about(&server, "after").iter().all(|entry| entry.connection == parents), "still the same");
}

#[test]
fn a_child_frees_the_client_http() {
    a_child_frees_the_client(None);
}

#[test]
fn a_child_frees_the_client_https() {
    a_child_frees_the_client(Some(&Pki::new()));
}

#[test]
fn a_child_of_a_child() {
    let _alone = alone();
    let pki = Pki::new();
    let server = server(Some(&pki));
    let client = client(&server, Some(&pki));
    assert_eq!(aborted(&server, &client, "before"), code::OK);
    let ids: Vec<String> = ["child", "grandchild", "afterwards"]
        .iter()
        .map(|key| server.create_upload("backups", key))
        .collect();
    let pid = child(|| {
        let own = client.abort("backups", "child", &ids[0]).0;
        let grandchilds = status_of(child(|| client.abort("backups", "grandchild", &ids[1]).0));
        own.max(grandchilds).max(client.abort("backups", "afterwards", &ids[2]).0)
    });
    assert_eq!(status_of(pid), code::OK);
    assert_eq!(aborted(&server, &client, "after"), code::OK);
    let of = |key| about(&server, key)[0].connection;
    assert_eq!(of("before"), of("after"));
    assert_eq!(of("child"), of("afterwards"));
    assert_ne!(of("child"), of("before"));
    assert_ne!(of("grandchild"), of("child"));
    assert_eq!(server.connections_accepted(), 3);
}

#[test]
fn a_childs_credentials_and_shutdown_are_its_own() {
    let _alone = alone();
    let server = server(None);
    let client = client(&server, None);
    assert_eq!(aborted(&server, &client, "before"), code::OK);
    server.add_access_key(&AccessKey::new("CHILDSACCESSKEY", "childs/secret"));
    let ids = [server.create_upload("backups", "child"), server.create_upload("backups", "late")];
    let pid = child(|| {
        if client.set_credentials("CHILDSACCESSKEY", "childs/secret", None) != code::OK {
            return 102;
        }
        let code = client.abort("backups", "child", &ids[0]).0;
        client.shutdown();
        if client.abort("backups", "late", &ids[1]).0 != code::CANCELLED {
            return 103;
        }
        code
    });
    assert_eq!(status_of(pid), code::OK);
    assert_eq!(aborted(&server, &client, "after"), code::OK, "not shut down here");
    let by_child = &about(&server, "child")[0];
    assert!(by_child.header("authorization").unwrap().contains("CHILDSACCESSKEY"));
    let after = &about(&server, "after")[0];
    assert!(after.header("authorization").unwrap().contains(obs_local::ACCESS_KEY));
    assert_eq!(after.connection, about(&server, "before")[0].connection);
    assert!(about(&server, "late").is_empty());
}

#[test]
fn a_child_sweeps_and_cancels() {
    let _alone = alone();
    let server = server(None);
    let client = client(&server, None);
    let call = Arc::new(Call::new());
    assert_eq!(aborted(&server, &client, "before"), code::OK);
    server.create_uploads("backups", 300, &obs_local::Initiated::Ago(Duration::from_secs(99)), |n| {
        format!("sweep/{n}")
    });
    let pid = child(|| {
        let ending = client.stale(Some(&call), "backups", Some("sweep/"), 60, 0, &mut |_, _, _| false);
        if ending.report.unwrap().aborted != 300 {
            return 104;
        }
        call.cancel();
        if client.outcome(Some(&call), "backups", "key", "id").code != code::CANCELLED {
            return 105;
        }
        ending.code
    });
    assert_eq!(status_of(pid), code::OK);
    assert_eq!(server.upload_count("backups"), 0);
    let id = server.create_upload("backups", "after");
    assert_eq!(client.outcome(Some(&call), "backups", "after", &id).code, code::OK, "not cancelled here");
    assert_eq!(about(&server, "after")[0].connection, about(&server, "before")[0].connection);
}
