//! What the server holds: buckets, objects, unfinished uploads, and which uploads were aborted.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use crate::clock::{iso_date, unix_ms};
use crate::fault::mix;

/// What a listing says of when an upload was initiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initiated {
    /// So long before now, by the server's clock.
    Ago(Duration),
    At(SystemTime),
    /// No `<Initiated>` at all.
    Missing,
    /// This text, readable or not.
    Text(String),
}

#[derive(Clone)]
pub(crate) struct Part {
    pub etag: String,
    pub data: Arc<[u8]>,
    pub modified_ms: i64,
}

#[derive(Clone)]
pub(crate) struct Upload {
    /// As listed; None = the element is missing.
    pub initiated: Option<String>,
    /// For the order of the quirk that sorts by time.
    pub initiated_ms: i64,
    pub parts: BTreeMap<u32, Part>,
}

#[derive(Clone)]
pub(crate) struct Object {
    pub etag: String,
    pub data: Arc<[u8]>,
    pub modified_ms: i64,
}

#[derive(Default)]
pub(crate) struct Bucket {
    pub objects: BTreeMap<String, Object>,
    /// By key, then upload id: the order of listings.
    pub uploads: BTreeMap<(String, String), Upload>,
}

impl Bucket {
    /// The uploads after (key, upload id), in order, as far as the prefix goes.
    pub fn uploads_after<'a>(
        &'a self,
        key_marker: &str,
        id_marker: &str,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a (String, String), &'a Upload)> + use<'a> {
        // Alone, the key marker stands for all uploads of that key: the next key in byte order follows it at once.
        let after_marker = match (key_marker, id_marker) {
            ("", _) => (String::new(), String::new()),
            (key, "") => (format!("{key}\0"), String::new()),
            (key, id) => (key.to_owned(), format!("{id}\0")),
        };
        let start = after_marker.max((prefix.to_owned(), String::new()));
        self.uploads
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(move |((key, _), _)| key.starts_with(prefix))
    }
}

#[derive(Default)]
pub(crate) struct Contents {
    pub buckets: BTreeMap<String, Bucket>,
    aborted: Aborted,
    serial: u64,
}

#[derive(Default)]
pub(crate) struct Store(Mutex<Contents>);

impl Store {
    pub fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }
}

/// The uploads aborted so far. Ids that this server made carry a serial number and take one bit each, so that a soak over a
/// million uploads does not grow.
#[derive(Default)]
struct Aborted {
    bits: Vec<u64>,
    foreign: HashSet<String>,
    count: u64,
}

impl Contents {
    pub fn create_upload(
        &mut self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
        initiated: &Initiated,
        now_ms: i64,
    ) -> Option<String> {
        let (text, ms) = match initiated {
            Initiated::Ago(age) => {
                let ms = now_ms - age.as_millis() as i64;
                (Some(iso_date(ms)), ms)
            }
            Initiated::At(time) => (Some(iso_date(unix_ms(*time))), unix_ms(*time)),
            Initiated::Missing => (None, now_ms),
            Initiated::Text(text) => (Some(text.clone()), now_ms),
        };
        let serial = self.serial;
        let bucket = self.buckets.get_mut(bucket)?;
        let id = match id {
            Some(id) => id.to_owned(),
            None => {
                self.serial += 1;
                upload_id(serial)
            }
        };
        let upload = Upload { initiated: text, initiated_ms: ms, parts: BTreeMap::new() };
        bucket.uploads.insert((key.to_owned(), id.clone()), upload);
        Some(id)
    }

    /// Whether there was such an upload to abort.
    pub fn abort(&mut self, bucket: &str, key: &str, id: &str) -> bool {
        let Some(bucket) = self.buckets.get_mut(bucket) else {
            return false;
        };
        let aborted = bucket.uploads.remove(&(key.to_owned(), id.to_owned())).is_some();
        if aborted {
            self.aborted.count += 1;
            match serial_of(id) {
                Some(serial) => {
                    let (word, bit) = ((serial / 64) as usize, serial % 64);
                    if self.aborted.bits.len() <= word {
                        self.aborted.bits.resize(word + 1, 0);
                    }
                    self.aborted.bits[word] |= 1 << bit;
                }
                None => {
                    self.aborted.foreign.insert(id.to_owned());
                }
            }
        }
        aborted
    }

    pub fn was_aborted(&self, id: &str) -> bool {
        match serial_of(id) {
            Some(serial) => {
                let word = self.aborted.bits.get((serial / 64) as usize).copied().unwrap_or(0);
                word >> (serial % 64) & 1 == 1
            }
            None => self.aborted.foreign.contains(id),
        }
    }

    pub fn aborted_count(&self) -> u64 {
        self.aborted.count
    }
}

/// 32 hex digits, as OBS's own: the first 16 look random, so that the order of ids is not that of their making.
fn upload_id(serial: u64) -> String {
    format!("{:016X}{serial:016X}", mix(serial.wrapping_add(0x0B5)))
}

fn serial_of(id: &str) -> Option<u64> {
    let serial = u64::from_str_radix(id.get(16..)?, 16).ok()?;
    (upload_id(serial) == id).then_some(serial)
}

/// The etag of some data. Real ones are MD5 sums for whole objects and something else for assembled ones, which is why no
/// client may rely on that; here it is the beginning of a SHA-1.
pub(crate) fn etag(data: &[u8]) -> String {
    use sha1::Digest;
    let sum = sha1::Sha1::digest(data);
    let hex: String = sum.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
