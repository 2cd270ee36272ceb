//! One upload, end to end, through the C ABI against the small OBS on loopback.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use obs_local::{Fault, Options, Server};
use support::{Config, code};

fn server() -> Server {
    let server = Server::start(Options::default());
    server.create_bucket("backups");
    server
}

#[test]
fn an_upload_is_gone_and_a_second_abort_says_so() {
    let server = server();
    let client = Config::new(&server.endpoint()).client();
    for _ in 0..2 {
        let id = server.create_upload("backups", "dir/a b.tar");
        server.put_object("backups", "dir/a b.tar", b"an object of the same name");
        assert_eq!(client.abort("backups", "dir/a b.tar", &id), (code::OK, 204, None));
        assert!(server.was_aborted(&id));
        assert!(server.object_exists("backups", "dir/a b.tar"));
        let again = client.outcome(None, "backups", "dir/a b.tar", &id);
        assert_eq!((again.code, again.http_status, again.attempts), (code::NO_SUCH_UPLOAD, 404, 1));
        assert_eq!(again.service_code.as_deref(), Some("NoSuchUpload"));
        assert!(again.request_id.is_some() && again.host_id.is_some());
        let message = again.message.unwrap();
        assert!(message.starts_with("no_such_upload: 404 NoSuchUpload \""), "{message}");
        assert!(
            message.contains(&format!("(request id {}, attempt 1 of 4)", again.request_id.unwrap())),
            "{message}"
        );
    }
    assert_eq!(server.connections_accepted(), 1, "one connection for all");
}

/// Kept connections tend to die together: the one free attempt must not be spent on another of them.
#[test]
fn a_kept_connection_that_died_is_replaced_by_a_new_one() {
    let server = server();
    let client = Config::new(&server.endpoint()).max_attempts(1).client();
    server.set_latency(Duration::from_millis(200));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| client.abort("backups", "k", "i"));
        }
    });
    let kept = server.connections_accepted();
    assert!(kept > 1, "{kept} connections");
    server.set_latency(Duration::ZERO);
    server.fault(Fault::silence().reused_connection().always());
    let id = server.create_upload("backups", "k");
    let outcome = client.outcome(None, "backups", "k", &id);
    assert_eq!((outcome.code, outcome.http_status, outcome.attempts), (code::OK, 204, 2), "{outcome:?}");
    assert_eq!(server.connections_accepted(), kept + 1);
    // Nor must the others be left for the next calls to stumble over.
    let patience = Instant::now() + Duration::from_secs(10);
    while server.connections_open() > 1 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.connections_open(), 1);
}
