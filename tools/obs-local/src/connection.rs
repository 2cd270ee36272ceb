//! One connection: requests one after the other, answers with the faults that were asked for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clock::Clock;
use crate::fault::{End, Fault, Reply};
use crate::journal::Done;
use crate::server::Shared;
use crate::service::{self, RequestIds};
use crate::signing;
use crate::wire::{self, Answer, Request, Unreadable};
use crate::xml;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Counts a connection as open for as long as it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) async fn serve(tcp: TcpStream, number: u64, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    shared.connections_open.fetch_add(1, Ordering::SeqCst);
    let open = Open(shared.clone());
    let _ = tcp.set_nodelay(true);
    let mut tcp = tcp;
    if let Some(fault) = shared.faults.for_accept() {
        let bytes = match &fault.reply {
            Reply::Raw(bytes) => bytes.clone(),
            _ => Vec::new(),
        };
        shared.timer.until(Instant::now() + fault.delay).await;
        if send(&mut tcp, &shared, &fault, bytes).await.is_err()
            || !matches!(end(&mut tcp, fault.ending()).await, After::GoOn)
        {
            return;
        }
    }
    match tls {
        None => requests(tcp, number, &shared).await,
        Some(acceptor) => match acceptor.accept(tcp).await {
            Ok(stream) => requests(stream, number, &shared).await,
            Err(_) => {
                shared.handshakes_failed.fetch_add(1, Ordering::SeqCst);
            }
        },
    }
    drop(open);
}

enum After {
    GoOn,
    Over,
}

async fn requests(mut io: impl Stream, number: u64, shared: &Arc<Shared>) {
    let mut buffer = Vec::new();
    let mut served = 0u64;
    loop {
        let request = match wire::read_request(&mut io, &mut buffer, &shared.addressing).await {
            Ok(request) => request,
            Err(Unreadable::Gone) => return,
            Err(Unreadable::Bad(status, code)) => {
                shared.bad_requests.fetch_add(1, Ordering::SeqCst);
                let answer = Answer::new(status)
                    .header("Date", shared.clock.date_header())
                    .header("Connection", "close")
                    .body(xml::error(code, "The request cannot be read.", "", "", ""));
                let _ = io.write_all(&answer.render(false)).await;
                let _ = io.shutdown().await;
                return;
            }
        };
        match exchange(&mut io, &request, number, served > 0, shared).await {
            Ok(After::GoOn) => served += 1,
            Ok(After::Over) | Err(_) => return,
        }
    }
}

async fn exchange(
    io: &mut impl Stream,
    request: &Request,
    connection: u64,
    reused: bool,
    shared: &Arc<Shared>,
) -> io::Result<After> {
    let ticket = shared.journal.arrived(request, connection);
    let ids = RequestIds::next(shared);
    let fault = shared.faults.for_request(request, reused);
    let refusal = match fault {
        Some(_) => None,
        None => shared.over_rate(&ids),
    };
    let execute = refusal.is_none() && fault.as_ref().is_none_or(|fault| fault.execute);
    // Carried out on arrival, so that a client that gives up during the latency has still been served.
    let real = execute.then(|| service::answer(shared, request, &ids));
    let mut done = Done { fault: fault.is_some(), executed: execute, ..Done::default() };
    let bare = fault.as_ref().is_some_and(|fault| fault.bare);

    let answer = match fault.as_ref().map(|fault| &fault.reply) {
        None | Some(Reply::Real) => real.or(refusal),
        Some(Reply::Answer { status, body, code }) => {
            let mut answer = Answer::new(*status).body(body.clone());
            if !code.is_empty() {
                answer = answer.header("Content-Type", "application/xml");
            }
            answer.code = code.clone();
            Some(answer)
        }
        Some(Reply::Raw(_) | Reply::Nothing) => None,
    };

    let latency = Duration::from_micros(shared.latency_us.load(Ordering::Relaxed));
    let delay = latency + fault.as_ref().map_or(Duration::ZERO, |fault| fault.delay);
    if delay > Duration::ZERO {
        shared.timer.until(request.arrived + delay).await;
    }

    let bytes = match &answer {
        Some(answer) => {
            (done.status, done.code) = (answer.status, &answer.code);
            let mut whole = Answer::new(answer.status).body(Vec::new());
            if !bare {
                whole.headers = service::usual_headers(shared, request, &ids);
            }
            whole.headers.extend(answer.headers.iter().cloned());
            if !request.keep_alive {
                whole.headers.push(("Connection".into(), "close".into()));
            }
            whole.body.clone_from(&answer.body);
            if let Some(fault) = &fault {
                change_headers(&mut whole, fault, &shared.clock);
            }
            whole.render(request.method == "HEAD")
        }
        None => match fault.as_ref().map(|fault| &fault.reply) {
            Some(Reply::Raw(bytes)) => bytes.clone(),
            _ => Vec::new(),
        },
    };
    if fault.as_ref().is_some_and(|fault| fault.cut == Some(0)) {
        done.status = 0;
    }
    // Before the answer goes out: whoever has it finds it in the journal.
    shared.journal.answered(ticket, done);

    let Some(fault) = fault else {
        io.write_all(&bytes).await?;
        io.flush().await?;
        let ending = if request.keep_alive { End::KeepAlive } else { End::Close };
        return Ok(end(io, ending).await);
    };
    send(io, shared, &fault, bytes).await?;
    let ending = match fault.ending() {
        End::KeepAlive if !request.keep_alive => End::Close,
        ending => ending,
    };
    Ok(end(io, ending).await)
}

