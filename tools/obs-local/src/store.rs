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

/// What an object or a part holds.
#[derive(Clone, PartialEq)]
pub(crate) enum Data {
    Bytes(Arc<[u8]>),
    /// So many zeros, which take no memory: parts of gigabytes.
    Zeros(u64),
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Data {
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(size) => *size,
        }
    }

    /// What the parts make together: nothing but zeros stays without memory.
    pub fn joined<'a>(parts: impl Iterator<Item = &'a Data> + Clone) -> Self {
        if parts.clone().all(|part| matches!(part, Self::Zeros(_))) {
            return Self::Zeros(parts.map(Self::size).fold(0, u64::saturating_add));
        }
        let mut bytes = Vec::new();
        parts.for_each(|part| part.append_to(&mut bytes));
        Self::Bytes(bytes.into())
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Bytes(more) => bytes.extend_from_slice(more),
            Self::Zeros(size) => bytes.resize(bytes.len() + *size as usize, 0),
        }
    }

    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Zeros(size) => vec![0; *size as usize],
        }
    }
}

#[derive(Clone)]
pub(crate) struct Part {
    pub etag: String,
    pub data: Data,
    pub modified_ms: i64,
}

impl Part {
    pub fn new(data: &[u8], modified_ms: i64) -> Self {
        Self { etag: etag(data), data: data.into(), modified_ms }
    }
}

/// Equal parts that were never sent, with numbers that follow each other.
#[derive(Clone, Copy)]
struct Run {
    first: u32,
    count: u32,
    size: u64,
    modified_ms: i64,
}

impl Run {
    fn part(&self, number: u32) -> Part {
        let etag = etag(format!("{number}:{}:{}", self.size, self.modified_ms).as_bytes());
        Part { etag, data: Data::Zeros(self.size), modified_ms: self.modified_ms }
    }
}

type Runs = Arc<[Run]>;

/// The parts of an upload: those that were put, and those that were made up, which many uploads share.
#[derive(Clone, Default)]
pub(crate) struct Parts {
    put: BTreeMap<u32, Part>,
    made_up: Option<Runs>,
}

impl Parts {
    pub fn put(&mut self, number: u32, part: Part) {
        self.put.insert(number, part);
    }

    pub fn get(&self, number: u32) -> Option<Part> {
        self.put.get(&number).cloned().or_else(|| self.run_of(number).map(|run| run.part(number)))
    }

    /// At most `limit` parts behind this number, in order.
    pub fn after(&self, marker: u32, limit: usize) -> Vec<(u32, Part)> {
        let mut after: BTreeMap<u32, Part> = BTreeMap::new();
        for run in self.runs() {
            let numbers = run.first.max(marker.saturating_add(1))..run.first + run.count;
            after.extend(numbers.take(limit).map(|number| (number, run.part(number))));
        }
        let put = self.put.range(marker.saturating_add(1)..).take(limit);
        after.extend(put.map(|(number, part)| (*number, part.clone())));
        after.into_iter().take(limit).collect()
    }

    pub fn count(&self) -> usize {
        let made_up: usize = self.runs().iter().map(|run| run.count as usize).sum();
        made_up + self.put.keys().filter(|number| self.run_of(**number).is_none()).count()
    }

    pub fn size(&self) -> u64 {
        let made_up: u128 = self.runs().iter().map(|run| u128::from(run.count) * u128::from(run.size)).sum();
        let put: u128 = self.put.values().map(|part| u128::from(part.data.size())).sum();
        let replaced: u128 =
            self.put.keys().filter_map(|number| self.run_of(*number)).map(|run| u128::from(run.size)).sum();
        u64::try_from(made_up + put - replaced).unwrap_or(u64::MAX)
    }

    fn run_of(&self, number: u32) -> Option<&Run> {
        self.runs().iter().find(|run| (run.first..run.first + run.count).contains(&number))
    }

    fn runs(&self) -> &[Run] {
        self.made_up.as_deref().unwrap_or(&[])
    }

    fn next_number(&self) -> u32 {
        let put = self.put.last_key_value().map_or(0, |(number, _)| *number);
        self.runs().last().map_or(0, |run| run.first + run.count - 1).max(put) + 1
    }
}

#[derive(Clone)]
pub(crate) struct Upload {
    /// As listed; None = the element is missing.
    pub initiated: Option<String>,
    /// For the order of the quirk that sorts by time.
    pub initiated_ms: i64,
    pub parts: Parts,
}

#[derive(Clone)]
pub(crate) struct Object {
    pub etag: String,
    pub data: Data,
    pub modified_ms: i64,
}

impl Object {
    pub fn new(data: &[u8], modified_ms: i64) -> Self {
        Self { etag: etag(data), data: data.into(), modified_ms }
    }

    /// What completing an upload of these parts makes.
    pub fn of_parts(parts: &[(u32, Part)], modified_ms: i64) -> Self {
        let tags: String = parts.iter().map(|(_, part)| part.etag.as_str()).collect();
        let data = Data::joined(parts.iter().map(|(_, part)| &part.data));
        Self { etag: etag(tags.as_bytes()), data, modified_ms }
    }
}

#[derive(Default)]
pub(crate) struct Bucket {
    pub settings: Settings,
    pub created_ms: i64,
    pub objects: BTreeMap<String, Object>,
    /// By key, then upload id: the order of listings.
    pub uploads: BTreeMap<(String, String), Upload>,
}

impl Bucket {
    pub fn new(settings: Settings, created_ms: i64) -> Self {
        Self { settings, created_ms, ..Self::default() }
    }

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

/// Where a bucket is, and whose.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub location: Option<String>,
    /// The endpoint at which alone it can be reached; None: here.
    pub elsewhere: Option<String>,
    /// The access key that it belongs to; None: to each.
    pub owner: Option<String>,
    pub forbidden: bool,
}

impl Settings {
    pub fn belongs_to(&self, access_key: &str) -> bool {
        self.owner.as_deref().is_none_or(|owner| owner == access_key)
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
        let upload = Upload { initiated: text, initiated_ms: ms, parts: Parts::default() };
        bucket.uploads.insert((key.to_owned(), id.clone()), upload);
        Some(id)
    }

    /// Gives each upload below the prefix so many more parts, made up, behind those that it has. How many uploads.
    pub fn make_up_parts(
        &mut self,
        bucket: &str,
        prefix: &str,
        count: u32,
        size: u64,
        modified_ms: i64,
    ) -> Option<usize> {
        let bucket = self.buckets.get_mut(bucket)?;
        let mut found = 0;
        // Uploads with equal parts share them: what one had, and what it has now.
        let mut last: Option<(Option<Runs>, Runs)> = None;
        let start = Bound::Included((prefix.to_owned(), String::new()));
        for ((key, _), upload) in bucket.uploads.range_mut((start, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            found += 1;
            let run = Run { first: upload.parts.next_number(), count, size, modified_ms };
            let before = upload.parts.made_up.take();
            let shared = last.as_ref().filter(|(known, now)| {
                let known = known.as_ref().map(Arc::as_ptr);
                known == before.as_ref().map(Arc::as_ptr)
                    && now.last().is_some_and(|run_of| run_of.first == run.first)
            });
            let now = match shared {
                Some((_, now)) => now.clone(),
                None => before.iter().flat_map(|runs| runs.iter()).copied().chain([run]).collect(),
            };
            upload.parts.made_up = Some(now.clone());
            last = Some((before, now));
        }
        Some(found)
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
