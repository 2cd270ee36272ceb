//! Faults, seen from raw sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use obs_local::*;

fn started() -> Server {
    Server::start(Options { buckets: vec!["bucket".into()], verify: false, ..Options::default() })
}

struct Peer(TcpStream);

impl Peer {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }

    fn ask(&mut self, method: &str, target: &str) {
        self.0
            .write_all(format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())
            .unwrap();
    }

    /// Up to the end of an answer's head; only for answers without a body.
    fn head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && self.0.read(&mut byte).unwrap() == 1 {
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// All that comes until the server closes, and how it ended.
    fn rest(&mut self) -> (String, Option<ErrorKind>) {
        let mut bytes = Vec::new();
        let error = self.0.read_to_end(&mut bytes).err().map(|error| error.kind());
        (String::from_utf8_lossy(&bytes).into_owned(), error)
    }
}

/// What the server sends to an abort on a new connection, to the end of that.
fn abort(server: &Server, id: &str) -> (String, Option<ErrorKind>) {
    let mut peer = Peer::connect(server);
    peer.ask("DELETE", &format!("/bucket/k?uploadId={id}"));
    peer.rest()
}

#[test]
fn scripted_answers_come_as_often_as_said_and_execute_nothing() {
    let server = started();
    let id = server.create_upload("bucket", "k");
    server.fault(
        Fault::answer(503).error("SlowDown").header("Retry-After", "1").method("DELETE").skip(1).times(2),
    );
    let mut peer = Peer::connect(&server);
    peer.ask("GET", "/bucket/none");
    assert!(peer.head().starts_with("HTTP/1.1 404 "));
    drop(peer);
    let mut statuses = Vec::new();
    for unknown in ["1", "2", "3", "4"] {
        let mut peer = Peer::connect(&server);
        peer.ask("DELETE", &format!("/bucket/k?uploadId={unknown}"));
        statuses.push(peer.head()[9..12].to_owned());
    }
    assert_eq!(statuses, ["404", "503", "503", "404"]);
    assert!(server.upload_exists("bucket", "k", &id));
    assert_eq!((server.faults_left(), server.counts().faults, server.counts().code("SlowDown")), (0, 2, 2));
}

#[test]
fn an_abort_can_be_carried_out_and_its_answer_lost() {
    let server = started();
    for (fault, kept) in [
        (Fault::real().cut(0), 0),
        (Fault::real().cut(20), 20),
        (Fault::silence().executed(), 0),
        (Fault::real().cut(20).then(End::Reset), 20),
    ] {
        let id = server.create_upload("bucket", "k");
        server.fault(fault);
        let (text, _) = abort(&server, &id);
        assert_eq!(text, "HTTP/1.1 204 No Content\r\n"[..kept]);
        assert!(server.was_aborted(&id));
    }
    let id = server.create_upload("bucket", "k");
    server.fault(Fault::answer(502).body("<html>").executed().then(End::Close));
    let (text, _) = abort(&server, &id);
    assert!(text.starts_with("HTTP/1.1 502 Bad Gateway\r\n") && text.ends_with("<html>"));
    assert!(server.was_aborted(&id));
    let entry = server.journal().pop().unwrap();
    assert!(entry.executed && entry.fault && entry.status == 502);
}

