//! One signed request, sent until it is answered for good: retries, the clock, redirects, stale connections.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::auth::credentials::Credentials;
use crate::base::date;
use crate::base::deadline::{Deadline, Interrupted};
use crate::base::error::{Code, Error};
use crate::base::text::clean;
use crate::http::{ExchangeError, Request, RequestHead, Response, TransportError};
use crate::obs::bucket::{Addressing, Target};
use crate::obs::redirect;
use crate::obs::response::{self as response, Said, Verdict};
use crate::obs::sign::{Signable, Signature};
use crate::operation::client::Client;
use crate::operation::config::Level;
use crate::operation::log::Logger;
use crate::operation::rate_limit::{NoTurn, RateLimiter};
use crate::operation::retry;

/// How often a 307 or 308 is followed.
const MAX_HOPS: u32 = 3;

/// What is to be done, and within which bounds.
#[derive(Clone, Copy)]
pub struct Invocation<'a> {
    /// Whose.
    pub client: &'a Client,
    /// Where its lines go.
    pub log: Logger<'a>,
    /// For redirects.
    pub bucket: &'a str,
    /// DELETE or GET.
    pub method: &'static str,
    /// The status that means success.
    pub wanted: u16,
    /// Bounds all attempts and waits.
    pub deadline: &'a Deadline,
    /// Shared by all who work at the same clean-up.
    pub rate_limiter: Option<&'a RateLimiter>,
    /// Whether anybody asks for the ids of a response that went well.
    pub ids: bool,
}

/// What the attempts so far came to. Kept by the caller, since confirmation goes on with the same attempts.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    /// Requests put on the stream.
    pub on_wire: u32,
    /// Those that count towards max_attempts.
    pub counted: u32,
    /// Whether something was done before, which this belongs to: it is not given up while it waits for its turn.
    pub follows: bool,
    /// Whether one of them may have been carried out although no response said so.
    pub maybe_done: bool,
    clock_corrected: bool,
    stale_replaced: bool,
    hops: u32,
}

impl Attempts {
    /// For what belongs to something that was done before.
    pub fn following() -> Attempts {
        Attempts { follows: true, ..Attempts::default() }
    }
}

/// What came of it in the end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// OK where the wanted status came.
    pub code: Code,
    /// Of the response that decided; 0 = none did.
    pub http_status: u16,
    /// What that response said of itself.
    pub said: Said,
    /// What happened, for a message.
    pub detail: String,
}

impl Reply {
    fn failed(error: Error) -> Reply {
        Reply { code: error.code, http_status: 0, said: Said::default(), detail: error.detail }
    }
}

/// What reads the body of a 200, where one is wanted: the response, the Unix seconds by which its request was dated, and the
/// body.
pub type PageReader<'a> = &'a mut dyn FnMut(&Response, i64, &mut dyn Read) -> Result<(), Error>;

