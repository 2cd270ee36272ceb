//! A raw TCP server for tests that look at bytes: it keeps each request head as it came, and answers what the test says.

#![allow(dead_code, missing_docs, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

pub const GONE: &[u8] = b"HTTP/1.1 204 No Content\r\nx-obs-request-id: R1\r\n\r\n";

/// It lives until the test program ends: a listener and a thread, no more.
pub struct Recorder {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<Head>>>,
}

impl Recorder {
    /// Answers every request with 204.
    pub fn start() -> Recorder {
        Recorder::answering(|_| GONE.to_vec())
    }

    /// Answers with these bytes. A connection whose answer does not begin with a status line is closed after it.
    pub fn answering(answer: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&heads), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &kept, &*answer));
            }
        });
        Recorder { address, heads }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
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

fn serve(mut stream: TcpStream, heads: &Mutex<Vec<Head>>, answer: &(dyn Fn(&Head) -> Vec<u8> + Send + Sync)) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
        while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            let head = Head::parse(std::str::from_utf8(&bytes[..end]).expect("heads are ASCII"));
            bytes = rest;
            // Kept first: the client may look as soon as it has its answer.
            heads.lock().unwrap().push(head.clone());
            let reply = answer(&head);
            if stream.write_all(&reply).is_err() || !reply.starts_with(b"HTTP/1.1 ") {
                return;
            }
        }
    }
}
