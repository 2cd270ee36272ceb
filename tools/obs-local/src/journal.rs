//! What the server saw: every request, or at least how many of which kind.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::options::JournalMode;
use crate::wire::Request;

/// One request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When its head and body had been read.
    pub instant: Instant,
    /// The same, since the server's start.
    pub at: Duration,
    /// Connections are numbered from 1.
    pub connection: u64,
    pub method: String,
    /// As it stood in the request line.
    pub target: String,
    pub host: String,
    /// The word before the access key: `OBS`, `AWS`, or nothing.
    pub scheme: String,
    /// Names as they were sent.
    pub headers: Vec<(String, String)>,
    pub body_len: usize,
    /// What was answered; 0 = nothing yet, or nothing that is HTTP.
    pub status: u16,
    /// The service code of an error (`NoSuchUpload`), else empty.
    pub code: String,
    /// Whether a fault was applied to it.
    pub fault: bool,
    /// Whether the request was carried out (a fault may answer without doing anything).
    pub executed: bool,
}

impl Entry {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        crate::signing::header(&self.headers, name)
    }

    fn json(&self) -> String {
        let headers: Vec<String> = self
            .headers
            .iter()
            // Signatures and tokens are no use in a file that people pass on.
            .filter(|(name, _)| !is_secret(name))
            .map(|(name, value)| format!("{}:{}", quote(name), quote(value)))
            .collect();
        format!(
            "{{\"at_ms\":{:.3},\"connection\":{},\"method\":{},\"target\":{},\"host\":{},\"scheme\":{},\"status\":{},\
             \"code\":{},\"fault\":{},\"executed\":{},\"body_len\":{},\"headers\":{{{}}}}}\n",
            self.at.as_secs_f64() * 1000.0,
            self.connection,
            quote(&self.method),
            quote(&self.target),
            quote(&self.host),
            quote(&self.scheme),
            self.status,
            quote(&self.code),
            self.fault,
            self.executed,
            self.body_len,
            headers.join(",")
        )
    }
}

fn is_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    header == "authorization" || header.ends_with("security-token")
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{0}'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Kept in every mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    /// Requests of each method.
    pub by_method: BTreeMap<String, u64>,
    /// Answers of each status; 0 = nothing that is HTTP.
    pub by_status: BTreeMap<u16, u64>,
    /// Errors of each service code.
    pub by_code: BTreeMap<String, u64>,
    /// Requests that a fault was applied to.
    pub faults: u64,
    /// Uploads aborted over HTTP, answers lost on the way included.
    pub aborted: u64,
    /// Objects deleted over HTTP.
    pub objects_deleted: u64,
    /// Bytes of all requests' bodies.
    pub body_bytes: u64,
}

impl Counts {
    pub fn status(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    pub fn code(&self, code: &str) -> u64 {
        self.by_code.get(code).copied().unwrap_or(0)
    }

    pub fn method(&self, method: &str) -> u64 {
        self.by_method.get(method).copied().unwrap_or(0)
    }
}

pub(crate) struct Journal {
    start: Instant,
    mode: JournalMode,
    kept: Mutex<Kept>,
}

struct Kept {
    entries: VecDeque<Entry>,
    /// The number of the first entry kept.
    first: u64,
    counts: Counts,
    file: Option<File>,
}

/// Which entry an answer belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(u64);

/// How a request was dealt with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Done<'a> {
    pub status: u16,
    pub code: &'a str,
    pub fault: bool,
    pub executed: bool,
}

impl Journal {
    pub fn new(mode: JournalMode, file: Option<File>) -> Self {
        // The file's lines are written from entries, so that some must be kept until they are answered.
        let mode = match mode {
            JournalMode::CountsOnly if file.is_some() => JournalMode::Last(10_000),
            mode => mode,
        };
        Self {
            start: Instant::now(),
            mode,
            kept: Mutex::new(Kept { entries: VecDeque::new(), first: 0, counts: Counts::default(), file }),
        }
    }

    /// Noted at once, since an answer may never come.
    pub fn arrived(&self, request: &Request, connection: u64) -> Ticket {
        let kept = &mut *self.kept.lock().unwrap();
        kept.counts.requests += 1;
        kept.counts.body_bytes += request.body.len() as u64;
        bump(&mut kept.counts.by_method, &request.method);
        let cap = match self.mode {
            JournalMode::CountsOnly => return Ticket(u64::MAX),
            JournalMode::Last(n) => n.max(1),
            JournalMode::Full => usize::MAX,
        };
        if kept.entries.len() >= cap {
            kept.entries.pop_front();
            kept.first += 1;
        }
        kept.entries.push_back(Entry {
            instant: request.arrived,
            at: request.arrived.duration_since(self.start),
            connection,
            method: request.method.clone(),
            target: request.target.clone(),
            host: request.header("host").unwrap_or("").to_owned(),
            scheme: request.scheme_word().to_owned(),
            headers: request.headers.clone(),
            body_len: request.body.len(),
            status: 0,
            code: String::new(),
            fault: false,
            executed: false,
        });
        Ticket(kept.first + kept.entries.len() as u64 - 1)
    }

    pub fn answered(&self, ticket: Ticket, done: Done) {
        let kept = &mut *self.kept.lock().unwrap();
        *kept.counts.by_status.entry(done.status).or_default() += 1;
        if !done.code.is_empty() {
            bump(&mut kept.counts.by_code, done.code);
        }
        kept.counts.faults += u64::from(done.fault);
        let entry = ticket.0.checked_sub(kept.first).and_then(|at| kept.entries.get_mut(at as usize));
        if let Some(entry) = entry {
            entry.status = done.status;
            entry.code = done.code.to_owned();
            entry.fault = done.fault;
            entry.executed = done.executed;
            if let Some(file) = &mut kept.file {
                // One write a line: whoever reads the file while the server runs sees whole lines.
                let _ = file.write_all(entry.json().as_bytes());
            }
        }
    }

    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.kept.lock().unwrap().counts);
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.kept.lock().unwrap().entries.iter().cloned().collect()
    }

    pub fn counts(&self) -> Counts {
        self.kept.lock().unwrap().counts.clone()
    }

    pub fn clear(&self) {
        let kept = &mut *self.kept.lock().unwrap();
        kept.first += kept.entries.len() as u64;
        kept.entries.clear();
        kept.counts = Counts::default();
    }
}

fn bump(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}
