//! Faults: what the server does wrong, to which requests, and how often.

use std::sync::Mutex;
use std::time::Duration;

use crate::wire::Request;
use crate::xml;

/// One rule: which requests it is for, and what they get instead of a good answer.
///
/// Rules are looked at in the order they were added; the first that matches and is not used up is applied. A rule is for
/// one request unless [`times`](Self::times) or [`always`](Self::always) say otherwise.
///
/// ```
/// use obs_local::{End, Fault};
/// use std::time::Duration;
/// // The first two aborts are refused; the request is not carried out.
/// Fault::answer(503).error("SlowDown").header("Retry-After", "1").method("DELETE").times(2);
/// // The abort is carried out, and its answer is lost.
/// Fault::real().cut(0).method("DELETE");
/// // The same, but a proxy says 502.
/// Fault::answer(502).body("<html>").executed();
/// // Half of an answer, then a reset.
/// Fault::real().cut(20).then(End::Reset);
/// // An answer that is no HTTP.
/// Fault::raw("SSH-2.0-OpenSSH_9.2\r\n");
/// // A connection that is closed before anything was read.
/// Fault::silence().at_accept();
/// // Never an answer.
/// Fault::silence().then(End::Stall).probability(0.01).always();
/// // A kept connection is closed without saying so.
/// Fault::real().then(End::Close);
/// // Headers of the real answer changed.
/// Fault::real().without("Date").header("x-obs-request-id", "r-1").query("uploads");
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    matcher: Matcher,
    skip: u64,
    left: Option<u64>,
    pub(crate) reply: Reply,
    pub(crate) execute: bool,
    pub(crate) delay: Duration,
    pub(crate) before: Vec<u8>,
    pub(crate) cut: Option<usize>,
    pub(crate) drip: Option<(usize, Duration)>,
    pub(crate) repeat: Option<(Vec<u8>, u64)>,
    pub(crate) end: Option<End>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) removed: Vec<String>,
    pub(crate) date_offsets_s: Vec<i64>,
    pub(crate) bare: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Real,
    Answer { status: u16, body: Vec<u8>, code: String },
    Raw(Vec<u8>),
    Nothing,
}

/// What becomes of the connection afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is kept, as far as the request allows that.
    KeepAlive,
    /// Closed in order (over TLS with close_notify), without `Connection: close` in the answer.
    Close,
    /// Closed without TLS's close_notify; in the clear the same as `Close`.
    Drop,
    /// Reset.
    Reset,
    /// The server's half is closed; it goes on reading until the client closes.
    HalfClose,
    /// Held open for ever, in silence, until the client closes.
    Stall,
}

#[derive(Clone, Debug, Default)]
struct Matcher {
    at_accept: bool,
    method: Option<String>,
    key: Option<String>,
    bucket: Option<String>,
    account: bool,
    query: Option<String>,
    target: Option<String>,
    reused: bool,
    probability: Option<f64>,
}

impl Fault {
    fn new(reply: Reply) -> Self {
        Self {
            matcher: Matcher::default(),
            skip: 0,
            left: Some(1),
            execute: matches!(reply, Reply::Real),
            reply,
            delay: Duration::ZERO,
            before: Vec::new(),
            cut: None,
            drip: None,
            repeat: None,
            end: None,
            headers: Vec::new(),
            removed: Vec::new(),
            date_offsets_s: Vec::new(),
            bare: false,
        }
    }

    /// The request is executed and its answer goes out, as changed by what follows.
    pub fn real() -> Self {
        Self::new(Reply::Real)
    }

    /// This answer, with the usual headers; the request is not executed.
    pub fn answer(status: u16) -> Self {
        Self::new(Reply::Answer { status, body: Vec::new(), code: String::new() })
    }

