//! Credentials of the agency of an ECS, from its metadata service.
//!
//! They are fetched by ureq, on a thread of their own. A caller waits with its own deadline, and only if there are no
//! valid credentials. One fetch runs at a time. All callers that wait for it share its result.
//!
//! Facts: "Obtaining metadata" in Huawei's ECS guide: `PUT /meta-data/latest/api/token`, then `GET
//! /openstack/latest/securitykey` with the token. A service that does not know the PUT takes the GET without one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tinyjson::JsonValue;
use ureq::config::Config;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use crate::auth::credentials::{Credentials, CredentialsError};
use crate::base::date;
use crate::base::deadline::Deadline;
use crate::base::error::{Code, Error};
use crate::base::sys::descriptors::{error_text, is_exhaustion};
use crate::base::sys::{memory, thread};
use crate::base::text::sanitize;

/// The metadata service of an ECS: link-local, and never behind a proxy.
const HOST: &str = "169.254.169.254";
/// The longest wait for a connection, for a response head, and for a body. A link-local service is quick, or absent.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Credentials are renewed this long before they expire, in seconds.
const RENEW_AHEAD: i64 = 300;
/// The shortest time between a failed renewal and the next one.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// The shortest time between two fetches because of a refusal. Without it, a sweep whose every request is refused would
/// ask once per upload.
const REFETCH_INTERVAL: Duration = Duration::from_secs(1);
/// The largest response that is read.
const MAX_RESPONSE: u64 = 16 * 1024;

/// Temporary credentials.
#[derive(Debug)]
struct ExpiringCredentials {
    credentials: Arc<Credentials>,
    expires_at: i64,
    /// Leaves half of a short lifetime for renewing.
    renew_at: i64,
}

/// The provider of an agency's credentials. The current ones are read without a lock, and carried over a fork.
#[derive(Debug)]
pub struct EcsProvider {
    /// Made once, since ureq reads the environment when it makes one.
    http: Config,
    current: ArcSwapOption<ExpiringCredentials>,
}

/// The fetches of one process.
#[derive(Debug, Default)]
pub struct FetchState {
    state: Mutex<State>,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    under_way: bool,
    /// The number of fetches that have ended.
    count: u64,
    /// The failure of the last fetch, if it failed, and its time.
    failure: Option<(Instant, Error)>,
    /// The time of the last fetch because of a refusal.
    refetched: Option<Instant>,
}

impl FetchState {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EcsProvider {
    /// A provider without credentials yet.
    pub fn new(user_agent: &str) -> EcsProvider {
        // Timeouts of single steps: for a timeout of the whole, ureq would start another thread.
        let http = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(user_agent)
            .accept("")
            .accept_encoding("")
            .timeout_connect(Some(TIMEOUT))
            .timeout_send_request(Some(TIMEOUT))
            .timeout_recv_response(Some(TIMEOUT))
            .timeout_recv_body(Some(TIMEOUT))
            .build();
        // Makes ureq initialise its statics, which it does behind a lock. If another thread forked during their first
        // use, the lock would stay taken in the child. Port 0 refuses the connection at once.
        let _ = Agent::from(http.clone()).get("http://127.0.0.1:0/").call();
        EcsProvider { http, current: ArcSwapOption::empty() }
    }

    /// Returns credentials that have not expired at `now`, in Unix seconds.
    pub fn credentials(
        self: &Arc<EcsProvider>,
        fetches: &Arc<FetchState>,
        now: i64,
        deadline: &Deadline,
    ) -> Result<Arc<Credentials>, CredentialsError> {
        let current = self.current.load_full().filter(|current| now < current.expires_at);
        if let Some(current) = &current
            && now < current.renew_at
        {
            return Ok(Arc::clone(&current.credentials));
        }
        let mut state = fetches.lock();
        if let Some(current) = current {
            let failed_recently = state.failure.as_ref().is_some_and(|(at, _)| at.elapsed() < RETRY_INTERVAL);
            if !state.under_way && !failed_recently {
                // If no thread can be started, the next call tries again.
                let _ = self.start_fetch(fetches, &mut state);
            }
            return Ok(Arc::clone(&current.credentials));
        }
        self.wait_for_fetch(fetches, state, deadline)
    }

    /// Has the credentials fetched anew because the service refuses these, unless others have taken their place already:
    /// many workers are refused at once, and one of them asks.
    pub fn renew(
        self: &Arc<EcsProvider>,
        fetches: &Arc<FetchState>,
        refused: &Arc<Credentials>,
        deadline: &Deadline,
    ) -> Result<(), CredentialsError> {
        let mut state = fetches.lock();
        if self.current.load().as_ref().is_some_and(|now| !Arc::ptr_eq(&now.credentials, refused)) {
            return Ok(());
        }
        if !state.under_way {
            if let Some((at, error)) = &state.failure
                && at.elapsed() < RETRY_INTERVAL
            {
                return Err(CredentialsError::Unavailable(error.clone()));
            }
            if state.refetched.is_some_and(|at| at.elapsed() < REFETCH_INTERVAL) {
                return Err(CredentialsError::Unavailable(unusable("it was asked for others a moment ago")));
            }
            state.refetched = Some(Instant::now());
        }
        self.wait_for_fetch(fetches, state, deadline).map(drop)
    }

