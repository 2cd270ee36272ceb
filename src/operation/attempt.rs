//! One attempt: a request, signed and sent, and what its response means.

use std::fmt;
use std::time::{Duration, Instant};

use crate::auth::credentials::Credentials;
use crate::base::date;
use crate::base::deadline::Interrupted;
use crate::base::error::Error;
use crate::base::text::without_secrets;
use crate::http::{ExchangeError, Request, RequestHead, Response, TransportError};
use crate::obs::bucket::Target;
use crate::obs::diagnosis::FailedRequest;
use crate::obs::foreign_body::BeginningReader;
use crate::obs::redirect;
use crate::obs::response::{RequestIds, ServiceError, Verdict, date_of, interpret};
use crate::obs::sign::{Signature, StringToSign};
use crate::operation::invocation::{BodyReader, Failure, Invocation, Signed, Success};
use crate::operation::log::Level;
use crate::operation::rate_limit::RateLimiter;
use crate::operation::retry::{self, FailureCause};

/// Which attempt of how many.
#[derive(Clone, Copy)]
pub struct Ordinal {
    pub number: u32,
    pub max: u32,
}

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} of {}", self.number, self.max)
    }
}

/// One request, dated and signed when it is sent.
pub struct Attempt<'a> {
    pub invocation: &'a Invocation<'a>,
    pub target: &'a Target,
    pub credentials: &'a Credentials,
    /// Whether they were fetched because the service refused the ones before.
    pub credentials_are_new: bool,
    /// The server's clock minus this machine's, by a refusal of this operation. It becomes the client's once a request
    /// that was dated by it is accepted: the Date may have been a gateway's.
    pub clock_correction: Option<i64>,
    pub new_connection: bool,
    pub ordinal: Ordinal,
    /// Throttled responses to those before.
    pub throttled: u32,
}

/// How an attempt ended without success.
pub enum AttemptError {
    Interrupted { interrupted: Interrupted, request_sent: bool },
    Failed(Box<FailedAttempt>),
}

/// An attempt that failed.
pub struct FailedAttempt {
    pub failure: Failure,
    pub cause: FailureCause,
    /// The response's Date.
    pub server_time: Option<i64>,
    /// Where a redirect leads, if it may be followed.
    pub redirect: Option<Target>,
}

impl Attempt<'_> {
    /// Sends the request, and judges its response.
    pub fn run(&self, read: &mut Option<BodyReader<'_>>) -> Result<Success, AttemptError> {
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