/// Sends until it is answered, or until attempts or budget are used up. A redirect that is followed changes
/// `target` for what comes after.
pub fn send(
    invocation: &Invocation<'_>,
    target: &mut Target,
    attempts: &mut Attempts,
    mut page: Option<PageReader<'_>>,
) -> Reply {
    let Invocation { client, log, deadline, .. } = *invocation;
    let max_attempts = client.settings().max_attempts;
    let mut free = false;
    let mut fresh = false;
    let mut last: Option<Reply> = None;
    loop {
        let credentials = match deadline
            .check()
            .map_err(TransportError::Interrupted)
            .and_then(|()| client.credentials(deadline, log))
        {
            Ok(credentials) => credentials,
            Err(error) => return stopped(error, last),
        };
        match invocation.rate_limiter.map_or(Ok(()), |rate_limiter| {
            rate_limiter.wait(deadline, attempts.counted > 0 || attempts.follows)
        }) {
            Ok(()) => {}
            Err(NoTurn::Stopped(stop)) => return stopped(TransportError::Interrupted(stop), last),
            Err(NoTurn::Held(wait)) => {
                let why =
                    format!("the service asked to wait {} s, and there is no time for that", wait.as_secs());
                return match last {
                    Some(reply) => Reply { detail: format!("{}, {why}", reply.detail), ..reply },
                    None => Reply::failed(Error::new(Code::Throttled, why)),
                };
            }
        }
        if !free {
            attempts.counted += 1;
        }
        let of = Attempt(attempts.counted, max_attempts);
        let began = Instant::now();
        let outcome = attempt(invocation, target, &credentials, fresh, &mut page);
        (free, fresh) = (false, false);
        let (reply, wait_at_least) = match outcome {
            Ok((response, signature)) => {
                attempts.on_wire += 1;
                let Judged { verdict, reply, retry_after } =
                    judge(invocation, target, &response, &credentials, &signature, of);
                // Before a line is logged, which may have to wait for a slow callback.
                if let Some(rate_limiter) = invocation.rate_limiter {
                    rate_limiter.heard(verdict == Verdict::Throttled, retry_after, began);
                }
                log_response(invocation, target, &reply, of, began);
                if retry::may_have_been_carried_out(verdict, response.status) {
                    attempts.maybe_done = true;
                }
                match verdict {
                    Verdict::ClockSkew if !attempts.clock_corrected => {
                        if let Some(server_now) = response_date(&response) {
                            attempts.clock_corrected = true;
                            client.correct_clock(server_now);
                            log.log(Level::Warn, || {
                                format!("clock corrected: the server's is {}", server_now - date::unix_now())
                            });
                            free = true;
                            last = Some(reply);
                            continue;
                        }
                    }
                    Verdict::Redirect if attempts.hops < MAX_HOPS => {
                        match next_hop(invocation, target, &response) {
                            Ok(next) => {
                                attempts.hops += 1;
                                log.log(Level::Warn, || {
                                    format!(
                                        "redirected from {} to {}",
                                        target.authority.as_str(),
                                        next.authority.as_str()
                                    )
                                });
                                *target = next;
                                free = true;
                                last = Some(reply);
                                continue;
                            }
                            Err(why) => {
                                return Reply {
                                    detail: format!("{}: not followed, {why}", reply.detail),
                                    ..reply
                                };
                            }
                        }
                    }
                    _ => {}
                }
                if !retry::is_worth_another_try(verdict) {
                    return reply;
                }
                (reply, retry_after)
            }
            Err(ExchangeError { error, sent, stale }) => {
                if sent {
                    attempts.on_wire += 1;
                    attempts.maybe_done = true;
                }
                let error = match error {
                    TransportError::Transient(error) | TransportError::TimedOut(error) => error,
                    TransportError::Permanent(error) => return Reply::failed(suffixed(&error, of)),
                    stop @ TransportError::Interrupted(_) => return stopped(stop, last),
                };
                let reply = Reply::failed(suffixed(&error, of));
                fresh = true;
                if stale && !attempts.stale_replaced {
                    attempts.stale_replaced = true;
                    log.log(Level::Debug, || format!("a kept connection had died: {}", reply.detail));
                    free = true;
                    last = Some(reply);
                    continue;
                }
                (reply, None)
            }
        };
        if attempts.counted >= max_attempts {
            return reply;
        }
        let wait = retry::backoff(attempts.counted, random(), wait_at_least);
        if wait >= deadline.instant().saturating_duration_since(Instant::now()) {
            let detail =
                format!("{}, no time left to wait {} ms for another", reply.detail, wait.as_millis());
            return Reply { detail, ..reply };
        }
        log.log(Level::Warn, || format!("{}: again in {} ms", reply.detail, wait.as_millis()));
        last = Some(reply);
        if let Err(stop) = deadline.sleep(wait) {
            return stopped(TransportError::Interrupted(stop), last);
        }
    }
}

/// One request, dated and signed now. With the response comes the signature, which no message may repeat.
fn attempt(
    invocation: &Invocation<'_>,
    target: &Target,
    credentials: &Credentials,
    fresh: bool,
    page: &mut Option<PageReader<'_>>,
) -> Result<(Response, Signature), ExchangeError> {
    let client = invocation.client;
    let scheme = client.scheme(target.path_style);
    let dated = client.now();
    let date = date::rfc1123(dated);
    let request_payer = client.settings().request_payer;
    let signable = Signable {
        scheme,
        method: invocation.method,
        date: &date,
        request_payer,
        resource: &target.resource,
    };
    let signature = signable.sign(credentials);
    let mut head = RequestHead::new(invocation.method, &target.path_and_query, &target.authority);
    head.header("Date", &[&date]);
    head.header("Authorization", &signable.authorization(credentials, &signature));
    head.header("User-Agent", &[client.user_agent().as_bytes()]);
    if request_payer {
        head.header(scheme.request_payer_header(), &[b"requester"]);
    }
    if let Some(token) = credentials.security_token() {
        head.header(scheme.security_token_header(), &[token.as_bytes()]);
    }
    let ask = Request {
        https: target.https,
        at: &target.authority,
        head,
        deadline: invocation.deadline,
        connect_timeout: client.settings().connect_timeout,
        fresh,
    };
    let local = client.local();
    let response = match page {
        Some(page) => local.http.ask_page(ask, |response, body| page(response, dated, body)),
        None => local.http.ask(ask),
    };
    response.map(|response| (response, signature))
}

/// Which attempt of how many.
#[derive(Clone, Copy)]
struct Attempt(u32, u32);

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "attempt {} of {}", self.0, self.1)
    }
}

struct Judged {
    verdict: Verdict,
    reply: Reply,
    retry_after: Option<Duration>,
}