    /// These bytes and nothing else, then the connection is closed; the request is not executed.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Reply::Raw(bytes.into()))
    }

    /// No byte, then the connection is closed; the request is not executed.
    pub fn silence() -> Self {
        Self::new(Reply::Nothing)
    }

    // What the answer is.

    /// The body of an [`answer`](Self::answer).
    pub fn body(mut self, text: impl Into<Vec<u8>>) -> Self {
        if let Reply::Answer { body, .. } = &mut self.reply {
            *body = text.into();
        }
        self
    }

    /// OBS's error XML with this code as the body of an [`answer`](Self::answer).
    pub fn error(mut self, service_code: &str) -> Self {
        if let Reply::Answer { body, code, .. } = &mut self.reply {
            *code = service_code.into();
            *body = xml::error(service_code, "scripted by the test", "", "", "");
        }
        self
    }

    /// One more header, in place of the server's own of that name. Content-Length can be falsified so.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The server's own header of that name is left out.
    pub fn without(mut self, name: &str) -> Self {
        self.removed.push(name.into());
        self
    }

    /// A Date so many seconds from the server's clock, in place of the server's own: a gateway that writes its own. Twice:
    /// two Dates. Signatures and the times of uploads go on by the server's clock.
    pub fn date_offset(mut self, seconds: i64) -> Self {
        self.date_offsets_s.push(seconds);
        self
    }

    /// None of the server's own headers but Content-Length.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// The request is carried out, whatever is answered.
    pub fn executed(mut self) -> Self {
        self.execute = true;
        self
    }

    // How it is sent.

    /// So long after the request (or the accept) begins whatever is sent. The request itself is executed before.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Bytes sent before the answer: `HTTP/1.1 100 Continue\r\n\r\n`.
    pub fn before(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.before = bytes.into();
        self
    }

    /// Only the first so many bytes are sent; then the connection is closed.
    pub fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// So many bytes at a time, with a pause between.
    pub fn drip(mut self, bytes: usize, pause: Duration) -> Self {
        self.drip = Some((bytes.max(1), pause));
        self
    }

    /// After everything else, this again and again: bodies of a gigabyte, headers without end. It stops when the client
    /// goes away.
    pub fn repeat(mut self, unit: impl Into<Vec<u8>>, times: u64) -> Self {
        self.repeat = Some((unit.into(), times));
        self
    }

    /// What becomes of the connection. Unless said: real and scripted answers keep it, everything else closes it.
    pub fn then(mut self, end: End) -> Self {
        self.end = Some(end);
        self
    }

    // For which requests.

    /// For connections as they are accepted, before TLS; no request matters. For `silence` and `raw`; with
    /// `then(End::KeepAlive)` the connection is served afterwards.
    pub fn at_accept(mut self) -> Self {
        self.matcher.at_accept = true;
        self
    }

    pub fn method(mut self, method: &str) -> Self {
        self.matcher.method = Some(method.into());
        self
    }

    /// For requests about the object of this (decoded) key.
    pub fn key(mut self, key: &str) -> Self {
        self.matcher.key = Some(key.into());
        self
    }

    pub fn bucket(mut self, bucket: &str) -> Self {
        self.matcher.bucket = Some(bucket.into());
        self
    }

    /// For requests about no bucket: the list of buckets.
    pub fn account(mut self) -> Self {
        self.matcher.account = true;
        self
    }

    /// For requests with a query parameter of this name: `uploads` (listing), `uploadId` (abort, list parts).
    pub fn query(mut self, name: &str) -> Self {
        self.matcher.query = Some(name.into());
        self
    }

    /// For requests whose raw target contains this.
    pub fn target_contains(mut self, text: &str) -> Self {
        self.matcher.target = Some(text.into());
        self
    }

    /// Only for requests that are not the first of their connection.
    pub fn reused_connection(mut self) -> Self {
        self.matcher.reused = true;
        self
    }

    /// Each matching request is hit with this probability (0 to 1), from the server's seed.
    pub fn probability(mut self, probability: f64) -> Self {
        self.matcher.probability = Some(probability);
        self
    }

    /// The first so many matching requests are spared.
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// For so many requests.
    pub fn times(mut self, requests: u64) -> Self {
        self.left = Some(requests);
        self
    }

    /// For every matching request from now on.
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    fn matches(&self, request: &Request, reused: bool) -> bool {
        let is = |wanted: &Option<String>, actual: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == actual)
        };
        let matcher = &self.matcher;
        !matcher.at_accept
            && (!matcher.reused || reused)
            && (!matcher.account || request.place.bucket.is_none())
            && is(&matcher.method, Some(&request.method))
            && is(&matcher.key, request.place.key.as_deref())
            && is(&matcher.bucket, request.place.bucket.as_deref())
            && matcher.query.as_deref().is_none_or(|name| request.query(name).is_some())
            && matcher.target.as_deref().is_none_or(|text| request.target.contains(text))
    }

    /// What becomes of the connection, as said or as follows from the rest.
    pub(crate) fn ending(&self) -> End {
        let usual = match self.reply {
            Reply::Real | Reply::Answer { .. } if self.cut.is_none() => End::KeepAlive,
            _ => End::Close,
        };
        self.end.unwrap_or(usual)
    }
}

/// The rules of one server.
pub(crate) struct Faults {
    rules: Mutex<(Vec<Fault>, Random)>,
}

impl Faults {
    pub fn new(seed: u64) -> Self {
        Self { rules: Mutex::new((Vec::new(), Random::new(seed))) }
    }

    pub fn add(&self, fault: Fault) {
        self.rules.lock().unwrap().0.push(fault);
    }

    pub fn clear(&self) {
        self.rules.lock().unwrap().0.clear();
    }

    pub fn left(&self) -> usize {
        self.rules.lock().unwrap().0.len()
    }

    pub fn for_request(&self, request: &Request, reused: bool) -> Option<Fault> {
        self.pick(|fault| fault.matches(request, reused))
    }

    pub fn for_accept(&self) -> Option<Fault> {
        self.pick(|fault| fault.matcher.at_accept)
    }

    fn pick(&self, matches: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let (rules, random) = &mut *self.rules.lock().unwrap();
        for position in 0..rules.len() {
            let rule = &mut rules[position];
            if !matches(rule) || rule.matcher.probability.is_some_and(|p| random.unit() >= p) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            let picked = rule.clone();
            if let Some(left) = &mut rule.left {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    rules.remove(position);
                }
            }
            return Some(picked);
        }
        None
    }
}

/// SplitMix64: enough for dice, and the same on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
