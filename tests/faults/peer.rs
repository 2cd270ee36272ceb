//! Servers of a row's own, on raw sockets: one function serves each connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Ends when it is dropped; connections end with their clients.
pub struct Peer {
    addr: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Peer {
    pub fn start(serve: fn(usize, TcpStream)) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Peer { addr: listener.local_addr().unwrap(), over: Arc::default() };
        let over = Arc::clone(&peer.over);
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().flatten().enumerate() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_nodelay(true).unwrap();
                // So that no thread outlives its row by much.
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                std::thread::spawn(move || serve(n, stream));
            }
        });
        peer
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
    }
}

/// Reads one request; false when the client has gone.
pub fn request(stream: &mut TcpStream) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// Sends what the client may no longer want.
pub fn send(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    let _ = stream.write_all(bytes.as_ref());
}

/// Answers every request in the same way, as long as there are any.
pub fn answer_all(stream: &mut TcpStream, answer: &str) {
    while request(stream) {
        send(stream, answer);
    }
}

/// Says nothing until the client goes.
pub fn until_closed(stream: &mut TcpStream) {
    let mut sink = [0; 4096];
    while !matches!(stream.read(&mut sink), Ok(0) | Err(_)) {}
}
