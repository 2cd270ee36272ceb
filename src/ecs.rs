//! Credentials of the agency of an ECS, from its metadata service: fetched by one thread, renewed before they
//! expire while the others go on with the old ones.
//!
//! Facts: "Obtaining metadata" in Huawei's ECS guide: `PUT /meta-data/latest/api/token`, then
//! `GET /openstack/latest/securitykey` with the token; where the PUT is unknown, the GET works without.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tinyjson::JsonValue;
use zeroize::Zeroizing;

use crate::credentials::Credentials;
use crate::date;
use crate::error::{Code, Error};
use crate::http::{Answer, Ask, Head, Http, METADATA_HOST, Trouble};
use crate::target::Authority;
use crate::watch::{Stop, Watch};

/// A link-local service answers at once, or is not there.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long before their end credentials are renewed.
const AHEAD: i64 = 300;
/// After a renewal that failed, the old ones serve this long before the next.
const PAUSE: Duration = Duration::from_secs(10);

/// Credentials that end.
#[derive(Debug)]
pub struct Passing {
    credentials: Arc<Credentials>,
    expires_at: i64,
    /// Half of a short life is left for renewing.
    renew_at: i64,
}

/// The current credentials: read without a lock, and carried over a fork.
#[derive(Debug, Default)]
pub struct Agency {
    current: ArcSwapOption<Passing>,
}

/// Who fetches, in this process.
#[derive(Debug, Default)]
pub struct Renewal {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    under_way: bool,
    /// How many fetches have ended.
    rounds: u64,
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    at: Instant,
    /// Which fetch it was.
    round: u64,
    error: Error,
}

impl Agency {
    /// Credentials that have not expired.
    pub fn credentials(
        &self,
        renewal: &Renewal,
        now: i64,
        watch: &Watch,
        fetch: impl Fn(&Watch) -> Result<Passing, Trouble>,
    ) -> Result<Arc<Credentials>, Trouble> {
        let usable = |current: &Option<Arc<Passing>>| {
            current
                .as_ref()
                .filter(|c| now < c.expires_at)
                .map(|c| (Arc::clone(&c.credentials), now < c.renew_at))
        };
        let mine = match usable(&self.current.load_full()) {
            Some((credentials, true)) => return Ok(credentials),
            old => old.map(|(credentials, _)| credentials),
        };
        let mut state = renewal.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = mine {
            let resting = state.failed.as_ref().is_some_and(|failed| failed.at.elapsed() < PAUSE);
            if state.under_way || resting {
                return Ok(old);
            }
            state.under_way = true;
            drop(state);
            // What can be had without it must not cost this call its budget.
            let now = Instant::now();
            let watch = watch.until(now + watch.deadline().saturating_duration_since(now) / 2);
            return Ok(self.renew(renewal, &watch, fetch, true).unwrap_or(old));
        }
        let round = state.rounds;
        while state.under_way {
            watch.check().map_err(Trouble::Stopped)?;
            (state, _) =
                renewal.settled.wait_timeout(state, watch.slice()).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some((credentials, _)) = usable(&self.current.load_full()) {
            return Ok(credentials);
        }
        // Who waited for a fetch shares its failure, rather than fetching in turn.
        if let Some(failed) =
            state.failed.as_ref().filter(|failed| failed.round >= round && state.rounds > round)
        {
            return Err(Trouble::Final(failed.error.clone()));
        }
        state.under_way = true;
        drop(state);
        self.renew(renewal, watch, fetch, false)
    }

    fn renew(
        &self,
        renewal: &Renewal,
        watch: &Watch,
        fetch: impl Fn(&Watch) -> Result<Passing, Trouble>,
        ahead: bool,
    ) -> Result<Arc<Credentials>, Trouble> {
        let settle = Settle(renewal);
        let outcome = fetch(watch);
        let mut state = settle.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(passing) => {
                state.failed = None;
                let credentials = Arc::clone(&passing.credentials);
                self.current.store(Some(Arc::new(passing)));
                Ok(credentials)
            }
            Err(trouble) => {
                let round = state.rounds;
                let failed = |error: Error| Some(Failed { at: Instant::now(), round, error });
                match &trouble {
                    Trouble::Final(error) => state.failed = failed(error.clone()),
                    // A caller whose own time was up says nothing of the service; but the next need not try as long.
                    Trouble::Stopped(Stop::Deadline) if ahead => {
                        state.failed =
                            failed(Error::new(Code::NoCredentials, "the ECS metadata service is slow"));
                    }
                    _ => {}
                }
                Err(trouble)
            }
        }
    }
}

