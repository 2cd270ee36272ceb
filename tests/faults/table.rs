//! What a row states, and how it is run: on a server of its own, beside other rows.

use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use obs_local::{Fault, Initiated, Options, SECRET_KEY, Server};

use super::identity::Identity;
use support::peer::{Nobody, Peer};
use support::{Client, Config, Outcome, borrowed, code, lib};

pub const BUCKET: &str = "bucket";
pub const KEY: &str = "dir/a b.tar";
pub const ID: &str = "0123456789ABCDEF0123456789ABCDEF";
/// What the library sends for them.
pub const TARGET: &str = "/bucket/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF";

/// A 204 as it goes over the wire, for servers of the test's own.
pub const GONE: &str = "HTTP/1.1 204 No Content\r\n\r\n";
/// Likewise a 404.
pub const NO_SUCH_UPLOAD: &str =
    "HTTP/1.1 404 Not Found\r\nx-obs-error-code: NoSuchUpload\r\nContent-Length: 0\r\n\r\n";

/// Rows wait more than they compute.
const AT_ONCE: usize = 16;
/// No row may take longer, whatever its server does.
const PATIENCE: Duration = Duration::from_secs(20);

enum Place {
    /// obs-local, in the clear.
    Obs,
    /// obs-local with TLS.
    Tls(fn() -> Identity),
    /// A server of the row's own: what it does with its n-th connection, from 0.
    Own(fn(usize, TcpStream)),
    Nobody(fn() -> Nobody),
}

/// What a check of the row's own can look at.
pub struct Scene<'a> {
    pub outcome: &'a Outcome,
    pub client: &'a Client,
    pub server: Option<&'a Server>,
}

impl Scene<'_> {
    pub fn server(&self) -> &Server {
        self.server.expect("a row on obs-local")
    }
}

type MakeFault = Box<dyn Fn(&Server) -> Fault + Send + Sync>;

pub struct Row {
    pub name: &'static str,
    place: Place,
    faults: Vec<MakeFault>,
    options: fn(Options) -> Options,
    config: fn(Config, Option<&Server>) -> Config,
    timeout_ms: u32,
    max_attempts: u32,
    upload_exists: bool,
    calls_before: u32,
    code: i32,
    http_status: i32,
    attempts: Option<u32>,
    or_out_of_time: bool,
    service_code: Option<&'static str>,
    says: &'static str,
    at_least: Duration,
    within: Duration,
    connections: Option<u64>,
    not_journaled: bool,
    not_carried_out: bool,
    next_call_is_told_the_truth: bool,
    check: fn(&Scene<'_>),
}

/// A row on obs-local, where the upload exists; nothing goes wrong unless `fault` says so.
pub fn row(name: &'static str) -> Row {
    Row {
        name,
        place: Place::Obs,
        faults: Vec::new(),
        options: |options| options,
        config: |config, _| config,
        timeout_ms: 15_000,
        max_attempts: 4,
        upload_exists: true,
        calls_before: 0,
        code: -1,
        http_status: -1,
        attempts: None,
        or_out_of_time: false,
        service_code: None,
        says: "",
        at_least: Duration::ZERO,
        within: PATIENCE,
        connections: None,
        not_journaled: false,
        not_carried_out: false,
        next_call_is_told_the_truth: false,
        check: |_| {},
    }
}

/// A row on a server of its own.
pub fn own(name: &'static str, serve: fn(usize, TcpStream)) -> Row {
    Row { place: Place::Own(serve), ..row(name) }
}

/// A row on an endpoint where nobody serves.
pub fn nobody(name: &'static str, at: fn() -> Nobody) -> Row {
    Row { place: Place::Nobody(at), ..row(name) }
}

// What the server does, and how it is called.
impl Row {
    /// What goes wrong next; requests beyond the faults are served in earnest.
    pub fn fault(mut self, fault: Fault) -> Row {
        self.faults.push(Box::new(move |_| fault.clone()));
        self
    }

    /// An answer with this Location; `{here}` stands for the server's own host and port, `{target}` for the target
    /// that was asked for.
    pub fn redirect(mut self, status: u16, location: &'static str) -> Row {
        self.faults.push(Box::new(move |server| {
            let location = location.replace("{here}", &server.addr().to_string()).replace("{target}", TARGET);
            Fault::answer(status).header("Location", &location)
        }));
        self
    }

