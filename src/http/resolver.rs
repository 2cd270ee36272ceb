//! Name resolution with a deadline: getaddrinfo on a thread of its own. There is one lookup per host at a time, which
//! all callers share.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::base::deadline::{Deadline, Interrupted};
use crate::base::error::{Code, Error};
use crate::base::origin::ip_literal;
use crate::base::panic::caught;
use crate::base::sys::{descriptors, thread};

use super::error::TransportError;

/// The lookups under way of one client in one process.
#[derive(Debug, Default)]
pub struct Resolver {
    under_way: Arc<Mutex<HashMap<String, Arc<Lookup>>>>,
}

#[derive(Debug, Default)]
struct Lookup {
    response: Mutex<Option<Result<Vec<IpAddr>, String>>>,
    done: Condvar,
}

impl Resolver {
    /// Returns the addresses of a host. A lookup can't be interrupted: a caller that gives up leaves it running, and
    /// a later caller joins it.
    pub fn resolve(&self, host: &str, deadline: &Deadline) -> Result<Vec<IpAddr>, TransportError> {
        if let Some(address) = ip_literal(host) {
            return Ok(vec![address]);
        }
        let failed = |why: &str| Error::new(Code::Resolve, format!("the host {host} did not resolve: {why}"));
        let lookup = self.join_lookup(host).map_err(|e| failed(&format!("no thread for the lookup: {e}")))?;
        let mut response = lookup.response.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*response {
                Some(Ok(addresses)) if addresses.is_empty() => {
                    return Err(failed("it has no addresses").into());
                }
                Some(Ok(addresses)) => return Ok(addresses.clone()),
                Some(Err(why)) => return Err(failed(why).into()),
                None => {}
            }
            deadline.check().map_err(|stop| match stop {
                Interrupted::Cancelled => TransportError::Interrupted(stop),
                Interrupted::DeadlinePassed => {
                    TransportError::TimedOut(failed("no response within the time allowed"))
                }
            })?;
            (response, _) = lookup
                .done
                .wait_timeout(response, deadline.next_wait())
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn join_lookup(&self, host: &str) -> std::io::Result<Arc<Lookup>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = under_way.get(host) {
            return Ok(Arc::clone(lookup));
        }
        let lookup = Arc::new(Lookup::default());
        let (all, mine, name) = (Arc::clone(&self.under_way), Arc::clone(&lookup), host.to_owned());
        thread::spawn("obsabort-lookup", move || {
            // The entry must go in any case: every later call to this host would wait for it.
            let found = caught(|| addresses_of(&name)).unwrap_or_else(Err);
            all.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            *mine.response.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            mine.done.notify_all();
        })?;
        under_way.insert(host.to_owned(), Arc::clone(&lookup));
        Ok(lookup)
    }
}

fn addresses_of(host: &str) -> Result<Vec<IpAddr>, String> {
    let addresses = (host, 0).to_socket_addrs().map_err(|e| match descriptors::probe_exhaustion() {
        Some(why) => why.to_owned(),
        None => error_text(&e),
    })?;
    Ok(addresses.map(|address| address.ip()).collect())
}

/// The text of a resolver's error, without the prefix that std puts before it.
fn error_text(error: &std::io::Error) -> String {
    let text = descriptors::error_text(error);
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}
