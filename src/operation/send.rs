//! One signed request, sent until it is answered for good: retries, the clock, redirects, stale connections.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::auth::credentials::Credentials;
use crate::base::date;
use crate::base::deadline::{Stop, Watch};
use crate::base::error::{Code, Error};
use crate::base::text::clean;
use crate::http::{Answer, Ask, Head, Trouble, Unanswered};
use crate::obs::bucket::{Addressing, Target};
use crate::obs::redirect;
use crate::obs::response::{self as answer, Meaning, Said};
use crate::obs::sign::{Signable, Signature};
use crate::operation::client::Client;
use crate::operation::config::Level;
use crate::operation::log::Logger;
use crate::operation::rate_limit::{Missed, Pace};
use crate::operation::retry;

/// How often a 307 or 308 is followed.
const MAX_HOPS: u32 = 3;

/// What is to be done, and within which bounds.
#[derive(Clone, Copy)]
pub struct Errand<'a> {
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
    pub watch: &'a Watch,
    /// Shared by all who work at the same clean-up.
    pub pace: Option<&'a Pace>,
    /// Whether anybody asks for the ids of an answer that went well.
    pub ids: bool,
}

/// What the attempts so far came to. Kept by the caller, since confirmation goes on with the same tally.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests put on the wire.
    pub on_wire: u32,
    /// Those that count towards max_attempts.
    pub counted: u32,
    /// Whether something was done before, which this belongs to: it is not given up while it waits for its turn.
    pub follows: bool,
    /// Whether one of them may have been carried out although no answer said so.
    pub maybe_done: bool,
    clock_corrected: bool,
    stale_replaced: bool,
    hops: u32,
}

impl Tally {
    /// For what belongs to something that was done before.
    pub fn following() -> Tally {
        Tally { follows: true, ..Tally::default() }
    }
}

/// What came of it in the end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// OK where the wanted status came.
    pub code: Code,
    /// Of the answer that decided; 0 = none did.
    pub http_status: u16,
    /// What that answer said of itself.
    pub said: Said,
    /// What happened, for a message.
    pub detail: String,
}

impl Reply {
    fn failed(error: Error) -> Reply {
        Reply { code: error.code, http_status: 0, said: Said::default(), detail: error.detail }
    }
}

/// What reads the body of a 200, where one is wanted: the answer, the Unix seconds by which its request was dated, and the
/// body.
pub type PageReader<'a> = &'a mut dyn FnMut(&Answer, i64, &mut dyn Read) -> Result<(), Error>;