fn change_headers(answer: &mut Answer, fault: &Fault, clock: &Clock) {
    let named = |name: &str| fault.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let removed = |name: &str| fault.removed.iter().any(|gone| gone.eq_ignore_ascii_case(name));
    answer.headers.retain(|(name, _)| !named(name) && !removed(name));
    if removed("content-length") && signing::header(&fault.headers, "content-length").is_none() {
        answer.no_length = true;
    }
    if !fault.date_offsets_s.is_empty() {
        answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
    }
    let dates =
        fault.date_offsets_s.iter().map(|offset| ("Date".to_owned(), clock.wrong_date_header(*offset)));
    answer.headers.extend(dates.chain(fault.headers.iter().cloned()));
}

/// Sends `bytes` in the way the fault says.
async fn send(io: &mut impl Stream, shared: &Shared, fault: &Fault, bytes: Vec<u8>) -> io::Result<()> {
    let mut all = fault.before.clone();
    all.extend_from_slice(&bytes[..fault.cut.unwrap_or(usize::MAX).min(bytes.len())]);
    match fault.drip {
        None => io.write_all(&all).await?,
        Some((size, pause)) => {
            for (position, piece) in all.chunks(size).enumerate() {
                if position > 0 {
                    shared.timer.until(Instant::now() + pause).await;
                }
                io.write_all(piece).await?;
                io.flush().await?;
            }
        }
    }
    if let Some((unit, times)) = &fault.repeat {
        // In large writes: a gigabyte in pieces of a few bytes would take minutes.
        let batch = (64 * 1024 / unit.len().max(1)).max(1) as u64;
        let piece = unit.repeat(batch.min(*times) as usize);
        let mut left = *times;
        while left > 0 {
            let count = left.min(batch);
            io.write_all(&piece[..unit.len() * count as usize]).await?;
            left -= count;
            if let Some((_, pause)) = fault.drip {
                shared.timer.until(Instant::now() + pause).await;
            }
        }
    }
    io.flush().await
}

async fn end(io: &mut impl Stream, ending: End) -> After {
    match ending {
        End::KeepAlive => return After::GoOn,
        End::Close => {
            let _ = io.shutdown().await;
        }
        End::Drop => {}
        End::Reset => {
            // Without it, the kernel would send a FIN on close.
            let _ = SockRef::from(io.tcp()).set_linger(Some(Duration::ZERO));
        }
        End::HalfClose => {
            let _ = io.shutdown().await;
            until_closed(io).await;
        }
        End::Stall => until_closed(io).await,
    }
    After::Over
}

async fn until_closed(io: &mut impl Stream) {
    let mut sink = [0; 4096];
    while !matches!(io.read(&mut sink).await, Ok(0) | Err(_)) {}
}
