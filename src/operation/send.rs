//! One operation: signed requests, sent until one succeeds or [`retry::next`] gives up.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::auth::credentials::{Credentials, CredentialsError};
use crate::base::date;
use crate::base::deadline::{Deadline, Interrupted};
use crate::base::error::{Code, Error};
use crate::base::text::without_secrets;
use crate::http::{ExchangeError, Request, RequestHead, Response, TransportError};
use crate::obs::bucket::{Bucket, Target};
use crate::obs::diagnosis::FailedRequest;
use crate::obs::foreign_body::BeginningReader;
use crate::obs::operation::Operation;
use crate::obs::redirect;
use crate::obs::response::{RequestIds, ServiceError, Verdict, date_of, interpret};
use crate::obs::sign::{Signature, StringToSign};
use crate::operation::client::Client;
use crate::operation::log::{Level, Logger};
use crate::operation::rate_limit::{AcquireError, RateLimiter};
use crate::operation::retry::{self, Attempts, FailureCause, Limits, Next};

/// One invocation of an operation on a bucket, and its bounds.
#[derive(Clone, Copy)]
pub struct Invocation<'a> {
    pub client: &'a Client,
    pub operation: Operation,
    pub bucket: &'a Bucket,
    /// Bounds all attempts and waits.
    pub deadline: &'a Deadline,
    /// Shared by the workers of one call.
    pub rate_limiter: Option<&'a RateLimiter>,
    pub turn: Turn,
    /// Called before each attempt, once it has its turn. An error ends the operation.
    pub before_attempt: Option<BeforeAttempt<'a>>,
    pub log: Logger<'a>,
}

/// Decides on an attempt, after what the earlier ones have come to.
pub type BeforeAttempt<'a> = &'a dyn Fn(&Attempts) -> Result<(), Failure>;

/// How requests wait for their turn, if there is a rate limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Until no new upload may begin.
    First,
    /// In any case: they belong to an abort that has begun.
    Begun,
    /// Not with their first attempt: it goes with the request that it precedes.
    Taken,
}

/// An operation that succeeded.
#[derive(Clone, Debug)]
pub struct Success {
    pub status: u16,
    pub ids: RequestIds,
}

/// An operation that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    pub error: Error,
    /// Of the response that decided; 0 if none did.
    pub status: u16,
    /// What that response said, fit for a message.
    pub service: ServiceError,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, status: 0, service: ServiceError::default() }
    }
}

impl Failure {
    /// The same with more to say.
    fn with_detail(mut self, more: &str) -> Failure {
        self.error.detail.push_str(more);
        self
    }
}

/// How a request was signed.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// By which time, in Unix seconds.
    pub dated: i64,
    pub signature: &'a str,
}

