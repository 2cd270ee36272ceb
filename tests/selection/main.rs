//! `obs_abort_sweep` by a selection: its bounds, its filter, uploads that are still active, and their sizes.

#![allow(missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used, unsafe_code)]

mod bounds;
mod ends;
mod filter;
mod idle;
mod lies;
mod measure;
mod random;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use obs_local::{Entry, Initiated, Server};
use support::{Client, Config, Ending, Report, Selection};

const DRY_RUN: u32 = support::OBS_ABORT_DRY_RUN as u32;
const INCLUDE_LIVE: u32 = support::OBS_ABORT_INCLUDE_LIVE as u32;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn client(server: &Server) -> Client {
    Config::new(&server.endpoint()).max_connections(8).client()
}

fn ago(seconds: u64) -> Initiated {
    Initiated::Ago(Duration::from_secs(seconds))
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// An upload of so many days.
fn old(server: &Server, key: &str, days: u64) -> String {
    server.create_upload_at("backups", key, &ago(days * DAY))
}

/// So many uploads of three days.
fn many_old(server: &Server, count: usize) {
    server.create_uploads("backups", count, &ago(3 * DAY), |n| format!("old/{n:05}"));
}

fn swept(client: &Client, selection: &Selection) -> Ending {
    client.sweep(None, "backups", selection, 0, &mut |_, _, _| false)
}

fn report(ending: &Ending) -> &Report {
    ending.report.as_ref().expect("a report")
}

fn left(server: &Server) -> BTreeSet<String> {
    server.uploads("backups").into_iter().map(|upload| upload.key).collect()
}

fn keys<const N: usize>(keys: [&str; N]) -> BTreeSet<String> {
    keys.map(String::from).into()
}

fn is_abort(entry: &Entry) -> bool {
    entry.method == "DELETE"
}

fn is_list_of_parts(entry: &Entry) -> bool {
    entry.method == "GET" && entry.target.contains("uploadId=")
}

/// How many requests of the journal these are.
fn requests(server: &Server, which: impl Fn(&Entry) -> bool) -> usize {
    server.journal().iter().filter(|entry| which(entry)).count()
}
