//! obs-local as most suites have it: with one bucket, and with uploads to abort.

use std::time::Duration;

use obs_local::{Initiated, Options, Server};

/// obs-local with the bucket `backups`.
pub fn server() -> Server {
    server_with(Options::default())
}

/// The same with more options.
pub fn server_with(options: Options) -> Server {
    Server::start(Options { buckets: vec!["backups".into()], ..options })
}

/// So many uploads of `key/N`, an hour old: the list that aborts them.
pub fn uploads(server: &Server, count: usize) -> Vec<(String, String)> {
    let ago = Initiated::Ago(Duration::from_secs(3600));
    let ids = server.create_uploads("backups", count, &ago, |n| format!("key/{n:05}"));
    ids.into_iter().enumerate().map(|(n, id)| (format!("key/{n:05}"), id)).collect()
}

/// The list as `Client::many` takes it.
pub fn entries(uploads: &[(String, String)]) -> Vec<(&str, &str)> {
    uploads.iter().map(|(key, id)| (key.as_str(), id.as_str())).collect()
}