#[test]
fn bytes_go_out_as_they_are() {
    let server = started();
    server.fault(Fault::raw("SSH-2.0-OpenSSH_9.2\r\n"));
    assert_eq!(abort(&server, "1"), ("SSH-2.0-OpenSSH_9.2\r\n".into(), None));
    server.fault(Fault::silence());
    assert_eq!(abort(&server, "1"), (String::new(), None));
    server.fault(
        Fault::answer(204).bare().header("X", "1").before("HTTP/1.1 100 Continue\r\n\r\n").then(End::Close),
    );
    assert_eq!(abort(&server, "1").0, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX: 1\r\n\r\n");
    server.fault(Fault::raw("HTTP/1.1 500 x\r\n").repeat("A: b\r\n", 100_000));
    assert_eq!(abort(&server, "1").0.len(), 16 + 600_000);
    server.fault(Fault::answer(500).body("abc").without("Content-Length").without("Date").then(End::Close));
    let (text, _) = abort(&server, "1");
    assert!(text.ends_with("\r\n\r\nabc") && !text.contains("Content-Length") && !text.contains("Date"));
    server.fault(Fault::real().header("Content-Length", "-1").then(End::Close));
    assert!(abort(&server, "1").0.contains("Content-Length: -1\r\n"));
}

#[test]
fn connections_end_as_asked() {
    let server = started();
    server.fault(Fault::silence().then(End::Reset));
    assert_eq!(abort(&server, "1"), (String::new(), Some(ErrorKind::ConnectionReset)));

    // Kept alive, and closed after an answer that does not say so.
    let mut peer = Peer::connect(&server);
    server.create_upload_with_id("bucket", "k", "A", &Initiated::Missing);
    server.create_upload_with_id("bucket", "k", "B", &Initiated::Missing);
    server.fault(Fault::real().reused_connection().then(End::Close));
    peer.ask("DELETE", "/bucket/k?uploadId=A");
    let head = peer.head();
    assert!(head.starts_with("HTTP/1.1 204"), "{head}");
    peer.ask("DELETE", "/bucket/k?uploadId=B");
    let (text, error) = peer.rest();
    assert!(text.starts_with("HTTP/1.1 204") && !text.contains("Connection") && error.is_none());

    server.fault(Fault::silence().then(End::Stall));
    let mut peer = Peer::connect(&server);
    peer.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    peer.ask("DELETE", "/bucket/k?uploadId=A");
    assert_eq!(peer.rest().1, Some(ErrorKind::WouldBlock));
    assert_eq!(server.connections_open(), 1);
    drop(peer);
    let begun = Instant::now();
    while server.connections_open() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "the stalled connection outlives its client");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn connections_can_fail_before_any_request() {
    let server = started();
    server.fault(Fault::silence().at_accept());
    server.fault(Fault::raw("220 ready\r\n").at_accept());
    server.fault(Fault::silence().at_accept().delay(Duration::from_millis(150)).then(End::KeepAlive));
    assert_eq!(Peer::connect(&server).rest(), (String::new(), None));
    assert_eq!(Peer::connect(&server).rest(), ("220 ready\r\n".into(), None));
    let begun = Instant::now();
    let mut peer = Peer::connect(&server);
    peer.ask("HEAD", "/bucket/");
    assert!(peer.head().starts_with("HTTP/1.1 200"));
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!((server.connections_accepted(), server.counts().requests), (3, 1));
}

#[test]
fn answers_are_delayed_and_dripped() {
    let server = started();
    server.fault(Fault::real().delay(Duration::from_millis(120)).then(End::Close));
    let begun = Instant::now();
    abort(&server, "1");
    let taken = begun.elapsed();
    assert!(taken >= Duration::from_millis(120) && taken < Duration::from_millis(400), "{taken:?}");
    server.fault(Fault::raw("0123456789").drip(2, Duration::from_millis(30)));
    let begun = Instant::now();
    assert_eq!(abort(&server, "1").0, "0123456789");
    assert!(begun.elapsed() >= Duration::from_millis(120));
}

#[test]
fn probability_follows_the_seed() {
    let statuses = |seed| {
        let server = Server::start(Options {
            buckets: vec!["bucket".into()],
            verify: false,
            seed,
            ..Options::default()
        });
        server.fault(Fault::answer(500).probability(0.3).always());
        for _ in 0..200 {
            let mut peer = Peer::connect(&server);
            peer.ask("HEAD", "/bucket/");
            peer.head();
        }
        server.journal().iter().map(|entry| entry.status).collect::<Vec<_>>()
    };
    let first = statuses(7);
    let hits = first.iter().filter(|status| **status == 500).count();
    assert!((30..90).contains(&hits), "{hits} of 200");
    assert_eq!(first, statuses(7));
    assert_ne!(first, statuses(8));
}

#[test]
fn rules_can_be_written_as_text() {
    let server = started();
    let rule = "answer=503; error=SlowDown; header=Retry-After: 2; method=DELETE; times=1; then=close";
    server.fault(rule.parse().unwrap());
    let (text, _) = abort(&server, "1");
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("Retry-After: 2\r\n"), "{text}");
    server.fault(r"raw=a\;b\r\n\x01;cut=5".parse().unwrap());
    assert_eq!(abort(&server, "1").0, "a;b\r\n");
    for bad in
        ["", "method=DELETE", "answer=x", "real;silence", "real;oops", r"raw=\x0", "real;date-offset-s=soon"]
    {
        assert!(bad.parse::<Fault>().is_err(), "{bad}");
    }
}

/// The Date alone is wrong: the signature of the same request is still judged by the server's clock.
#[test]
fn dates_of_its_own() {
    let server = Server::start(Options { buckets: vec!["bucket".into()], ..Options::default() });
    let client = client::Client::new(&server.endpoint(), ACCESS_KEY, SECRET_KEY);
    let day = 86_400;
    let now = || unix_ms(std::time::SystemTime::now());
    for (rule, offsets) in [
        ("real;date-offset-s=172800", &[2 * day][..]),
        ("real;date-offset-s=-172800", &[-2 * day]),
        ("real;date-offset-s=0;date-offset-s=172800", &[0, 2 * day]),
        ("answer=200;date-offset-s=172800", &[2 * day]),
        ("real;without=Date", &[]),
    ] {
        server.fault(rule.parse().unwrap());
        let before = now();
        let response = client.list_uploads("bucket", "").unwrap();
        assert_eq!(response.status, 200, "{rule}: {}", response.text());
        let dates: Vec<_> =
            response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("date")).collect();
        assert_eq!(dates.len(), offsets.len(), "{rule}");
        for ((_, date), offset) in dates.into_iter().zip(offsets) {
            let mut good = (before / 1000..=now() / 1000).map(|second| http_date(second + offset));
            assert!(good.any(|good| good == *date), "{rule}: {date}");
        }
    }
}