    /// The upload is gone before the call.
    pub fn no_upload(mut self) -> Row {
        self.upload_exists = false;
        self
    }

    /// So many calls come before the one that is judged, and leave a connection behind.
    pub fn calls_before(mut self, calls: u32) -> Row {
        self.calls_before = calls;
        self
    }

    pub fn tls(mut self, identity: fn() -> Identity) -> Row {
        self.place = Place::Tls(identity);
        self
    }

    pub fn options(mut self, options: fn(Options) -> Options) -> Row {
        self.options = options;
        self
    }

    pub fn config(mut self, config: fn(Config, Option<&Server>) -> Config) -> Row {
        self.config = config;
        self
    }

    pub fn timeout_ms(mut self, ms: u32) -> Row {
        self.timeout_ms = ms;
        self
    }

    pub fn max_attempts(mut self, attempts: u32) -> Row {
        self.max_attempts = attempts;
        self
    }

    pub fn confirm(self) -> Row {
        self.config(|config, _| config.confirm())
    }
}

// What is expected.
impl Row {
    pub fn gives(mut self, code: i32, http_status: i32, attempts: u32) -> Row {
        (self.code, self.http_status, self.attempts) = (code, http_status, Some(attempts));
        self
    }

    /// For rows in which chance decides how often is tried.
    pub fn gives_whatever_the_attempts(mut self, code: i32, http_status: i32) -> Row {
        (self.code, self.http_status) = (code, http_status);
        self
    }

    /// For rows in which chance decides whether the budget ends a wait or an exchange.
    pub fn or_out_of_time(mut self) -> Row {
        self.or_out_of_time = true;
        self
    }

    pub fn service_code(mut self, code: &'static str) -> Row {
        self.service_code = Some(code);
        self
    }

    /// The message holds this.
    pub fn says(mut self, text: &'static str) -> Row {
        self.says = text;
        self
    }

    pub fn at_least_ms(mut self, ms: u64) -> Row {
        self.at_least = Duration::from_millis(ms);
        self
    }

    pub fn within_ms(mut self, ms: u64) -> Row {
        self.within = Duration::from_millis(ms);
        self
    }

    /// The budget in full, and not much more: 5 % or 50 ms, and the slack of a loaded machine.
    pub fn spends_its_budget(self) -> Row {
        let budget = u64::from(self.timeout_ms);
        self.at_least_ms(budget).within_ms(budget + (budget / 20).max(50) + 400)
    }

    /// So many connections in all, the calls before included.
    pub fn connections(mut self, connections: u64) -> Row {
        self.connections = Some(connections);
        self
    }

    /// obs-local does not see the requests as requests, or fewer of them.
    pub fn not_journaled(mut self) -> Row {
        self.not_journaled = true;
        self
    }

    /// The server says 204 and does nothing: the one lie that the library has to believe.
    pub fn not_carried_out(mut self) -> Row {
        self.not_carried_out = true;
        self
    }

    /// The next call, for an upload that does not exist, is told so: no left-over byte of this answer is read as its.
    pub fn next_call_is_told_the_truth(mut self) -> Row {
        self.next_call_is_told_the_truth = true;
        self
    }