/// Sends until it is answered, or until attempts or budget are used up. A redirect that is followed changes
/// `target` for what comes after.
pub fn send(
    errand: &Errand<'_>,
    target: &mut Target,
    tally: &mut Tally,
    mut page: Option<PageReader<'_>>,
) -> Reply {
    let Errand { client, log, watch, .. } = *errand;
    let max_attempts = client.settings().max_attempts;
    let mut free = false;
    let mut fresh = false;
    let mut last: Option<Reply> = None;
    loop {
        let credentials =
            match watch.check().map_err(Trouble::Stopped).and_then(|()| client.credentials(watch, log)) {
                Ok(credentials) => credentials,
                Err(trouble) => return stopped(trouble, last),
            };
        match errand.pace.map_or(Ok(()), |pace| pace.wait(watch, tally.counted > 0 || tally.follows)) {
            Ok(()) => {}
            Err(Missed::Stopped(stop)) => return stopped(Trouble::Stopped(stop), last),
            Err(Missed::Held(wait)) => {
                let why =
                    format!("the service asked to wait {} s, and there is no time for that", wait.as_secs());
                return match last {
                    Some(reply) => Reply { detail: format!("{}, {why}", reply.detail), ..reply },
                    None => Reply::failed(Error::new(Code::Throttled, why)),
                };
            }
        }
        if !free {
            tally.counted += 1;
        }
        let of = Attempt(tally.counted, max_attempts);
        let began = Instant::now();
        let outcome = attempt(errand, target, &credentials, fresh, &mut page);
        (free, fresh) = (false, false);
        let (reply, wait_at_least) = match outcome {
            Ok((answer, signature)) => {
                tally.on_wire += 1;
                let Judged { meaning, reply, retry_after } =
                    judge(errand, target, &answer, &credentials, &signature, of);
                // Before a line is logged, which may have to wait for a slow callback.
                if let Some(pace) = errand.pace {
                    pace.heard(meaning == Meaning::Throttled, retry_after, began);
                }
                log_answer(errand, target, &reply, of, began);
                if retry::may_have_been_carried_out(meaning, answer.status) {
                    tally.maybe_done = true;
                }
                match meaning {
                    Meaning::ClockSkew if !tally.clock_corrected => {
                        if let Some(server_now) = answer_date(&answer) {
                            tally.clock_corrected = true;
                            client.correct_clock(server_now);
                            log.log(Level::Warn, || {
                                format!("clock corrected: the server's is {}", server_now - date::unix_now())
                            });
                            free = true;
                            last = Some(reply);
                            continue;
                        }
                    }
                    Meaning::Redirect if tally.hops < MAX_HOPS => match next_hop(errand, target, &answer) {
                        Ok(next) => {
                            tally.hops += 1;
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
                    },
                    _ => {}
                }
                if !retry::is_worth_another_try(meaning) {
                    return reply;
                }
                (reply, retry_after)
            }
            Err(Unanswered { trouble, sent, stale }) => {
                if sent {
                    tally.on_wire += 1;
                    tally.maybe_done = true;
                }
                let error = match trouble {
                    Trouble::Failed(error) | Trouble::TooSlow(error) => error,
                    Trouble::Final(error) => return Reply::failed(suffixed(&error, of)),
                    stop @ Trouble::Stopped(_) => return stopped(stop, last),
                };
                let reply = Reply::failed(suffixed(&error, of));
                fresh = true;
                if stale && !tally.stale_replaced {
                    tally.stale_replaced = true;
                    log.log(Level::Debug, || format!("a kept connection had died: {}", reply.detail));
                    free = true;
                    last = Some(reply);
                    continue;
                }
                (reply, None)
            }
        };
        if tally.counted >= max_attempts {
            return reply;
        }
        let wait = retry::backoff(tally.counted, random(), wait_at_least);
        if wait >= watch.deadline().saturating_duration_since(Instant::now()) {
            let detail =
                format!("{}, no time left to wait {} ms for another", reply.detail, wait.as_millis());
            return Reply { detail, ..reply };
        }
        log.log(Level::Warn, || format!("{}: again in {} ms", reply.detail, wait.as_millis()));
        last = Some(reply);
        if let Err(stop) = watch.sleep(wait) {
            return stopped(Trouble::Stopped(stop), last);
        }
    }
}

/// One request, dated and signed now. With the answer comes the signature, which no message may repeat.
fn attempt(
    errand: &Errand<'_>,
    target: &Target,
    credentials: &Credentials,
    fresh: bool,
    page: &mut Option<PageReader<'_>>,
) -> Result<(Answer, Signature), Unanswered> {
    let client = errand.client;
    let scheme = client.scheme(target.path_style);
    let dated = client.now();
    let date = date::rfc1123(dated);
    let request_payer = client.settings().request_payer;
    let signable =
        Signable { scheme, method: errand.method, date: &date, request_payer, resource: &target.resource };
    let signature = signable.sign(credentials);
    let mut head = Head::new(errand.method, &target.path_and_query, &target.authority);
    head.header("Date", &[&date]);
    head.header("Authorization", &signable.authorization(credentials, &signature));
    head.header("User-Agent", &[client.user_agent().as_bytes()]);
    if request_payer {
        head.header(scheme.request_payer_header(), &[b"requester"]);
    }
    if let Some(token) = credentials.security_token() {
        head.header(scheme.security_token_header(), &[token.as_bytes()]);
    }
    let ask = Ask {
        https: target.https,
        at: &target.authority,
        head,
        watch: errand.watch,
        connect_timeout: client.settings().connect_timeout,
        fresh,
    };
    let local = client.local();
    let answer = match page {
        Some(page) => local.http.ask_page(ask, |answer, body| page(answer, dated, body)),
        None => local.http.ask(ask),
    };
    answer.map(|answer| (answer, signature))
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
    meaning: Meaning,
    reply: Reply,
    retry_after: Option<Duration>,
}

fn judge(
    errand: &Errand<'_>,
    target: &Target,
    answer: &Answer,
    credentials: &Credentials,
    signature: &Signature,
    of: Attempt,
) -> Judged {
    let status = answer.status;
    let went_well = status == errand.wanted;
    // Nothing of a success is shown but its ids, and those where somebody wants to know.
    let (said, secrets) = if went_well && !errand.ids {
        (Said::default(), Vec::new())
    } else {
        let own = credentials.secrets().chain(errand.client.proxy_secrets());
        (answer::said(answer, went_well), own.chain([signature.as_str()]).collect())
    };
    let meaning = answer::meaning(status, said.code.as_deref(), errand.wanted);
    let said = said.fit_to_show(&secrets);
    let code = match meaning {
        Meaning::Done => Code::Ok,
        Meaning::NoSuchUpload => Code::NoSuchUpload,
        Meaning::NoSuchBucket => Code::NoSuchBucket,
        Meaning::ClockSkew => Code::ClockSkew,
        Meaning::AccessDenied => Code::AccessDenied,
        Meaning::Throttled => Code::Throttled,
        Meaning::Server => Code::Server,
        Meaning::RequestTimeout | Meaning::Rejected => Code::Rejected,
        Meaning::Redirect | Meaning::OtherRedirect => Code::Redirect,
        Meaning::Unexpected => Code::Protocol,
    };
    if code == Code::Ok {
        return Judged {
            meaning,
            reply: Reply { code, http_status: status, said, detail: String::new() },
            retry_after: None,
        };
    }
    let header = |name: &str| Some(String::from_utf8_lossy(answer.headers.get(name)?).into_owned());
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
    if matches!(meaning, Meaning::Redirect | Meaning::OtherRedirect) {
        match header("location") {
            Some(location) => {
                detail.push_str(" to ");
                detail.push_str(&clean(&location, &secrets));
            }
            None => detail.push_str(" without a Location"),
        }
    }
    if meaning == Meaning::ClockSkew {
        match answer_date(answer) {
            Some(server) => detail.push_str(&format!(
                ", this machine's clock is {} s from the server's",
                (date::unix_now() - server).abs()
            )),
            None => detail.push_str(", without a Date to correct the clock by"),
        }
    }
    if meaning == Meaning::Unexpected {
        detail.push_str(&format!(
            " instead of {}: {} is not an OBS service, or something between answers for it",
            errand.wanted, target.authority
        ));
    }
    if let Some(proxy) = errand.client.forward_proxy(target).filter(|_| status == 407) {
        detail.push_str(&format!(
            " from the proxy {proxy}: give it the right user and password in the proxy URL"
        ));
    }
    match &said.request_id {
        Some(id) => detail.push_str(&format!(" (request id {id}, {of})")),
        None => detail.push_str(&format!(" ({of})")),
    }
    let retry_after = header("retry-after").and_then(|value| {
        retry::retry_after(&value, answer_date(answer).unwrap_or_else(|| errand.client.now()))
    });
    Judged { meaning, reply: Reply { code, http_status: status, said, detail }, retry_after }
}

fn next_hop(errand: &Errand<'_>, target: &Target, answer: &Answer) -> Result<Target, &'static str> {
    let location = answer.headers.get("location").ok_or("it has no Location")?;
    let location = std::str::from_utf8(location)
        .ok()
        .filter(|text| text.is_ascii())
        .ok_or("its Location is not ASCII")?;
    let custom = errand.client.settings().addressing == Addressing::CustomDomain;
    redirect::follow(target, errand.client.endpoint(), errand.bucket, custom, location)
}

/// The server's clock.
pub fn answer_date(answer: &Answer) -> Option<i64> {
    date::parse_http(std::str::from_utf8(answer.headers.get("date")?).ok()?)
}

fn suffixed(error: &Error, of: Attempt) -> Error {
    Error::new(error.code, format!("{} ({of})", error.detail))
}

fn stopped(trouble: Trouble, last: Option<Reply>) -> Reply {
    let before =
        last.map(|last| format!(", after {}: {}", last.code.name(), last.detail)).unwrap_or_default();
    Reply::failed(match trouble {
        Trouble::Stopped(Stop::Cancelled) => {
            Error::new(Code::Cancelled, format!("the call was cancelled{before}"))
        }
        Trouble::Stopped(Stop::Deadline) => {
            Error::new(Code::Timeout, format!("the time budget ran out{before}"))
        }
        Trouble::TooSlow(error) | Trouble::Failed(error) | Trouble::Final(error) => error,
    })
}

fn log_answer(errand: &Errand<'_>, target: &Target, reply: &Reply, of: Attempt, began: Instant) {
    errand.log.log(Level::Debug, || {
        format!(
            "{} {} {}: {} (request id {}, {of}, {} ms)",
            errand.method,
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
