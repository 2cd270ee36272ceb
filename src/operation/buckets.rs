//! The buckets of an account, listed page by page.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::base::error::{Code, Error};
use crate::base::panic::internal;
use crate::http::Response;
use crate::obs::buckets::{BucketsPage, ListedBucket, NextBuckets, malformed, read_buckets};
use crate::obs::operation::Operation;
use crate::operation::call::CallOptions;
use crate::operation::client::Client;
use crate::operation::cycle::CycleDetector;
use crate::operation::invocation::{Failure, Invocation, Signed};
use crate::operation::retry::Attempts;
use crate::operation::send::send;

/// Calls `each` with each bucket, until it breaks.
pub fn list_buckets(
    client: &Client,
    call: &CallOptions,
    each: &mut dyn FnMut(ListedBucket) -> ControlFlow<()>,
) -> Result<(), Error> {
    let service = client.service()?;
    let whole = client.deadline(call, call.timeout.unwrap_or(Duration::MAX));
    let mut from = None;
    let mut cycle = CycleDetector::default();
    loop {
        let deadline = client.per_upload_deadline(&whole);
        let invocation =
            Invocation::new(client, Operation::ListBuckets, &service, &deadline, client.logger());
        let BucketsPage { buckets, next } = page(&invocation, from.as_ref())?;
        if buckets.into_iter().try_for_each(&mut *each).is_break() {
            return Err(Error::new(Code::Cancelled, "the callback ended the list of buckets"));
        }
        if next.is_none() {
            return Ok(());
        }
        if cycle.closes_cycle(&next) {
            return Err(malformed("its markers come back to a page that was listed before"));
        }
        from = next;
    }
}

fn page(invocation: &Invocation<'_>, from: Option<&NextBuckets>) -> Result<BucketsPage, Error> {
    let mut target = invocation.bucket.buckets_target(from);
    let mut page = None;
    let mut read = |_: &Response, signed: Signed<'_>, body: &mut dyn std::io::Read| {
        let read = read_buckets(body)?;
        // Its names would be shown in messages and in the log.
        if read.repeats(signed.signature) {
            return Err(malformed("it repeats the signature of its request"));
        }
        page = Some(read);
        Ok(())
    };
    send(invocation, &mut target, &mut Attempts::default(), Some(&mut read)).map_err(
        |Failure { error, .. }| Error::new(error.code, format!("listing the buckets: {}", error.detail)),
    )?;
    page.ok_or_else(|| internal("a list of buckets without its body"))
}
