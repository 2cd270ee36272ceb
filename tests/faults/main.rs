//! The fault matrix: what a bad server, a bad network or a bad proxy does, and what the library makes of it, through
//! the C ABI. Each row of the tables in `faults/` states the code, the HTTP status, the attempts, and a time bound.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

mod bodies;
mod broken;
mod confirm;
mod gone;
mod heads;
mod identity;
mod kept;
mod redirects;
mod retries;
mod silent;
mod statuses;
mod table;
mod time;
mod tls;

use table::{Row, run};

const TABLES: [fn() -> Vec<Row>; 12] = [
    statuses::rows,
    bodies::rows,
    gone::rows,
    retries::rows,
    kept::rows,
    heads::rows,
    broken::rows,
    time::rows,
    silent::rows,
    redirects::rows,
    tls::rows,
    confirm::rows,
];

#[test]
fn every_status_and_service_code() {
    run(statuses::rows());
}

#[test]
fn error_bodies() {
    run(bodies::rows());
}

#[test]
fn no_such_upload_after_an_earlier_attempt() {
    run(gone::rows());
}

#[test]
fn retries_and_retry_after() {
    run(retries::rows());
}

#[test]
fn kept_connections_that_died() {
    run(kept::rows());
}

#[test]
fn heads_and_framing() {
    run(heads::rows());
}

#[test]
fn connections_that_break_or_stall() {
    run(broken::rows());
}

#[test]
fn budgets() {
    run(time::rows());
}

#[test]
fn silent_peers() {
    run(silent::rows());
}

#[test]
fn redirects_safe_and_unsafe() {
    run(redirects::rows());
}

#[test]
fn tls_failures() {
    run(tls::rows());
}

#[test]
fn confirmation() {
    run(confirm::rows());
}

#[test]
fn the_matrix_is_large_and_its_names_are_unique() {
    let rows = TABLES;
    let mut names: Vec<&str> = rows.iter().flat_map(|rows| rows()).map(|row| row.name).collect();
    let all = names.len();
    println!("{all} rows");
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1], "two rows of one name");
    }
    assert!(all >= 200, "{all} rows");
}