    /// Waits for a fetch, and begins it if none is under way.
    fn wait_for_fetch(
        self: &Arc<EcsProvider>,
        fetches: &Arc<FetchState>,
        mut state: MutexGuard<'_, State>,
        deadline: &Deadline,
    ) -> Result<Arc<Credentials>, CredentialsError> {
        let before = state.count;
        if !state.under_way {
            self.start_fetch(fetches, &mut state).map_err(CredentialsError::Unavailable)?;
        }
        while state.count == before {
            deadline.check().map_err(CredentialsError::Interrupted)?;
            (state, _) = fetches
                .finished
                .wait_timeout(state, deadline.next_wait())
                .unwrap_or_else(PoisonError::into_inner);
        }
        match (&state.failure, &*self.current.load()) {
            (None, Some(current)) => Ok(Arc::clone(&current.credentials)),
            (Some((_, error)), _) => Err(CredentialsError::Unavailable(error.clone())),
            (None, None) => {
                Err(CredentialsError::Unavailable(unusable("the fetch ended without an outcome")))
            }
        }
    }

    /// The credentials that were fetched last, if there are any.
    pub fn current(&self) -> Option<Arc<Credentials>> {
        self.current.load().as_ref().map(|current| Arc::clone(&current.credentials))
    }

    fn start_fetch(
        self: &Arc<EcsProvider>,
        fetches: &Arc<FetchState>,
        state: &mut State,
    ) -> Result<(), Error> {
        let (provider, fetches) = (Arc::clone(self), Arc::clone(fetches));
        thread::spawn("obsabort-ecs", move || {
            let mut finish = Finish { fetches, failure: Some(unusable("the fetch panicked")) };
            finish.failure = provider.fetch().err();
            // Before anybody is told that the fetch has ended.
            memory::wipe_stack();
        })
        .map_err(|e| unusable(format_args!("no thread to ask it on: {e}")))?;
        state.under_way = true;
        Ok(())
    }

    /// Fetches the credentials, and keeps them. In a frame of its own, below that of the thread: its stack is wiped.
    #[inline(never)]
    fn fetch(&self) -> Result<(), Error> {
        let credentials = request_credentials(&self.http)?;
        self.current.store(Some(Arc::new(credentials)));
        Ok(())
    }
}

/// Records the end of a fetch when dropped, so that a panic does not leave the callers waiting.
struct Finish {
    fetches: Arc<FetchState>,
    failure: Option<Error>,
}

impl Drop for Finish {
    fn drop(&mut self) {
        let mut state = self.fetches.lock();
        state.under_way = false;
        state.count += 1;
        state.failure = self.failure.take().map(|error| (Instant::now(), error));
        self.fetches.finished.notify_all();
    }
}

/// Asks the metadata service for a token, and with it for the credentials.
fn request_credentials(http: &Config) -> Result<ExpiringCredentials, Error> {
    let agent = Agent::from(http.clone());
    let url = |path: &str| format!("http://{HOST}{path}");
    let request = agent.put(url("/meta-data/latest/api/token"));
    let token = read_response(request.header("X-Metadata-Token-Ttl-Seconds", "21600").send_empty());
    let request = agent.get(url("/openstack/latest/securitykey"));
    let request = match &token {
        Ok((status, token)) => match status.as_u16() {
            200..=299 => {
                let token = token.trim_ascii();
                if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
                    return Err(unusable("its token can't be sent back"));
                }
                request.header("X-Metadata-Token", token)
            }
            // Version 1 of the service knows no tokens.
            404 | 405 => request,
            status => return Err(unusable(format_args!("it answered {status} when asked for a token"))),
        },
        // A response with a token has a limit of hops, by default 1: it does not reach a container behind a bridge.
        // Version 1 has no such limit.
        Err(FetchError::Silence) => request,
        Err(FetchError::Other(error)) => return Err(error.clone()),
    };
    let credentials = match read_response(request.call()) {
        Ok((status, body)) => match status.as_u16() {
            200 => parse(&body, date::unix_now()),
            404 => Err(unusable("it knows no credentials: give this ECS an agency")),
            status => Err(unusable(format_args!("it answered {status} when asked for credentials"))),
        },
        Err(FetchError::Silence) => Err(unusable("it does not respond (is this an ECS?)")),
        Err(FetchError::Other(error)) => Err(error),
    };
    credentials.map_err(|error| match token {
        Err(FetchError::Silence) => Error::new(
            error.code,
            format!(
                "{}; nor did it respond when asked for a token: in a container, raise the hop limit of this ECS's metadata options to 2",
                error.detail
            ),
        ),
        _ => error,
    })
}

/// Why there is no response.
enum FetchError {
    /// There is a connection, and no response came.
    Silence,
    Other(Error),
}

