//! One upload: aborted, and confirmed if that is asked for.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::base::error::{Code, Error};
use crate::base::panic::{caught, internal};
use crate::obs::bucket::Target;
use crate::obs::operation::Operation;
use crate::obs::parts::Parts;
use crate::obs::response::{RequestIds, ServiceError};
use crate::operation::call::CallOptions;
use crate::operation::client::Client;
use crate::operation::invocation::{BeforeAttempt, Failure, Invocation, Success, Turn};
use crate::operation::log::{Level, Logger};
use crate::operation::retry::{self, Attempts};
use crate::operation::send::{random, send};

/// One upload of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// The key of its object.
    pub key: String,
    /// Its id.
    pub upload_id: String,
    /// When it was initiated, in Unix seconds, if a listing says so.
    pub initiated: Option<i64>,
    /// Its parts, if they have been listed.
    pub parts: Option<Parts>,
    /// Its index in the caller's list, if there is one.
    pub index: Option<usize>,
}

/// The result of an abort.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The upload that it is about.
    pub upload: Upload,
    /// `Ok`: the upload is gone.
    pub code: Code,
    /// The status of the response to the abort request that decided the code; 0 if none did.
    pub http_status: u16,
    /// One line; None on success.
    pub message: Option<String>,
    /// The service's code, and the ids of that response.
    pub service: ServiceError,
    /// Abort requests that were sent.
    pub attempts: u32,
    /// Whether the first attempt began, rather than waited for its turn.
    pub begun: bool,
    /// Whether an abort request may have been carried out, whatever the code says.
    pub may_have_succeeded: bool,
    /// Set if it was kept after all, for the reason that the message gives.
    pub kept: Option<Kept>,
}

/// Why an upload is kept as active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A part was written after the cutoff.
    Written,
    /// Its parts could not be read, or their times can't be relied on.
    Unknown,
}

/// What the parts of an upload say about its abort.
pub enum Inspection {
    /// It may be aborted. Its parts, if they are known.
    Proceed(Option<Parts>),
    Keep(Kept, String),
    Failed(Failure),
    /// The end of the call came first.
    CutOff(Error),
}

/// Inspects an upload immediately before each request that would abort it, after what the earlier ones have come to.
pub type Inspect<'a> = &'a dyn Fn(&Upload, &Attempts) -> Inspection;

impl Outcome {
    fn new(upload: Upload, attempts: &Attempts, result: Result<Success, Failure>) -> Outcome {
        let (code, message, http_status, service) = match result {
            Ok(Success { status, ids }) => {
                (Code::Ok, None, status, ServiceError { ids, ..ServiceError::default() })
            }
            // The service's sentence is part of the message.
            Err(Failure { error, status, service }) => {
                (error.code, Some(error.to_string()), status, ServiceError { message: None, ..service })
            }
        };
        Outcome {
            upload,
            code,
            http_status,
            message,
            service,
            attempts: attempts.sent,
            begun: attempts.counted > 0,
            may_have_succeeded: attempts.may_have_succeeded,
            kept: None,
        }
    }

    /// The outcome of an upload that is not aborted, since it may still be written to.
    pub fn kept(upload: Upload, attempts: &Attempts, kept: Kept, why: String) -> Outcome {
        let outcome = Outcome::new(upload, attempts, Err(Error::new(Code::Ok, "").into()));
        Outcome { kept: Some(kept), message: Some(why), ..outcome }
    }

    /// The outcome of an upload for which nothing was sent.
    pub fn unsent(upload: Upload, error: Error) -> Outcome {
        Outcome::new(upload, &Attempts::default(), Err(error.into()))
    }

    /// The outcome of an upload for which no abort was sent, since its inspection failed: mostly since the service says
    /// that it is gone.
    pub fn not_aborted(upload: Upload, attempts: &Attempts, failure: Failure) -> Outcome {
        Outcome::new(upload, attempts, gone_by_this_call(attempts, failure))
    }

    /// The outcome of an upload that would be aborted.
    pub fn dry_run(upload: Upload) -> Outcome {
        let nothing_sent = Success { status: 0, ids: RequestIds::default() };
        Outcome::new(upload, &Attempts::default(), Ok(nothing_sent))
    }
}

/// An upload that the caller names; if it is invalid, what can be shown of it, and the reason.
pub type CheckedUpload = Result<Upload, (Upload, Error)>;

/// Aborts one upload.
pub fn abort(client: &Client, call: &CallOptions, bucket: &str, entry: CheckedUpload) -> Outcome {
    let log = client.logger();
    let deadline = client.deadline(call, call.timeout.unwrap_or(client.settings().timeout));
    let upload = match entry {
        Ok(upload) => upload,
        Err((upload, error)) => return log_outcome(log, Outcome::unsent(upload, error)),
    };
    match client.bucket(bucket) {
        Ok(bucket) => {
            let operation = Operation::AbortMultipartUpload;
            let invocation = Invocation::new(client, operation, &bucket, &deadline, log);
            abort_upload(&invocation, upload, Attempts::default(), None)
        }
        Err(error) => log_outcome(log, Outcome::unsent(upload, error)),
    }
}

