//! One operation: signed requests, sent until one succeeds or [`retry::next`] gives up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::auth::credentials::{Credentials, CredentialsError};
use crate::base::date;
use crate::base::deadline::Interrupted;
use crate::base::error::{Code, Error};
use crate::obs::bucket::Target;
use crate::obs::operation::Operation;
use crate::operation::attempt::{Attempt, AttemptError, FailedAttempt, Ordinal};
use crate::operation::invocation::{BodyReader, Failure, Invocation, Success, Turn};
use crate::operation::log::Level;
use crate::operation::rate_limit::AcquireError;
use crate::operation::retry::{self, Attempts, FailureCause, Limits, Next};

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
            Err(not_ready) => return Err(not_ready.into_failure(last)),
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
                return Err(NotReady::Interrupted(interrupted).into_failure(last));
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
                    return Err(NotReady::Interrupted(interrupted).into_failure(Some(failure)));
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
                return Err(NotReady::Interrupted(interrupted).into_failure(Some(failure)));
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
    fn into_failure(self, last: Option<Failure>) -> Failure {
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

/// 0 to 1: what jitter is made of. Without randomness from the system there is no jitter.
pub fn random() -> f64 {
    let mut bytes = [0_u8; 4];
    match rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}
