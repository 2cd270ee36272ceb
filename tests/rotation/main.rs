//! Credentials replaced under load: no call is signed with half of a pair, and none is refused that need not be.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use obs_local::{AccessKey, Options, Server};
use support::obs::server;
use support::process::eventually;
use support::{Config, code};

const ROTATIONS: usize = 200;

/// Every third pair is temporary: with a token, signed with the rest.
fn pair(n: usize) -> AccessKey {
    let (access_key, secret_key) = (format!("ROTATEDKEY{n:04}"), format!("rotated/secret+{n:04}"));
    match n % 3 {
        0 => AccessKey::temporary(&access_key, &secret_key, &format!("token-{n:04}")),
        _ => AccessKey::new(&access_key, &secret_key),
    }
}

#[test]
fn rotated_200_times_under_eight_threads() {
    let server = Server::start(Options {
        access_keys: vec![pair(0)],
        buckets: vec!["backups".into()],
        ..Options::default()
    });
    let first = pair(0);
    let client = Config::new(&server.endpoint())
        .credentials(&first.access_key, &first.secret_key, first.security_token.as_deref())
        .client();
    let over = AtomicBool::new(false);
    // Numbers, not times: which pair was current when a call began and when it ended.
    let current = AtomicU64::new(0);
    let (calls, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let (server, client, over, current) = (&server, &client, &over, &current);
            let (calls, refused) = (&calls, &refused);
            scope.spawn(move || {
                let mut n = 0;
                while !over.load(Ordering::SeqCst) {
                    n += 1;
                    let key = format!("caller{caller}-{n}");
                    let id = server.create_upload("backups", &key);
                    let before = current.load(Ordering::SeqCst);
                    let outcome = client.outcome(None, "backups", &key, &id);
                    let after = current.load(Ordering::SeqCst);
                    calls.fetch_add(1, Ordering::SeqCst);
                    if outcome.code == code::ACCESS_DENIED && after > before {
                        // Signed before the rotation, and it arrived after the old pair was gone.
                        refused.fetch_add(1, Ordering::SeqCst);
                    } else {
                        assert_eq!(outcome.code, code::OK, "{before} {after} {outcome:?}");
                    }
                }
            });
        }
        for n in 1..=ROTATIONS {
            let so_far = calls.load(Ordering::SeqCst);
            let (old, new) = (pair(n - 1), pair(n));
            server.add_access_key(&new);
            let token = new.security_token.as_deref();
            assert_eq!(client.set_credentials(&new.access_key, &new.secret_key, token), code::OK);
            current.store(n as u64, Ordering::SeqCst);
            // The time an operator leaves for what is in flight.
            std::thread::sleep(Duration::from_millis(2));
            server.remove_access_key(&old.access_key);
            eventually("calls go on", || calls.load(Ordering::SeqCst) >= so_far + 8);
        }
        over.store(true, Ordering::SeqCst);
    });
    let (calls, refused) = (calls.into_inner(), refused.into_inner());
    println!("{ROTATIONS} rotations under {calls} calls from 8 threads: {refused} refused, signed before");
    let pairs: BTreeSet<String> = server
        .journal()
        .iter()
        .filter_map(|entry| Some(entry.header("authorization")?.split(['\u{20}', ':']).nth(1)?.to_owned()))
        .collect();
    assert!(pairs.len() > ROTATIONS / 2, "the new pairs were used: {}", pairs.len());
    for entry in server.journal() {
        let number: usize = entry
            .header("authorization")
            .and_then(|value| value.strip_prefix("AWS ROTATEDKEY")?.get(..4)?.parse().ok())
            .unwrap();
        let token = entry.header("x-amz-security-token");
        assert_eq!(token, pair(number).security_token.as_deref(), "a token goes with its pair");
        // Whole pairs only: a key with another's secret would be refused for its signature.
        assert_ne!(entry.code, "SignatureDoesNotMatch", "{}", entry.target);
    }
}

#[test]
fn credentials_set_later_replace_none_and_a_bad_pair_changes_nothing() {
    let server = server();
    let id = server.create_upload("backups", "key");
    let client = Config::bare().endpoint(&server.endpoint()).proxy("").client();
    assert_eq!(client.abort("backups", "key", &id).0, code::NO_CREDENTIALS);
    assert_eq!(server.connections_accepted(), 0);
    assert_eq!(
        client.set_credentials("key with a space", "secret", None),
        code::INVALID_ARGUMENT,
        "refused, and nothing changes"
    );
    assert_eq!(client.abort("backups", "key", &id).0, code::NO_CREDENTIALS);
    assert_eq!(client.set_credentials(obs_local::ACCESS_KEY, obs_local::SECRET_KEY, Some("")), code::OK);
    assert_eq!(client.abort("backups", "key", &id).0, code::OK);
}
