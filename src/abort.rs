//! One abort: judge the input, address, send, interpret, confirm.

use std::time::Instant;

use crate::answer::Said;
use crate::call::Call;
use crate::client::{Client, far};
use crate::config::Level;
use crate::error::{Code, Error};
use crate::http::Method;
use crate::pace::Pace;
use crate::retry;
use crate::send::{Errand, Reply, Tally, send};
use crate::target::{Place, Target};
use crate::watch::Watch;

/// All that is known of one abort.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// OK: the upload is gone.
    pub code: Code,
    /// Of the answer to the abort request that decided the code; 0 = none did.
    pub http_status: u16,
    /// One line; None on success.
    pub message: Option<String>,
    /// What that answer said of itself.
    pub said: Said,
    /// Abort requests put on the wire.
    pub attempts: u32,
    /// Whose upload.
    pub key: String,
    /// Which upload.
    pub upload_id: String,
    /// Unix seconds, where a listing told them.
    pub initiated: Option<i64>,
}

impl Outcome {
    fn new(key: &str, upload_id: &str, tally: &Tally, reply: Reply) -> Outcome {
        let message = (reply.code != Code::Ok).then(|| format!("{}: {}", reply.code.name(), reply.detail));
        Outcome {
            code: reply.code,
            http_status: reply.http_status,
            message,
            said: reply.said,
            attempts: tally.on_wire,
            key: key.to_owned(),
            upload_id: upload_id.to_owned(),
            initiated: None,
        }
    }

    /// Nothing was sent.
    pub fn unsent(key: &str, upload_id: &str, error: Error) -> Outcome {
        let reply = Reply { code: error.code, http_status: 0, said: Said::default(), detail: error.detail };
        Outcome::new(key, upload_id, &Tally::default(), reply)
    }
}

/// Aborts one upload.
pub fn abort(client: &Client, call: Option<&Call>, bucket: &str, key: &str, upload_id: &str) -> Outcome {
    let watch = client.watch(call, client.budget(call));
    match client.place(bucket) {
        Ok(place) => abort_at(client, &watch, &place, bucket, key, upload_id, None),
        Err(error) => told(client, Outcome::unsent(key, upload_id, error)),
    }
}

/// Aborts one upload of a bucket whose place is known.
pub fn abort_at(
    client: &Client,
    watch: &Watch,
    place: &Place,
    bucket: &str,
    key: &str,
    upload_id: &str,
    pace: Option<&Pace>,
) -> Outcome {
    let mut target = match place.upload(key, upload_id) {
        Ok(target) => target,
        Err(error) => return told(client, Outcome::unsent(key, upload_id, error)),
    };
    let errand = Errand { client, bucket, method: &Method::DELETE, wanted: 204, watch, pace };
    let mut tally = Tally::default();
    let mut reply = delete(&errand, &mut target, &mut tally);
    if reply.code == Code::Ok && client.settings().confirm {
        reply = confirm(&errand, &mut target, &mut tally, reply);
    }
    told(client, Outcome::new(key, upload_id, &tally, reply))
}

/// The abort request itself.
fn delete(errand: &Errand<'_>, target: &mut Target, tally: &mut Tally) -> Reply {
    let reply = send(errand, target, tally, None);
    // Gone, and an earlier attempt of ours may be the reason.
    if reply.code == Code::NoSuchUpload && tally.maybe_done {
        return Reply { code: Code::Ok, ..reply };
    }
    reply
}

/// Lists the parts until there are none, since parts that were being uploaded may survive an abort (Huawei and AWS
/// both say so); and aborts again while there are.
fn confirm(errand: &Errand<'_>, target: &mut Target, tally: &mut Tally, mut reply: Reply) -> Reply {
    let unconfirmed = |failed: Reply, http_status: u16| Reply {
        detail: format!("aborted, not confirmed: {}", failed.detail),
        http_status,
        ..failed
    };
    // From here on "no such upload" is what is wanted.
    tally.maybe_done = true;
    loop {
        let list = Errand { method: &Method::GET, wanted: 200, ..*errand };
        let listed = send(&list, target, &mut Tally::default(), None);
        match listed.code {
            Code::NoSuchUpload => return reply,
            Code::Ok => {}
            _ => return unconfirmed(listed, reply.http_status),
        }
        let max_attempts = errand.client.settings().max_attempts;
        let wait = retry::backoff(tally.counted, crate::send::random(), None);
        let no_time = wait >= errand.watch.deadline().saturating_duration_since(Instant::now());
        if tally.counted >= max_attempts || no_time {
            let detail = format!(
                "parts were still listed after attempt {} of {max_attempts}: stop what uploads them, and abort again",
                tally.counted
            );
            return Reply { code: Code::PartsRemain, detail, ..reply };
        }
        errand
            .client
            .log(Level::Warn, || format!("parts still listed: aborted again in {} ms", wait.as_millis()));
        if errand.watch.sleep(wait).is_ok() {
            let again = delete(errand, target, tally);
            if again.code != Code::Ok {
                let status = again.http_status;
                return unconfirmed(again, status);
            }
            reply = again;
        }
    }
}

/// Logs an outcome on its way.
fn told(client: &Client, outcome: Outcome) -> Outcome {
    match &outcome.message {
        None => client.log(Level::Info, || {
            format!(
                "aborted upload {:?} of {:?}: {} (request id {}, {} attempts)",
                outcome.upload_id,
                outcome.key,
                outcome.http_status,
                outcome.said.request_id.as_deref().unwrap_or("none"),
                outcome.attempts
            )
        }),
        Some(message) => client
            .log(Level::Error, || format!("upload {:?} of {:?}: {message}", outcome.upload_id, outcome.key)),
    }
    outcome
}

/// The watch of one upload within a call that has many.
pub fn watch_of_one(client: &Client, whole: &Watch) -> Watch {
    whole.until(far(client.settings().timeout))
}