    pub fn check(mut self, check: fn(&Scene<'_>)) -> Row {
        self.check = check;
        self
    }
}

impl Row {
    fn run(&self) {
        let mut identity = None;
        let tls = match self.place {
            Place::Tls(make) => Some(identity.insert(make()).tls()),
            _ => None,
        };
        let (mut server, mut peer, mut held) = (None, None, None);
        let endpoint = match self.place {
            Place::Obs | Place::Tls(_) => {
                let options = Options { buckets: vec![BUCKET.into()], tls, ..Options::default() };
                server.insert(Server::start((self.options)(options))).endpoint()
            }
            Place::Own(serve) => peer.insert(Peer::start(serve)).url(),
            Place::Nobody(at) => held.insert(at()).endpoint.clone(),
        };
        let server = server.as_ref();
        let mut config = Config::new(&endpoint).timeout_ms(self.timeout_ms).max_attempts(self.max_attempts);
        if let Some(identity) = &identity {
            config = config.ca_file(&identity.ca());
        }
        let client = (self.config)(config, server).client();
        if let Some(server) = server {
            self.faults.iter().for_each(|fault| server.fault(fault(server)));
        }
        for n in 0..self.calls_before {
            let id = server.map_or_else(|| ID.to_owned(), |server| server.create_upload(BUCKET, KEY));
            let before = client.abort(BUCKET, KEY, &id);
            assert_eq!(before, (code::OK, 204, None), "call {n} before the one that is judged");
            // Time for what the server does with the connection afterwards.
            std::thread::sleep(Duration::from_millis(150));
        }
        if let (Some(server), true) = (server, self.upload_exists) {
            server.create_upload_with_id(BUCKET, KEY, ID, &Initiated::Ago(Duration::ZERO));
            server.put_object(BUCKET, KEY, b"an object of the same name");
        }
        let begun = Instant::now();
        let outcome = client.outcome(None, BUCKET, KEY, ID);
        let elapsed = begun.elapsed();
        self.judge(&outcome, elapsed);
        if let Some(server) = server {
            self.judge_server(server, &outcome);
        }
        if self.next_call_is_told_the_truth {
            let next = client.outcome(None, BUCKET, KEY, "an-upload-that-never-was");
            assert_eq!((next.code, next.http_status), (code::NO_SUCH_UPLOAD, 404), "the next call: {next:?}");
        }
        (self.check)(&Scene { outcome: &outcome, client: &client, server });
        if let Some(server) = server {
            assert!(!self.upload_exists || server.object_exists(BUCKET, KEY), "the object was deleted");
        }
    }

    fn judge(&self, outcome: &Outcome, elapsed: Duration) {
        let code =
            if self.or_out_of_time && outcome.code == code::TIMEOUT { code::TIMEOUT } else { self.code };
        assert_eq!(
            (outcome.code, outcome.http_status),
            (code, self.http_status),
            "code and HTTP status: {outcome:?}"
        );
        if let Some(attempts) = self.attempts {
            assert_eq!(outcome.attempts, attempts, "attempts: {outcome:?}");
        }
        if self.service_code.is_some() {
            assert_eq!(outcome.service_code.as_deref(), self.service_code, "service code: {outcome:?}");
        }
        assert!(elapsed <= self.within, "took {elapsed:?}, more than {:?}: {outcome:?}", self.within);
        assert!(elapsed >= self.at_least, "took {elapsed:?}, less than {:?}: {outcome:?}", self.at_least);
        // SAFETY: a static string.
        let name = unsafe { borrowed(lib().obs_abort_code_name(outcome.code)) }.unwrap();
        if let Some(message) = &outcome.message {
            assert!(message.starts_with(&format!("{name}: ")), "message: {message}");
            assert!(!message.contains(char::is_control), "message: {message:?}");
            assert!(!message.contains(SECRET_KEY), "message: {message}");
            assert!(message.contains(self.says), "no {:?} in the message: {message}", self.says);
        }
    }

    fn judge_server(&self, server: &Server, outcome: &Outcome) {
        if !self.not_journaled {
            let seen = server.journal().iter().filter(|entry| entry.method == "DELETE").count();
            let told = (outcome.attempts + self.calls_before) as usize;
            assert_eq!(seen, told, "abort requests that the server saw, and attempts told");
        }
        if let Some(connections) = self.connections {
            assert_eq!(server.connections_accepted(), connections, "connections");
        }
        if outcome.code == code::OK && !self.not_carried_out {
            assert!(!server.upload_exists(BUCKET, KEY, ID), "success, and the upload is still there");
        }
    }
}

/// Runs rows beside one another, and names those that failed.
pub fn run(rows: Vec<Row>) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(rows.len()) {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| row.run())) {
                        let why = panic.downcast_ref::<String>().map(String::as_str);
                        let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked");
                        failures.lock().unwrap().push(format!("row \"{}\": {why}", row.name));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} rows failed\n{}", failures.len(), rows.len(), failures.join("\n"));
}