/// Reads the status and the body of a response.
fn read_response(response: Result<Response<Body>, ureq::Error>) -> Result<(StatusCode, Vec<u8>), FetchError> {
    let failed = |error: ureq::Error| match error {
        ureq::Error::Timeout(ureq::Timeout::Connect) => {
            FetchError::Other(unusable("it does not respond (is this an ECS?)"))
        }
        ureq::Error::Timeout(_) => FetchError::Silence,
        ureq::Error::Io(error) if is_exhaustion(&error) => FetchError::Other(unusable(error_text(&error))),
        error => FetchError::Other(unusable(format_args!("{error} (is this an ECS?)"))),
    };
    let mut response = response.map_err(failed)?;
    let body = response.body_mut().with_config().limit(MAX_RESPONSE).read_to_vec().map_err(failed)?;
    Ok((response.status(), body))
}

fn unusable(why: impl std::fmt::Display) -> Error {
    // The HTTP client's errors may quote what it received.
    let why = sanitize(why.to_string(), &[]);
    Error::new(Code::NoCredentials, format!("the ECS metadata service {HOST}: {why}"))
}

fn parse(body: &[u8], now: i64) -> Result<ExpiringCredentials, Error> {
    let text = std::str::from_utf8(body).map_err(|_| unusable("its response is not UTF-8"))?;
    // The parser recurses.
    if text.bytes().filter(|b| matches!(b, b'[' | b'{')).count() > 64 {
        return Err(unusable("its response is nested too deeply"));
    }
    let json: JsonValue = text.parse().map_err(|_| unusable("its response is not JSON"))?;
    let field = |name: &str| -> Result<&String, Error> {
        let object = json.get::<std::collections::HashMap<String, JsonValue>>();
        let credential =
            object.and_then(|o| o.get("credential")?.get::<std::collections::HashMap<String, JsonValue>>());
        credential
            .and_then(|c| c.get(name)?.get::<String>())
            .ok_or_else(|| unusable(format_args!("its response lacks credential.{name}")))
    };
    let (access, secret, token) = (field("access")?, field("secret")?, field("securitytoken")?);
    let expires_at = date::parse_iso8601(field("expires_at")?)
        .ok_or_else(|| unusable("its credential.expires_at is not a time"))?;
    if expires_at <= now {
        return Err(unusable("its credentials have expired already: check this machine's clock"));
    }
    let credentials = Credentials::new(access, secret, Some(token))
        .map_err(|e| unusable(format_args!("in its response, {}", e.detail)))?;
    Ok(ExpiringCredentials {
        credentials: Arc::new(credentials),
        expires_at,
        renew_at: expires_at - RENEW_AHEAD.min((expires_at - now) / 2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::deadline::CancelFlag;

    #[test]
    fn responses() {
        let json = |expires: &str| {
            format!(
                r#"{{"credential":{{"access":"AK","secret":"SK","expires_at":"{expires}","securitytoken":"T","x":[1]}}}}"#
            )
        };
        let fine = parse(json("1970-01-01T01:00:00.000000Z").as_bytes(), 0).expect("credentials");
        assert_eq!(
            (fine.expires_at, fine.renew_at, fine.credentials.security_token()),
            (3600, 3300, Some("T"))
        );
        let short = parse(json("1970-01-01T00:01:40Z").as_bytes(), 0).expect("credentials");
        assert_eq!(short.renew_at, 50);
        let later = parse(json("1970-01-01T00:01:40Z").as_bytes(), 40).expect("credentials");
        assert_eq!(later.renew_at, 70);
        let nested = |depth: usize| {
            let (opening, closing) = ("[".repeat(depth), "]".repeat(depth));
            json("1970-01-01T01:00:00Z").replace("[1]", &format!("{opening}{closing}"))
        };
        // Two braces are of the credentials.
        assert!(parse(nested(62).as_bytes(), 0).is_ok());
        assert!(parse(nested(63).as_bytes(), 0).is_err());
        for bad in [
            "",
            "{}",
            "[]",
            "{\"credential\":3}",
            "\u{1}",
            &json("soon"),
            &json("1969-12-31T00:00:00Z"),
            &json("1970-01-01T01:00:00Z").replace("SK", "S K"),
        ] {
            assert!(
                matches!(parse(bad.as_bytes(), 0), Err(e) if e.code == Code::NoCredentials && !e.detail.contains("SK")),
                "{bad}"
            );
        }
    }
    #[test]
    fn they_serve_until_the_second_in_which_they_expire() {
        let provider = Arc::new(EcsProvider::new("test"));
        let credentials = Arc::new(Credentials::new("AK", "SK", Some("T")).expect("credentials"));
        let fetched = ExpiringCredentials { credentials, expires_at: 100, renew_at: 50 };
        provider.current.store(Some(Arc::new(fetched)));
        // One seems to be under way, so that none begins.
        let fetches = Arc::new(FetchState::default());
        fetches.lock().under_way = true;
        let deadline = Deadline::new(Instant::now(), CancelFlag::default(), None);
        for (now, serve) in [(0, true), (49, true), (50, true), (99, true), (100, false), (101, false)] {
            let given = provider.credentials(&fetches, now, &deadline);
            assert_eq!(given.is_ok(), serve, "{now}: {given:?}");
        }
    }
}