/// Reads the body of a 200: the response, how its request was signed, and the body.
pub type BodyReader<'a> = &'a mut dyn FnMut(&Response, Signed<'_>, &mut dyn Read) -> Result<(), Error>;

/// Sends until an attempt succeeds, or until attempts or time are used up. A redirect that is followed changes
/// `target` for the requests after it.
pub fn send(
    invocation: &Invocation<'_>,
    target: &mut Target,
    attempts: &mut Attempts,
    mut read: Option<BodyReader<'_>>,
) -> Result<Success, Failure> {
    let Invocation { client, deadline, .. } = *invocation;
    let max_attempts = client.settings().max_attempts;
    let mut last: Option<Failure> = None;
    let mut clock_correction = None;
    let mut new_connection = false;
    loop {
        let credentials = match prepare(invocation, attempts) {
            Ok(credentials) => credentials,
            Err(not_ready) => return Err(not_ready.after(last)),
        };
        if let Some(before_attempt) = invocation.before_attempt {
            before_attempt(attempts)?;
        }
        attempts.begin();
        let attempt = Attempt {
            invocation,
            target,
            credentials: &credentials,
            credentials_are_new: attempts.credentials_renewed,
            clock_correction,
            new_connection,
            ordinal: Ordinal { number: attempts.counted, max: max_attempts },
            throttled: attempts.throttled,
        };
        let failed = match attempt.run(&mut read) {
            Ok(success) => {
                attempts.sent += 1;
                return Ok(success);
            }
            Err(AttemptError::Interrupted { interrupted, request_sent }) => {
                attempts.sent += u32::from(request_sent);
                attempts.may_have_succeeded |= request_sent;
                return Err(NotReady::Interrupted(interrupted).after(last));
            }
            Err(AttemptError::Failed(failed)) => failed,
        };
        attempts.record(&failed.cause);
        let time_left = deadline.instant().saturating_duration_since(Instant::now());
        // Many workers that are refused and come back at once use up their attempts.
        let is_paced = invocation.rate_limiter.is_some() && failed.cause.is_throttled();
        let jitter = || if is_paced { random().midpoint(1.0) } else { random() };
        let next = retry::next(attempts, &failed.cause, Limits { max_attempts, time_left }, jitter);
        attempts.apply(&next);
        new_connection = matches!(failed.cause, FailureCause::Transport { .. });
        if next == Next::CorrectClock {
            clock_correction = failed.server_time.map(|server_now| server_now - date::unix_now());
        }
        last = Some(carry_out(invocation, target, &credentials, next, *failed)?);
    }
}

/// Does what comes before the next attempt, and returns the failure that it follows. An error is the result of the
/// operation.
fn carry_out(
    invocation: &Invocation<'_>,
    target: &mut Target,
    credentials: &Arc<Credentials>,
    next: Next,
    failed: FailedAttempt,
) -> Result<Failure, Failure> {
    let log = invocation.log;
    let FailedAttempt { failure, server_time, redirect, .. } = failed;
    match next {
        Next::GiveUp if redirect.is_some() => {
            return Err(failure.with_detail(": not followed, after as many redirects as are followed"));
        }
        Next::GiveUp => return Err(failure),
        Next::OutOfTime(wait) => {
            return Err(
                failure.with_detail(&format!(", no time left to wait {} ms for another", wait.as_millis()))
            );
        }
        Next::CorrectClock => {
            if let Some(server_time) = server_time {
                log.log(Level::Warn, || {
                    format!("clock corrected: the server's is {}", server_time - date::unix_now())
                });
            }
        }
        Next::RenewCredentials => {
            log.log(Level::Warn, || format!("{}: credentials fetched anew", failure.error.detail));
            match invocation.client.renew_credentials(credentials, invocation.deadline) {
                Ok(()) => {}
                Err(CredentialsError::Interrupted(interrupted)) => {
                    return Err(NotReady::Interrupted(interrupted).after(Some(failure)));
                }
                Err(CredentialsError::Unavailable(error)) => {
                    return Err(
                        failure.with_detail(&format!(", and no others could be had: {}", error.detail))
                    );
                }
            }
        }
        Next::FollowRedirect => {
            if let Some(redirect) = redirect {
                log.log(Level::Warn, || format!("redirected from {} to {}", target.origin, redirect.origin));
                *target = redirect;
            }
        }
        Next::ReplaceConnection => {
            log.log(Level::Debug, || format!("a kept connection had died: {}", failure.error.detail));
        }
        Next::Retry(wait) => {
            log.log(Level::Warn, || format!("{}: again in {} ms", failure.error.detail, wait.as_millis()));
            if let Err(interrupted) = invocation.deadline.sleep(wait) {
                return Err(NotReady::Interrupted(interrupted).after(Some(failure)));
            }
        }
    }
    Ok(failure)
}

/// Why an attempt did not begin.
enum NotReady {
    Interrupted(Interrupted),
    NoCredentials(Error),
    /// The service asked all to wait longer than there is time for.
    Throttled(Duration),
}

impl NotReady {
    /// The result of the operation, whose last attempt failed so, if there was one.
    fn after(self, last: Option<Failure>) -> Failure {
        let interrupted = |code, what: &str| {
            let last = last.as_ref();
            let before = last.map(|last| format!(", after {}", last.error)).unwrap_or_default();
            Failure::from(Error::new(code, format!("{what}{before}")))
        };
        match self {
            NotReady::Interrupted(Interrupted::Cancelled) => {
                interrupted(Code::Cancelled, "the call was cancelled")
            }
            NotReady::Interrupted(Interrupted::DeadlinePassed) => {
                interrupted(Code::Timeout, "the time budget ran out")
            }
            NotReady::NoCredentials(error) => error.into(),
            NotReady::Throttled(wait) => {
                let why = format!("the service asked to wait {} s, which is too long", wait.as_secs());
                match last {
                    Some(failure) => failure.with_detail(&format!(", {why}")),
                    None => Error::new(Code::Throttled, why).into(),
                }
            }
        }
    }
}

/// Waits for what an attempt needs: time, credentials, and its turn.
fn prepare(invocation: &Invocation<'_>, attempts: &Attempts) -> Result<Arc<Credentials>, NotReady> {
    let Invocation { client, deadline, .. } = *invocation;
    deadline.check().map_err(NotReady::Interrupted)?;
    let credentials = client.credentials(deadline).map_err(|error| match error {
        CredentialsError::Interrupted(interrupted) => NotReady::Interrupted(interrupted),
        CredentialsError::Unavailable(error) => NotReady::NoCredentials(error),
    })?;
    let has_turn = invocation.turn == Turn::Taken && attempts.counted == 0;
    if let Some(rate_limiter) = invocation.rate_limiter.filter(|_| !has_turn) {
        // A list that was refused is of no use to a sweep that was stopped.
        let is_abort = invocation.operation == Operation::AbortMultipartUpload;
        let has_begun = invocation.turn == Turn::Begun || is_abort && attempts.counted > 0;
        rate_limiter.acquire(deadline, has_begun, attempts.throttled).map_err(|error| match error {
            AcquireError::Interrupted(interrupted) => NotReady::Interrupted(interrupted),
            AcquireError::Throttled(wait) => NotReady::Throttled(wait),
        })?;
    }
    Ok(credentials)
}

/// Which attempt of how many.
#[derive(Clone, Copy)]
struct Ordinal {
    number: u32,
    max: u32,
}

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} of {}", self.number, self.max)
    }
}

