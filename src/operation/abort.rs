//! One abort: judge the input, address, send, interpret, confirm.

use std::time::Instant;

use crate::base::deadline::Deadline;
use crate::base::deadline::far;
use crate::base::error::{Code, Error};
use crate::obs::bucket::{Bucket, Target};
use crate::obs::response::Said;
use crate::operation::call::Call;
use crate::operation::client::Client;
use crate::operation::config::Level;
use crate::operation::log::Logger;
use crate::operation::retry;
use crate::operation::send::{Attempts, Invocation, Reply, send};

/// All that is known of one abort.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// OK: the upload is gone.
    pub code: Code,
    /// Of the response to the abort request that decided the code; 0 = none did.
    pub http_status: u16,
    /// One line; None on success.
    pub message: Option<String>,
    /// What that response said of itself.
    pub said: Said,
    /// Abort requests put on the stream.
    pub attempts: u32,
    /// Whether its turn came: an upload that was waiting for one was not touched.
    pub begun: bool,
    /// Whose upload; empty until `of` says so, for a caller who knows anyway.
    pub key: String,
    /// Which upload.
    pub upload_id: String,
    /// Unix seconds, where a listing told them.
    pub initiated: Option<i64>,
    /// Which entry of a list the upload is, if there is a list.
    pub index: Option<usize>,
}

impl Outcome {
    fn new(attempts: &Attempts, reply: Reply) -> Outcome {
        let message = (reply.code != Code::Ok).then(|| format!("{}: {}", reply.code.name(), reply.detail));
        Outcome {
            code: reply.code,
            http_status: reply.http_status,
            message,
            said: reply.said,
            attempts: attempts.on_wire,
            begun: attempts.counted > 0,
            key: String::new(),
            upload_id: String::new(),
            initiated: None,
            index: None,
        }
    }

    /// The same, saying whose it is.
    pub fn of(self, key: impl Into<String>, upload_id: impl Into<String>) -> Outcome {
        Outcome { key: key.into(), upload_id: upload_id.into(), ..self }
    }

    /// Nothing was sent.
    pub fn unsent(error: Error) -> Outcome {
        let reply = Reply { code: error.code, http_status: 0, said: Said::default(), detail: error.detail };
        Outcome::new(&Attempts::default(), reply)
    }
}

/// Aborts one upload; `ids`: whether anybody asks for those of a 204.
pub fn abort(client: &Client, call: &Call, bucket: &str, key: &str, upload_id: &str, ids: bool) -> Outcome {
    let deadline = client.deadline(call, client.budget(call));
    let log = client.logger();
    match client.bucket(bucket) {
        Ok(place) => {
            let invocation = Invocation { ids, ..invocation(client, log, &place, &deadline) };
            abort_at(&invocation, &place, key, upload_id)
        }
        Err(error) => told(log, key, upload_id, Outcome::unsent(error)),
    }
}

/// What an abort is to its requests.
pub fn invocation<'a>(
    client: &'a Client,
    log: Logger<'a>,
    place: &'a Bucket,
    deadline: &'a Deadline,
) -> Invocation<'a> {
    let bucket = place.bucket();
    Invocation {
        client,
        log,
        bucket,
        method: "DELETE",
        wanted: 204,
        deadline,
        rate_limiter: None,
        ids: false,
    }
}

/// Aborts one upload of a bucket whose place is known.
pub fn abort_at(invocation: &Invocation<'_>, place: &Bucket, key: &str, upload_id: &str) -> Outcome {
    let log = invocation.log;
    let mut target = match place.upload(key, upload_id) {
        Ok(target) => target,
        Err(error) => return told(log, key, upload_id, Outcome::unsent(error)),
    };
    let invocation = Invocation { ids: invocation.ids || log.is_on(Level::Info), ..*invocation };
    let mut attempts = Attempts::default();
    let mut reply = delete(&invocation, &mut target, &mut attempts);
    if reply.code == Code::Ok && invocation.client.settings().confirm {
        reply = confirm(&invocation, &mut target, &mut attempts, reply);
    }
    told(log, key, upload_id, Outcome::new(&attempts, reply))
}

/// The abort request itself.
fn delete(invocation: &Invocation<'_>, target: &mut Target, attempts: &mut Attempts) -> Reply {
    let reply = send(invocation, target, attempts, None);
    // Gone, and an earlier attempt of ours may be the reason.
    if reply.code == Code::NoSuchUpload && attempts.maybe_done {
        return Reply { code: Code::Ok, ..reply };
    }
    reply
}

/// Lists the parts until there are none, since parts that were being uploaded may survive an abort (Huawei and AWS
/// both say so); and aborts again while there are.
fn confirm(
    invocation: &Invocation<'_>,
    target: &mut Target,
    attempts: &mut Attempts,
    mut reply: Reply,
) -> Reply {
    let unconfirmed = |failed: Reply, http_status: u16| Reply {
        detail: format!("aborted, not confirmed: {}", failed.detail),
        http_status,
        ..failed
    };
    // From here on "no such upload" is what is wanted.
    attempts.maybe_done = true;
    loop {
        let list = Invocation { method: "GET", wanted: 200, ..*invocation };
        let listed = send(&list, target, &mut Attempts::following(), None);
        match listed.code {
            Code::NoSuchUpload => return reply,
            Code::Ok => {}
            _ => return unconfirmed(listed, reply.http_status),
        }
        let max_attempts = invocation.client.settings().max_attempts;
        let wait = retry::backoff(attempts.counted, crate::operation::send::random(), None);
        let no_time = wait >= invocation.deadline.instant().saturating_duration_since(Instant::now());
        if attempts.counted >= max_attempts || no_time {
            let detail = format!(
                "parts were still listed after attempt {} of {max_attempts}: stop what uploads them, and abort again",
                attempts.counted
            );
            return Reply { code: Code::PartsRemain, detail, ..reply };
        }
        invocation
            .log
            .log(Level::Warn, || format!("parts still listed: aborted again in {} ms", wait.as_millis()));
        if invocation.deadline.sleep(wait).is_ok() {
            let again = delete(invocation, target, attempts);
            if again.code != Code::Ok {
                let status = again.http_status;
                return unconfirmed(again, status);
            }
            reply = again;
        }
    }
}

/// Logs an outcome on its way.
fn told(log: Logger<'_>, key: &str, upload_id: &str, outcome: Outcome) -> Outcome {
    match &outcome.message {
        None => log.log(Level::Info, || {
            format!(
                "aborted upload {:?} of {:?}: {} (request id {}, {} attempts)",
                upload_id,
                key,
                outcome.http_status,
                outcome.said.request_id.as_deref().unwrap_or("none"),
                outcome.attempts
            )
        }),
        Some(message) => {
            log.log(Level::Error, || format!("upload {upload_id:?} of {key:?}: {message}"));
        }
    }
    outcome
}

/// The deadline of one upload within a call that has many.
pub fn deadline_of_one(client: &Client, whole: &Deadline) -> Deadline {
    whole.until(far(client.settings().timeout))
}
