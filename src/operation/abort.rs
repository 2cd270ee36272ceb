//! One abort: judge the input, address, send, interpret, confirm.

use std::time::Instant;

use crate::base::deadline::Watch;
use crate::base::deadline::far;
use crate::base::error::{Code, Error};
use crate::obs::bucket::{Place, Target};
use crate::obs::response::Said;
use crate::operation::call::Call;
use crate::operation::client::Client;
use crate::operation::config::Level;
use crate::operation::log::Logger;
use crate::operation::retry;
use crate::operation::send::{Errand, Reply, Tally, send};

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
    fn new(tally: &Tally, reply: Reply) -> Outcome {
        let message = (reply.code != Code::Ok).then(|| format!("{}: {}", reply.code.name(), reply.detail));
        Outcome {
            code: reply.code,
            http_status: reply.http_status,
            message,
            said: reply.said,
            attempts: tally.on_wire,
            begun: tally.counted > 0,
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
        Outcome::new(&Tally::default(), reply)
    }
}

/// Aborts one upload; `ids`: whether anybody asks for those of a 204.
pub fn abort(client: &Client, call: &Call, bucket: &str, key: &str, upload_id: &str, ids: bool) -> Outcome {
    let watch = client.watch(call, client.budget(call));
    let log = client.logger();
    match client.place(bucket) {
        Ok(place) => {
            let errand = Errand { ids, ..errand(client, log, &place, &watch) };
            abort_at(&errand, &place, key, upload_id)
        }
        Err(error) => told(log, key, upload_id, Outcome::unsent(error)),
    }
}

/// What an abort is to its requests.
pub fn errand<'a>(client: &'a Client, log: Logger<'a>, place: &'a Place, watch: &'a Watch) -> Errand<'a> {
    let bucket = place.bucket();
    Errand { client, log, bucket, method: "DELETE", wanted: 204, watch, pace: None, ids: false }
}

/// Aborts one upload of a bucket whose place is known.
pub fn abort_at(errand: &Errand<'_>, place: &Place, key: &str, upload_id: &str) -> Outcome {
    let log = errand.log;
    let mut target = match place.upload(key, upload_id) {
        Ok(target) => target,
        Err(error) => return told(log, key, upload_id, Outcome::unsent(error)),
    };
    let errand = Errand { ids: errand.ids || log.is_on(Level::Info), ..*errand };
    let mut tally = Tally::default();
    let mut reply = delete(&errand, &mut target, &mut tally);
    if reply.code == Code::Ok && errand.client.settings().confirm {
        reply = confirm(&errand, &mut target, &mut tally, reply);
    }
    told(log, key, upload_id, Outcome::new(&tally, reply))
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
        let list = Errand { method: "GET", wanted: 200, ..*errand };
        let listed = send(&list, target, &mut Tally::following(), None);
        match listed.code {
            Code::NoSuchUpload => return reply,
            Code::Ok => {}
            _ => return unconfirmed(listed, reply.http_status),
        }
        let max_attempts = errand.client.settings().max_attempts;
        let wait = retry::backoff(tally.counted, crate::operation::send::random(), None);
        let no_time = wait >= errand.watch.deadline().saturating_duration_since(Instant::now());
        if tally.counted >= max_attempts || no_time {
            let detail = format!(
                "parts were still listed after attempt {} of {max_attempts}: stop what uploads them, and abort again",
                tally.counted
            );
            return Reply { code: Code::PartsRemain, detail, ..reply };
        }
        errand
            .log
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

/// The watch of one upload within a call that has many.
pub fn watch_of_one(client: &Client, whole: &Watch) -> Watch {
    whole.until(far(client.settings().timeout))
}