fn judge(
    invocation: &Invocation<'_>,
    target: &Target,
    response: &Response,
    credentials: &Credentials,
    signature: &Signature,
    of: Attempt,
) -> Judged {
    let status = response.status;
    let went_well = status == invocation.wanted;
    // Nothing of a success is shown but its ids, and those where somebody wants to know.
    let (said, secrets) = if went_well && !invocation.ids {
        (Said::default(), Vec::new())
    } else {
        let own = credentials.secrets().chain(invocation.client.proxy_secrets());
        (response::said(response, went_well), own.chain([signature.as_str()]).collect())
    };
    let verdict = response::verdict(status, said.code.as_deref(), invocation.wanted);
    let said = said.fit_to_show(&secrets);
    let code = match verdict {
        Verdict::Done => Code::Ok,
        Verdict::NoSuchUpload => Code::NoSuchUpload,
        Verdict::NoSuchBucket => Code::NoSuchBucket,
        Verdict::ClockSkew => Code::ClockSkew,
        Verdict::AccessDenied => Code::AccessDenied,
        Verdict::Throttled => Code::Throttled,
        Verdict::Server => Code::Server,
        Verdict::RequestTimeout | Verdict::Rejected => Code::Rejected,
        Verdict::Redirect | Verdict::OtherRedirect => Code::Redirect,
        Verdict::Unexpected => Code::Protocol,
    };
    if code == Code::Ok {
        return Judged {
            verdict,
            reply: Reply { code, http_status: status, said, detail: String::new() },
            retry_after: None,
        };
    }
    let header = |name: &str| Some(String::from_utf8_lossy(response.headers.get(name)?).into_owned());
    let mut detail = status.to_string();
    if let Some(code) = &said.code {
        detail.push(' ');
        detail.push_str(code);
    }
    if let Some(message) = &said.message {
        detail.push_str(" \"");
        detail.push_str(message);
        detail.push('"');
    }
    if matches!(verdict, Verdict::Redirect | Verdict::OtherRedirect) {
        match header("location") {
            Some(location) => {
                detail.push_str(" to ");
                detail.push_str(&clean(&location, &secrets));
            }
            None => detail.push_str(" without a Location"),
        }
    }
    if verdict == Verdict::ClockSkew {
        match response_date(response) {
            Some(server) => detail.push_str(&format!(
                ", this machine's clock is {} s from the server's",
                (date::unix_now() - server).abs()
            )),
            None => detail.push_str(", without a Date to correct the clock by"),
        }
    }
    if verdict == Verdict::Unexpected {
        detail.push_str(&format!(
            " instead of {}: {} is not an OBS service, or something between responses for it",
            invocation.wanted, target.authority
        ));
    }
    if let Some(proxy) = invocation.client.forward_proxy(target).filter(|_| status == 407) {
        detail.push_str(&format!(
            " from the proxy {proxy}: give it the right user and password in the proxy URL"
        ));
    }
    match &said.request_id {
        Some(id) => detail.push_str(&format!(" (request id {id}, {of})")),
        None => detail.push_str(&format!(" ({of})")),
    }
    let retry_after = header("retry-after").and_then(|value| {
        retry::retry_after(&value, response_date(response).unwrap_or_else(|| invocation.client.now()))
    });
    Judged { verdict, reply: Reply { code, http_status: status, said, detail }, retry_after }
}

fn next_hop(
    invocation: &Invocation<'_>,
    target: &Target,
    response: &Response,
) -> Result<Target, &'static str> {
    let location = response.headers.get("location").ok_or("it has no Location")?;
    let location = std::str::from_utf8(location)
        .ok()
        .filter(|text| text.is_ascii())
        .ok_or("its Location is not ASCII")?;
    let custom = invocation.client.settings().addressing == Addressing::CustomDomain;
    redirect::follow(target, invocation.client.endpoint(), invocation.bucket, custom, location)
}

/// The server's clock.
pub fn response_date(response: &Response) -> Option<i64> {
    date::parse_http(std::str::from_utf8(response.headers.get("date")?).ok()?)
}

fn suffixed(error: &Error, of: Attempt) -> Error {
    Error::new(error.code, format!("{} ({of})", error.detail))
}

fn stopped(error: TransportError, last: Option<Reply>) -> Reply {
    let before =
        last.map(|last| format!(", after {}: {}", last.code.name(), last.detail)).unwrap_or_default();
    Reply::failed(match error {
        TransportError::Interrupted(Interrupted::Cancelled) => {
            Error::new(Code::Cancelled, format!("the call was cancelled{before}"))
        }
        TransportError::Interrupted(Interrupted::DeadlinePassed) => {
            Error::new(Code::Timeout, format!("the time budget ran out{before}"))
        }
        TransportError::TimedOut(error)
        | TransportError::Transient(error)
        | TransportError::Permanent(error) => error,
    })
}

fn log_response(invocation: &Invocation<'_>, target: &Target, reply: &Reply, of: Attempt, began: Instant) {
    invocation.log.log(Level::Debug, || {
        format!(
            "{} {} {}: {} (request id {}, {of}, {} ms)",
            invocation.method,
            target.authority,
            target.path_and_query,
            reply.http_status,
            reply.said.request_id.as_deref().unwrap_or("none"),
            began.elapsed().as_millis()
        )
    });
}

/// 0 to 1; what jitter is made of. Should the system have no randomness, there is no jitter.
pub fn random() -> f64 {
    let mut bytes = [0_u8; 4];
    match rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}