/// Aborts one upload of a bucket whose name was checked. `attempts` is what earlier ones of the call have come to.
pub fn abort_upload(
    invocation: &Invocation<'_>,
    mut upload: Upload,
    mut attempts: Attempts,
    inspect: Option<Inspect<'_>>,
) -> Outcome {
    let (kept, parts) = (Cell::new(None), Cell::new(None));
    let before = |attempts: &Attempts| match inspect
        .map_or(Inspection::Proceed(None), |inspect| inspect(&upload, attempts))
    {
        Inspection::Proceed(found) => {
            parts.set(found.or(parts.get()));
            Ok(())
        }
        Inspection::Keep(reason, why) => {
            kept.set(Some((reason, why)));
            Err(internal("an upload that is kept").into())
        }
        Inspection::Failed(failure) => Err(failure),
        Inspection::CutOff(error) => Err(error.into()),
    };
    let before_attempt = inspect.is_some().then_some(&before as BeforeAttempt<'_>);
    let result = caught(|| {
        let mut target = invocation.bucket.upload_target(&upload.key, &upload.upload_id)?;
        let inspected = Invocation { before_attempt, ..*invocation };
        let success = request_abort(&inspected, &mut target, &mut attempts)?;
        if invocation.client.settings().confirm {
            return confirm(&inspected, &mut target, &mut attempts, success);
        }
        Ok(success)
    });
    // Among many, a panic is the outcome of its own upload only.
    let result = result.unwrap_or_else(|panic| Err(internal(&panic).into()));
    upload.parts = parts.get();
    let outcome = match kept.take() {
        Some((kept, why)) => Outcome::kept(upload, &attempts, kept, why),
        None => Outcome::new(upload, &attempts, result),
    };
    log_outcome(invocation.log, outcome)
}

/// Sends the abort request until it has a result.
fn request_abort(
    invocation: &Invocation<'_>,
    target: &mut Target,
    attempts: &mut Attempts,
) -> Result<Success, Failure> {
    send(invocation, target, attempts, None).or_else(|failure| gone_by_this_call(attempts, failure))
}

/// Makes a success of "gone" if an earlier attempt of this call may be the reason.
fn gone_by_this_call(attempts: &Attempts, failure: Failure) -> Result<Success, Failure> {
    if failure.error.code == Code::NoSuchUpload && attempts.may_have_succeeded {
        return Ok(Success { status: failure.status, ids: failure.service.ids });
    }
    Err(failure)
}

/// Lists the parts until there are none, and aborts again as long as there are: parts that were being uploaded may
/// survive an abort (Huawei and AWS both say so).
fn confirm(
    invocation: &Invocation<'_>,
    target: &mut Target,
    attempts: &mut Attempts,
    mut success: Success,
) -> Result<Success, Failure> {
    let list = Invocation {
        operation: Operation::ListParts,
        turn: Turn::Begun,
        before_attempt: None,
        ..*invocation
    };
    // From here on NoSuchUpload is what is wanted.
    attempts.may_have_succeeded = true;
    loop {
        match send(&list, target, &mut Attempts::default(), None) {
            Err(failure) if failure.error.code == Code::NoSuchUpload => return Ok(success),
            Err(failure) => return Err(unconfirmed_failure(failure, success.status)),
            Ok(_) => {}
        }
        let Some(wait) = wait_before_next_abort(invocation, attempts) else {
            return Err(parts_remain_failure(invocation, attempts, success));
        };
        invocation
            .log
            .log(Level::Warn, || format!("parts still listed: aborted again in {} ms", wait.as_millis()));
        if invocation.deadline.sleep(wait).is_ok() {
            success = request_abort(invocation, target, attempts).map_err(|failure| {
                let status = failure.status;
                unconfirmed_failure(failure, status)
            })?;
        }
    }
}

/// None if attempts or time are used up.
fn wait_before_next_abort(invocation: &Invocation<'_>, attempts: &Attempts) -> Option<Duration> {
    if attempts.counted >= invocation.client.settings().max_attempts {
        return None;
    }
    let wait = retry::backoff(attempts.counted, random(), None);
    let time_left = invocation.deadline.instant().saturating_duration_since(Instant::now());
    (wait < time_left).then_some(wait)
}

/// `status` is that of the last abort request, whatever the listing said.
fn unconfirmed_failure(failure: Failure, status: u16) -> Failure {
    let Failure { error, service, .. } = failure;
    let detail = format!("aborted, not confirmed: {}", error.detail);
    Failure { error: Error::new(error.code, detail), status, service }
}

fn parts_remain_failure(invocation: &Invocation<'_>, attempts: &Attempts, success: Success) -> Failure {
    let detail = format!(
        "parts were still listed after attempt {} of {}: stop what uploads them, and abort again",
        attempts.counted,
        invocation.client.settings().max_attempts
    );
    Failure {
        error: Error::new(Code::PartsRemain, detail),
        status: success.status,
        service: ServiceError { ids: success.ids, ..ServiceError::default() },
    }
}

/// Logs an outcome on its way to the caller.
pub fn log_outcome(log: Logger<'_>, outcome: Outcome) -> Outcome {
    let Upload { key, upload_id, .. } = &outcome.upload;
    if let (Some(kept), Some(why)) = (outcome.kept, &outcome.message) {
        let level = if kept == Kept::Written { Level::Info } else { Level::Warn };
        log.log(level, || format!("upload {upload_id:?} of {key:?}: kept as active: {why}"));
        return outcome;
    }
    match &outcome.message {
        None => log.log(Level::Info, || {
            format!(
                "aborted upload {upload_id:?} of {key:?}: {} (request id {}, {} attempts)",
                outcome.http_status,
                outcome.service.ids.request_id.as_deref().unwrap_or("none"),
                outcome.attempts
            )
        }),
        Some(message) => log.log(Level::Error, || format!("upload {upload_id:?} of {key:?}: {message}")),
    }
    outcome
}
