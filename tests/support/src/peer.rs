//! What obs-local can't play: a scripted server on a raw socket, for tests that look at bytes or at the order of events,
//! and endpoints at which nobody serves.

#![allow(dead_code, missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

use std::any::Any;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};

const GONE: &str = "HTTP/1.1 204 No Content\r\nx-obs-request-id: R1\r\n\r\n";

/// A scripted server: one function serves each connection on a thread of its own. It accepts until it is dropped;
/// connections end with their clients.
pub struct Peer {
    pub address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Peer {
    /// `serve` gets the number of the connection, from 0, and the connection.
    pub fn start(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Peer { address: listener.local_addr().unwrap(), over: Arc::default() };
        let (over, serve) = (Arc::clone(&peer.over), Arc::new(serve));
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().flatten().enumerate() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_nodelay(true).unwrap();
                // So that no thread outlives its test by much.
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(n, stream));
            }
        });
        peer
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads one request head; None when the client has gone.
pub fn request(stream: &mut TcpStream) -> Option<Head> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(Head::parse(std::str::from_utf8(&head).expect("heads are ASCII")))
}

/// Sends what the client may no longer want.
pub fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    let _ = stream.write_all(bytes.as_ref());
}

/// Answers every request in the same way, as long as there are any.
pub fn answer_all(stream: &mut TcpStream, response: &str) {
    while request(stream).is_some() {
        send(stream, response);
    }
}

/// Says nothing until the client goes.
pub fn until_closed(stream: &mut TcpStream) {
    let mut sink = [0; 4096];
    while !matches!(stream.read(&mut sink), Ok(0) | Err(_)) {}
}

/// One request head.
#[derive(Clone, Debug)]
pub struct Head {
    pub line: String,
    pub headers: Vec<(String, String)>,
}

impl Head {
    fn parse(text: &str) -> Head {
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| line.split_once(':').unwrap_or_else(|| panic!("{line:?} is no header")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Head { line, headers }
    }

    /// The value of a header that is there at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice: {self:?}");
        value
    }
}

/// A peer that keeps each request head as it came, and answers what the test says.
pub struct Recorder {
    peer: Peer,
    heads: Arc<Mutex<Vec<Head>>>,
}

impl Recorder {
    /// Answers every request with 204.
    pub fn start() -> Recorder {
        Recorder::answering(|_| GONE.into())
    }

    /// Answers with these bytes. A connection whose answer does not begin with a status line is closed after it.
    pub fn answering(answer: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) -> Recorder {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        let peer = Peer::start(move |_, mut stream| {
            while let Some(head) = request(&mut stream) {
                // Kept first: the client may look as soon as it has its answer.
                kept.lock().unwrap().push(head.clone());
                let reply = answer(&head);
                send(&mut stream, &reply);
                if !reply.starts_with(b"HTTP/1.1 ") {
                    return;
                }
            }
        });
        Recorder { peer, heads }
    }

    pub fn address(&self) -> SocketAddr {
        self.peer.address
    }

    pub fn url(&self) -> String {
        self.peer.url()
    }

    /// The requests so far.
    pub fn heads(&self) -> Vec<Head> {
        self.heads.lock().unwrap().clone()
    }

    /// The one request since the last look.
    pub fn take_one(&self) -> Head {
        let mut heads = std::mem::take(&mut *self.heads.lock().unwrap());
        assert_eq!(heads.len(), 1, "{heads:?}");
        heads.remove(0)
    }
}

/// An endpoint at which nobody serves, and what keeps it so.
pub struct Nobody {
    pub endpoint: String,
    pub _held: Box<dyn Any>,
}

/// A port that refuses connections: bound, and nobody listens.
pub fn refusing() -> Nobody {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    rustix::net::bind(&socket, &any).unwrap();
    let at = SocketAddr::try_from(rustix::net::getsockname(&socket).unwrap()).unwrap();
    Nobody { endpoint: format!("http://{at}"), _held: Box::new(socket) }
}

/// A port that drops every SYN: its queue is full, and nobody accepts.
pub fn full() -> Nobody {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let at = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 10, "the queue is never full");
    }
    Nobody { endpoint: format!("http://{at}"), _held: Box::new((listener, waiting)) }
}
