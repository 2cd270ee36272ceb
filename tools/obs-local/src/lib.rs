//! A small Huawei OBS on loopback, for the demo and the tests of libobsabort.
//!
//! It speaks as much of OBS as multipart uploads need, checks signatures on its own (it shares no code with the library),
//! is as dangerous as the real servers are (`DELETE /key?uploadId=`, `DELETE /key?uploadid=…` and `DELETE /key` delete
//! the *object*), and does wrong what a test tells it to. It is no example of how to build a server.
//!
//! ```
//! use obs_local::{ACCESS_KEY, Fault, Initiated, Options, SECRET_KEY, Server};
//! use std::time::Duration;
//!
//! let server = Server::start(Options { latency: Duration::from_millis(5), ..Options::default() });
//! server.create_bucket("backups");
//! let id = server.create_upload("backups", "2026/a.tar");
//! let old = Initiated::Ago(Duration::from_secs(86_400));
//! let ids = server.create_uploads("backups", 2500, &old, |n| format!("old/{:02}", n % 60));
//! // Each gets three parts of 5 MB that came two hours ago; no data stands behind them.
//! server.create_parts("backups", "old/", 3, 5 << 20, 7200);
//!
//! // The next abort is carried out, and its answer is lost.
//! server.fault(Fault::real().cut(0).method("DELETE"));
//!
//! // Now let a client with ACCESS_KEY and SECRET_KEY work on server.endpoint() (path addressing), or on
//! // server.endpoint_of("localhost") (virtual hosts), and look at what came of it:
//! let (endpoint, port) = (server.endpoint(), server.port());
//! assert!(!server.was_aborted(&id) && server.upload_exists("backups", "2026/a.tar", &id));
//! assert_eq!(server.upload_count("backups"), ids.len() + 1);
//! for request in server.journal() {
//!     println!("{:?} #{} {} {} -> {} {}", request.at, request.connection, request.method, request.target,
//!         request.status, request.code);
//! }
//! assert_eq!(server.counts().status(204), 0);
//! assert_eq!((server.connections_accepted(), server.connections_open()), (0, 0));
//! // Dropping the server stops it and closes all connections.
//! ```
//!
//! Where to look: [`Options`] is what can be set at the start, [`Server`] what can be asked and changed while it runs,
//! [`Fault`] what it can do wrong, [`ListQuirk`] the same for listings, [`Entry`] and [`Counts`] what it saw, [`client`] a
//! plain client and [`signing`] a signer for tests that write requests by hand.
//!
//! One thread serves all connections; a request that waits holds up no other. Requests are carried out when they arrive
//! and answered after the latency. Not there: presigned URLs, ACLs and policies, versions, copies, delimiters in listings.

mod addressing;
mod auth;
pub mod client;
mod clock;
mod connection;
mod fault;
mod journal;
mod listing;
mod options;
mod quirk;
mod rule;
mod server;
mod service;
pub mod signing;
mod store;
mod timer;
mod tls;
mod wire;
mod xml;

pub use clock::{http_date, iso_date, unix_ms};
pub use fault::{End, Fault};
pub use journal::{Counts, Entry};
pub use options::{
    ACCESS_KEY, AccessKey, BucketPaging, JournalMode, Options, Rate, SECRET_KEY, Tls, TlsVersions,
};
pub use quirk::{ListQuirk, Listing};
pub use server::{Server, UploadEntry};
pub use store::Initiated;