/// Lets the others go on, also should the fetch panic.
struct Settle<'a>(&'a Renewal);

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.under_way = false;
        state.rounds += 1;
        self.0.settled.notify_all();
    }
}

/// Asks the metadata service.
pub fn fetch(http: &Http, user_agent: &str, watch: &Watch) -> Result<Passing, Trouble> {
    let callers = watch;
    let watch = &watch.until(Instant::now() + PATIENCE);
    let at = Authority::new(METADATA_HOST, None);
    let ask = |method: &str, path: &str, header: (&str, &[u8])| {
        let mut head = Head::new(method, path, &at);
        head.header("User-Agent", &[user_agent.as_bytes()]);
        head.header(header.0, &[header.1]);
        if method == "PUT" {
            head.header("Content-Length", &[b"0"]);
        }
        ask(http, &at, head, watch).map_err(|trouble| match callers.check() {
            // Not the service's fault.
            Err(stop) => Trouble::Stopped(stop),
            Ok(()) => trouble,
        })
    };
    let token = ask("PUT", "/meta-data/latest/api/token", ("X-Metadata-Token-Ttl-Seconds", b"21600"))?;
    let header = match token.status {
        200..=299 => {
            let value = token.body.trim_ascii();
            if value.is_empty() || !value.iter().all(u8::is_ascii_graphic) {
                return Err(unusable("its token can't be sent back"));
            }
            ("X-Metadata-Token", value)
        }
        // Version 1 of the service knows no tokens.
        404 | 405 => ("Accept", b"application/json".as_slice()),
        status => return Err(unusable(format!("it answered {status} when asked for a token"))),
    };
    let answer = ask("GET", "/openstack/latest/securitykey", header)?;
    match answer.status {
        200 => parse(&Zeroizing::new(answer.body), date::unix_now()),
        404 => Err(unusable("it knows no credentials: give this ECS an agency")),
        status => Err(unusable(format!("it answered {status} when asked for credentials"))),
    }
}

fn unusable(why: impl std::fmt::Display) -> Trouble {
    Trouble::Final(Error::new(
        Code::NoCredentials,
        format!("the ECS metadata service {METADATA_HOST}: {why}"),
    ))
}

fn ask(http: &Http, at: &Authority, head: Head, watch: &Watch) -> Result<Answer, Trouble> {
    let ask = Ask { https: false, at, head, watch, connect_timeout: PATIENCE, fresh: true };
    http.ask(ask).map_err(|unanswered| match unanswered.trouble {
        Trouble::Stopped(Stop::Cancelled) => Trouble::Stopped(Stop::Cancelled),
        Trouble::Stopped(Stop::Deadline) => unusable("it does not answer (is this an ECS?)"),
        Trouble::TooSlow(e) | Trouble::Failed(e) | Trouble::Final(e) => {
            unusable(format_args!("{} (is this an ECS?)", e.detail))
        }
    })
}

fn parse(body: &[u8], now: i64) -> Result<Passing, Trouble> {
    let text = std::str::from_utf8(body).map_err(|_| unusable("its answer is not UTF-8"))?;
    // The parser recurses.
    if text.bytes().filter(|b| matches!(b, b'[' | b'{')).count() > 64 {
        return Err(unusable("its answer is nested too deeply"));
    }
    let json: JsonValue = text.parse().map_err(|_| unusable("its answer is not JSON"))?;
    let field = |name: &str| -> Result<Zeroizing<String>, Trouble> {
        let object = json.get::<std::collections::HashMap<String, JsonValue>>();
        let credential =
            object.and_then(|o| o.get("credential")?.get::<std::collections::HashMap<String, JsonValue>>());
        credential
            .and_then(|c| c.get(name)?.get::<String>())
            .map(|value| Zeroizing::new(value.clone()))
            .ok_or_else(|| unusable(format_args!("its answer lacks credential.{name}")))
    };
    let (access, secret, token) = (field("access")?, field("secret")?, field("securitytoken")?);
    let expires_at = date::parse_iso8601(&field("expires_at")?)
        .ok_or_else(|| unusable("its credential.expires_at is not a time"))?;
    if expires_at <= now {
        return Err(unusable("its credentials have expired already: check this machine's clock"));
    }
    let credentials = Credentials::new(&access, &secret, Some(&token))
        .map_err(|e| unusable(format_args!("in its answer, {}", e.detail)))?;
    Ok(Passing {
        credentials: Arc::new(credentials),
        expires_at,
        renew_at: expires_at - AHEAD.min((expires_at - now) / 2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
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
                matches!(parse(bad.as_bytes(), 0), Err(Trouble::Final(e)) if e.code == Code::NoCredentials && !e.detail.contains("SK")),
                "{bad}"
            );
        }
    }
}