/// One request, dated and signed when it is sent.
struct Attempt<'a> {
    invocation: &'a Invocation<'a>,
    target: &'a Target,
    credentials: &'a Credentials,
    /// Whether they were fetched because the service refused the ones before.
    credentials_are_new: bool,
    /// The server's clock minus this machine's, by a refusal of this operation. It becomes the client's once a request
    /// that was dated by it is accepted: the Date may have been a gateway's.
    clock_correction: Option<i64>,
    new_connection: bool,
    ordinal: Ordinal,
    /// Throttled responses to those before.
    throttled: u32,
}

/// How an attempt ended without success.
enum AttemptError {
    Interrupted { interrupted: Interrupted, request_sent: bool },
    Failed(Box<FailedAttempt>),
}

/// An attempt that failed.
struct FailedAttempt {
    failure: Failure,
    cause: FailureCause,
    /// The response's Date.
    server_time: Option<i64>,
    /// Where a redirect leads, if it may be followed.
    redirect: Option<Target>,
}

impl Attempt<'_> {
    fn run(&self, read: &mut Option<BodyReader<'_>>) -> Result<Success, AttemptError> {
        let Invocation { client, operation, deadline, .. } = *self.invocation;
        let clock_offset = self.clock_correction.unwrap_or_else(|| client.clock_offset());
        let dated = date::unix_now().saturating_add(clock_offset);
        let (head, signature) = self.sign(dated);
        let request = Request {
            origin: &self.target.origin,
            head,
            deadline,
            connect_timeout: client.settings().connect_timeout,
            response_timeout: client.settings().response_timeout,
            new_connection: self.new_connection,
        };
        let sent_at = Instant::now();
        let process = client.process_state();
        let proxy_secrets = client.proxy_secrets();
        let secrets: Vec<&str> =
            self.credentials.secrets().chain(proxy_secrets).chain([signature.as_str()]).collect();
        let response = match read {
            Some(read) => process.http.send_streaming(request, |response, body| {
                let mut body = BeginningReader::new(body);
                let signed = Signed { dated, signature: signature.as_str() };
                read(response, signed, &mut body).map_err(|error| {
                    self.failed_request(&secrets).refine_page_error(error, response, body.beginning())
                })
            }),
            None => process.http.send(request),
        };
        let response = response.map_err(|error| self.transport_failure(error, &secrets))?;
        let (verdict, service) = interpret(operation, &response);
        let success = verdict == Verdict::Success;
        if let (Some(offset), Verdict::Success | Verdict::NoSuchUpload) = (self.clock_correction, verdict) {
            client.set_clock_offset(offset);
        }
        let mut retry_after = if success { None } else { self.retry_after(&response) };
        // Before a line is logged, which may have to wait for a slow callback.
        if let Some(rate_limiter) = self.invocation.rate_limiter {
            self.observe(rate_limiter, verdict, retry_after, sent_at);
            // All wait for it then, for their turns.
            retry_after = retry_after.filter(|_| verdict != Verdict::Throttled);
        }
        let blames_credentials = service.blames_credentials(verdict);
        let service = service.sanitize(&secrets);
        self.log_response(&response, &service.ids, sent_at, &secrets);
        if success {
            return Ok(Success { status: response.status, ids: service.ids });
        }
        let failed =
            self.error_response(&response, verdict, service, blames_credentials, &secrets, retry_after);
        Err(AttemptError::Failed(Box::new(failed)))
    }

    fn observe(
        &self,
        rate_limiter: &RateLimiter,
        verdict: Verdict,
        retry_after: Option<Duration>,
        sent_at: Instant,
    ) {
        if verdict != Verdict::Throttled {
            return rate_limiter.record_accepted(sent_at);
        }
        if let Some(slowdown) = rate_limiter.record_refused(sent_at, self.throttled + 1, retry_after) {
            self.invocation.log.log(Level::Warn, || slowdown.to_string());
        }
    }

    /// The head of the request, and its signature, which no message may repeat.
    fn sign(&self, dated: i64) -> (RequestHead, Signature) {
        let Invocation { client, operation, bucket, .. } = *self.invocation;
        let (credentials, scheme) = (self.credentials, bucket.scheme());
        let date = date::rfc1123(dated);
        let request_payer = client.settings().request_payer;
        let signature = StringToSign {
            scheme,
            method: operation.method(),
            date: &date,
            request_payer,
            security_token: credentials.security_token(),
            canonical_resource: &self.target.canonical_resource,
        }
        .sign(credentials.signing_key());
        let mut head = RequestHead::new(operation.method(), &self.target.request_target, &self.target.origin);
        head.header("Date", &[&date]);
        head.header("Authorization", &signature.authorization(scheme, credentials.access_key()));
        head.header("User-Agent", &[client.user_agent().as_bytes()]);
        if request_payer {
            head.header(scheme.request_payer_header(), &[b"requester"]);
        }
        if let Some(token) = credentials.security_token() {
            head.header(scheme.security_token_header(), &[token.as_bytes()]);
        }
        (head, signature)
    }

    /// What the message about this attempt is made of, if it fails.
    fn failed_request<'s>(&'s self, secrets: &'s [&'s str]) -> FailedRequest<'s> {
        let Invocation { client, operation, bucket, .. } = *self.invocation;
        FailedRequest {
            operation,
            bucket,
            target: self.target,
            proxy: client.proxy_for(&self.target.origin),
            secrets,
            now: date::unix_now(),
        }
    }

    /// An exchange without a response, or with a body that its reader refused.
    fn transport_failure(&self, exchange: ExchangeError, secrets: &[&str]) -> AttemptError {
        let ExchangeError { error, request_sent, stale_connection } = exchange;
        let (error, permanent) = match error {
            TransportError::Interrupted(interrupted) => {
                return AttemptError::Interrupted { interrupted, request_sent };
            }
            TransportError::Transient(error) | TransportError::TimedOut(error) => (error, false),
            TransportError::Permanent(error) => (error, true),
        };
        let error = self.failed_request(secrets).refine_transport_error(error);
        let error = Error::new(error.code, format!("{} ({})", error.detail, self.ordinal));
        AttemptError::Failed(Box::new(FailedAttempt {
            failure: error.into(),
            cause: FailureCause::Transport { permanent, request_sent, stale_connection },
            server_time: None,
            redirect: None,
        }))
    }

    /// A response other than success.
    fn error_response(
        &self,
        response: &Response,
        verdict: Verdict,
        service: ServiceError,
        blames_credentials: bool,
        secrets: &[&str],
        retry_after: Option<Duration>,
    ) -> FailedAttempt {
        let server_time = date_of(response);
        let credentials_refused = self.invocation.client.can_renew_credentials() && blames_credentials;
        let redirect = match verdict {
            Verdict::Redirect => self.redirect(response),
            _ => Err(""),
        };
        let mut detail = self.failed_request(secrets).describe_response(response, verdict, &service);
        match &service.ids.request_id {
            Some(id) => detail.push_str(&format!(" (request id {id}, {})", self.ordinal)),
            None => detail.push_str(&format!(" ({})", self.ordinal)),
        }
        if let (Verdict::Redirect, Err(why)) = (verdict, &redirect) {
            detail.push_str(": not followed, ");
            detail.push_str(why);
        }
        if credentials_refused && self.credentials_are_new {
            detail.push_str(", also with credentials that were fetched anew");
        }
        let redirect = redirect.ok();
        FailedAttempt {
            failure: Failure { error: Error::new(verdict.code(), detail), status: response.status, service },
            cause: FailureCause::Response {
                verdict,
                status: response.status,
                retry_after,
                tells_time: server_time.is_some(),
                redirect_is_safe: redirect.is_some(),
                credentials_refused,
            },
            server_time,
            redirect,
        }
    }

    fn redirect(&self, response: &Response) -> Result<Target, &'static str> {
        let location = response.headers.get("location").ok_or("it has no Location")?;
        let location = std::str::from_utf8(location).ok().filter(|text| text.is_ascii());
        redirect::follow(self.invocation.bucket, self.target, location.ok_or("its Location is not ASCII")?)
    }

    fn retry_after(&self, response: &Response) -> Option<Duration> {
        let value = String::from_utf8_lossy(response.headers.get("retry-after")?);
        retry::retry_after(&value, date_of(response).unwrap_or_else(|| self.invocation.client.now()))
    }

    fn log_response(&self, response: &Response, ids: &RequestIds, sent_at: Instant, secrets: &[&str]) {
        self.invocation.log.log(Level::Debug, || {
            format!(
                "{} {} {}: {} (request id {}, {}, {} ms)",
                self.invocation.operation.method(),
                self.target.origin,
                // A listed key may repeat what the listing was asked with.
                without_secrets(self.target.request_target.clone(), secrets),
                response.status,
                ids.request_id.as_deref().unwrap_or("none"),
                self.ordinal,
                sent_at.elapsed().as_millis()
            )
        });
    }
}

/// 0 to 1: what jitter is made of. Without randomness from the system there is no jitter.
pub fn random() -> f64 {
    let mut bytes = [0_u8; 4];
    match rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}
