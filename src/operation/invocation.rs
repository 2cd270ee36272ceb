//! What an operation is invoked with, and what it comes to.

use std::io::Read;

use crate::base::deadline::Deadline;
use crate::base::error::Error;
use crate::http::Response;
use crate::obs::bucket::Bucket;
use crate::obs::operation::Operation;
use crate::obs::response::{RequestIds, ServiceError};
use crate::operation::client::Client;
use crate::operation::log::Logger;
use crate::operation::rate_limit::RateLimiter;
use crate::operation::retry::Attempts;

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

impl<'a> Invocation<'a> {
    /// An invocation that waits for no turn and decides nothing before its attempts.
    pub fn new(
        client: &'a Client,
        operation: Operation,
        bucket: &'a Bucket,
        deadline: &'a Deadline,
        log: Logger<'a>,
    ) -> Invocation<'a> {
        let (rate_limiter, turn, before_attempt) = (None, Turn::First, None);
        Invocation { client, operation, bucket, deadline, rate_limiter, turn, before_attempt, log }
    }
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
    /// The status of the response that decided; 0 if none did.
    pub status: u16,
    /// The service error in that response, fit for a message.
    pub service: ServiceError,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, status: 0, service: ServiceError::default() }
    }
}

impl Failure {
    /// Appends to the message.
    pub fn with_detail(mut self, more: &str) -> Failure {
        self.error.detail.push_str(more);
        self
    }
}

/// The date and the signature of a request.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// The time by which it was dated, in Unix seconds.
    pub dated: i64,
    pub signature: &'a str,
}

/// Reads the body of a 200: the response, how its request was signed, and the body.
pub type BodyReader<'a> = &'a mut dyn FnMut(&Response, Signed<'_>, &mut dyn Read) -> Result<(), Error>;
