//! The parts of one upload, listed page by page.

use crate::base::error::Error;
use crate::base::panic::internal;
use crate::http::Response;
use crate::obs::clock::trusted_date;
use crate::obs::parts::{Parts, PartsPage, PartsRequest, malformed, read_parts};
use crate::operation::abort::Upload;
use crate::operation::invocation::{Failure, Invocation, Signed};
use crate::operation::retry::Attempts;
use crate::operation::send::send;

/// How much the clocks of a service's machines may differ, in seconds.
const CLOCK_TOLERANCE: i64 = 60;

/// Lists all parts of an upload. `since` is the service's time before the call: an older list, or one whose Date can't be
/// believed, is refused. A cache may have kept it, and parts have come since.
pub fn list_parts(invocation: &Invocation<'_>, upload: &Upload, since: i64) -> Result<Parts, Failure> {
    let mut parts = Parts::default();
    let mut from = 0;
    loop {
        let PartsPage { parts: more, next } = page(invocation, upload, since, from)?;
        parts = parts.and(more);
        match next {
            Some(next) => from = next,
            None => return Ok(parts),
        }
    }
}

fn page(invocation: &Invocation<'_>, upload: &Upload, since: i64, from: u32) -> Result<PartsPage, Failure> {
    let Upload { key, upload_id, .. } = upload;
    let request = PartsRequest { bucket: invocation.bucket.name(), key, upload_id, from };
    let mut target = invocation.bucket.parts_target(key, upload_id, from)?;
    let mut page = None;
    let mut read = |response: &Response, signed: Signed<'_>, body: &mut dyn std::io::Read| {
        let date = trusted_date(&response.headers, signed.dated).map_err(malformed)?;
        let has_age = response.headers.all("age").any(|age| age.trim_ascii() != b"0");
        if has_age || date.saturating_add(CLOCK_TOLERANCE) < since {
            return Err(malformed("it is older than its request: a cache has kept it"));
        }
        page = Some(read_parts(body, request)?);
        Ok::<(), Error>(())
    };
    send(invocation, &mut target, &mut Attempts::default(), Some(&mut read))?;
    page.ok_or_else(|| internal("a list of parts without its body").into())
}
