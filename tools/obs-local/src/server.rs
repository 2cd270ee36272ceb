//! The server: its thread, and everything that tests ask of it without HTTP.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::addressing::Addressing;
use crate::auth::Keyring;
use crate::clock::Clock;
use crate::fault::{Fault, Faults};
use crate::journal::{Counts, Entry, Journal};
use crate::listing::ListLag;
use crate::options::{AccessKey, BucketPaging, Options, Rate};
use crate::quirk::{ListQuirk, Listing};
use crate::service::RequestIds;
use crate::store::{Bucket, Contents, Initiated, Object, Part, Settings, Store};
use crate::timer::Timer;
use crate::tls;
use crate::wire::Answer;
use crate::xml;

/// What the connections share.
pub(crate) struct Shared {
    pub verify: bool,
    pub addressing: Addressing,
    pub keyring: Keyring,
    pub clock: Clock,
    pub timer: Timer,
    pub store: Store,
    pub faults: Faults,
    pub journal: Journal,
    quirks: [RwLock<Vec<ListQuirk>>; 3],
    pub initiated: RwLock<Option<String>>,
    pub list_lag: Mutex<ListLag>,
    pub page_cap: AtomicUsize,
    pub parts_page_cap: AtomicUsize,
    pub buckets_page_cap: Mutex<Option<usize>>,
    pub bucket_paging: BucketPaging,
    pub latency_us: AtomicU64,
    pub request_serial: AtomicU64,
    pub connections_accepted: AtomicU64,
    pub connections_open: AtomicI64,
    pub handshakes_failed: AtomicU64,
    pub bad_requests: AtomicU64,
    rate: Mutex<Option<Tokens>>,
}

struct Tokens {
    rate: Rate,
    left: f64,
    counted: Instant,
}

impl Tokens {
    fn new(rate: Rate) -> Self {
        Self { rate, left: rate.burst, counted: Instant::now() }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        let earned = (now - self.counted).as_secs_f64() * self.rate.per_second;
        self.left = (self.left + earned).min(self.rate.burst);
        self.counted = now;
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

impl Shared {
    pub fn quirks(&self, listing: Listing) -> Vec<ListQuirk> {
        self.quirks[listing as usize].read().unwrap().clone()
    }

    /// The refusal of a request that comes too soon.
    pub fn over_rate(&self, ids: &RequestIds) -> Option<Answer> {
        let mut rate = self.rate.lock().unwrap();
        let tokens = rate.as_mut()?;
        if tokens.take() {
            return None;
        }
        let body = xml::error("SlowDown", "Please reduce your request rate.", &ids.request, &ids.host, "");
        let mut answer = Answer::new(503).header("Content-Type", "application/xml").body(body);
        if let Some(seconds) = tokens.rate.retry_after_s {
            answer = answer.header("Retry-After", seconds.to_string());
        }
        answer.code = "SlowDown".into();
        Some(answer)
    }
}

/// A running server; it stops when it is dropped.
///
/// Its methods may be called from any thread. What they change holds for the next request.
pub struct Server {
    shared: Arc<Shared>,
    addr: SocketAddr,
    scheme: &'static str,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An unfinished upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadEntry {
    pub key: String,
    pub upload_id: String,
    /// As it is listed; None if the element is missing.
    pub initiated: Option<String>,
    pub parts: usize,
    /// The sizes of its parts, added up.
    pub bytes: u64,
}

impl Server {
    /// Starts it; panics with the reason if that fails.
    pub fn start(options: Options) -> Self {
        Self::try_start(options).unwrap_or_else(|error| panic!("obs-local does not start: {error}"))
    }

    pub fn try_start(options: Options) -> io::Result<Self> {
        let acceptor = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let listener = std::net::TcpListener::bind(options.listen)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let shared = Arc::new(shared(options)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (stop, stopped) = oneshot::channel();
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new().name("obs-local".into()).spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the socket is a listening one");
                tokio::spawn(accept(listener, for_thread, acceptor));
                // An error too: its sender was dropped, and means that this server is.
                let _ = stopped.await;
            });
            // With the runtime go all connections, whatever they wait for.
        })?;
        Ok(Self { shared, addr, scheme, stop: Some(stop), thread: Some(thread) })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// `http://127.0.0.1:PORT` (https with TLS): path addressing.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// `http://HOST:PORT`: for `localhost` virtual-host addressing (`bucket.localhost` must resolve to 127.0.0.1, as glibc
    /// and systemd do it).
    pub fn endpoint_of(&self, host: &str) -> String {
        format!("{}://{host}:{}", self.scheme, self.addr.port())
    }

    // Settings that may change while it runs.

    /// Adds a key, or replaces the one of the same access key.
    pub fn add_access_key(&self, key: &AccessKey) {
        self.shared.keyring.add(key);
    }

    /// Whether there was such a key.
    pub fn remove_access_key(&self, access_key: &str) -> bool {
        self.shared.keyring.remove(access_key)
    }

    pub fn set_latency(&self, latency: Duration) {
        self.shared.latency_us.store(latency.as_micros() as u64, Ordering::Relaxed);
    }

    pub fn set_clock_offset_s(&self, seconds: i64) {
        self.shared.clock.set_offset(seconds);
    }

    pub fn set_rate(&self, rate: Option<Rate>) {
        *self.shared.rate.lock().unwrap() = rate.map(Tokens::new);
    }

    pub fn set_page_cap(&self, entries: usize) {
        self.shared.page_cap.store(entries, Ordering::Relaxed);
    }

    /// Of parts.
    pub fn set_parts_page_cap(&self, entries: usize) {
        self.shared.parts_page_cap.store(entries, Ordering::Relaxed);
    }

    /// Of buckets; None: pages only if they are asked for.
    pub fn set_buckets_page_cap(&self, entries: Option<usize>) {
        *self.shared.buckets_page_cap.lock().unwrap() = entries;
    }

    /// Of the list of uploads.
    pub fn set_list_quirks(&self, quirks: &[ListQuirk]) {
        self.set_quirks(Listing::Uploads, quirks);
    }

    /// Those that are not for this listing (`ListQuirk::TABLE`) do nothing.
    pub fn set_quirks(&self, listing: Listing, quirks: &[ListQuirk]) {
        *self.shared.quirks[listing as usize].write().unwrap() = quirks.to_vec();
    }

    /// What lists say of every upload's Initiated; None: the truth.
    pub fn set_initiated(&self, text: Option<&str>) {
        *self.shared.initiated.write().unwrap() = text.map(str::to_owned);
    }

    /// From now on lists show the uploads as they were so many listings before. For servers of one bucket.
    pub fn set_list_lag(&self, listings: usize) {
        *self.shared.list_lag.lock().unwrap() = ListLag::of(listings);
    }

    // Faults.

    /// Adds a rule behind those that are there.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Rules not used up yet.
    pub fn faults_left(&self) -> usize {
        self.shared.faults.left()
    }

    // What it holds. A bucket that does not exist is a mistake of the test: these panic, except `create_bucket`.

    /// A bucket without a location, if there is none of that name.
    pub fn create_bucket(&self, bucket: &str) {
        self.change_bucket(bucket, |_| {});
    }

    /// Creates a bucket, or moves it: what lists say of its Location.
    pub fn set_location(&self, bucket: &str, location: &str) {
        self.change_bucket(bucket, |settings| settings.location = Some(location.to_owned()));
    }

    /// Creates a bucket of another region, or moves it there: requests for it are answered 301 PermanentRedirect with this
    /// endpoint. None: it is here.
    pub fn set_elsewhere(&self, bucket: &str, endpoint: Option<&str>) {
        self.change_bucket(bucket, |settings| settings.elsewhere = endpoint.map(str::to_owned));
    }

    /// Everything in this bucket is answered 403 AccessDenied; it is listed all the same.
    pub fn set_forbidden(&self, bucket: &str, forbidden: bool) {
        self.change_bucket(bucket, |settings| settings.forbidden = forbidden);
    }

    /// The bucket belongs to this access key: others do not have it in their lists, and are answered 403.
    pub fn set_owner(&self, bucket: &str, access_key: &str) {
        self.change_bucket(bucket, |settings| settings.owner = Some(access_key.to_owned()));
    }

    fn change_bucket(&self, bucket: &str, change: impl FnOnce(&mut Settings)) {
        let now_ms = self.shared.clock.now_ms();
        let contents = &mut *self.shared.store.lock();
        let bucket = contents.buckets.entry(bucket.to_owned());
        change(&mut bucket.or_insert_with(|| Bucket::new(Settings::default(), now_ms)).settings);
    }

    pub fn bucket_exists(&self, bucket: &str) -> bool {
        self.shared.store.lock().buckets.contains_key(bucket)
    }

    /// An upload initiated now; its id.
    pub fn create_upload(&self, bucket: &str, key: &str) -> String {
        self.create_upload_at(bucket, key, &Initiated::Ago(Duration::ZERO))
    }

    pub fn create_upload_at(&self, bucket: &str, key: &str, initiated: &Initiated) -> String {
        self.new_upload(bucket, key, None, initiated)
    }

    /// An upload with an id of the test's own.
    pub fn create_upload_with_id(&self, bucket: &str, key: &str, upload_id: &str, initiated: &Initiated) {
        self.new_upload(bucket, key, Some(upload_id), initiated);
    }

    fn new_upload(&self, bucket: &str, key: &str, id: Option<&str>, initiated: &Initiated) -> String {
        let now_ms = self.shared.clock.now_ms();
        let created = self.shared.store.lock().create_upload(bucket, key, id, initiated, now_ms);
        created.unwrap_or_else(|| panic!("there is no bucket {bucket:?}"))
    }

    /// Many at once: the key of each comes from its number (0 to count - 1). Their ids, in that order.
    pub fn create_uploads(
        &self,
        bucket: &str,
        count: usize,
        initiated: &Initiated,
        key: impl Fn(usize) -> String,
    ) -> Vec<String> {
        let now_ms = self.shared.clock.now_ms();
        let contents = &mut *self.shared.store.lock();
        (0..count)
            .map(|number| {
                contents
                    .create_upload(bucket, &key(number), None, initiated, now_ms)
                    .unwrap_or_else(|| panic!("there is no bucket {bucket:?}"))
            })
            .collect()
    }

    /// Adds a part to an upload that exists.
    pub fn put_part(&self, bucket: &str, key: &str, upload_id: &str, number: u32, data: &[u8]) {
        let part = Part::new(data, self.shared.clock.now_ms());
        self.with_bucket(bucket, |bucket| {
            let upload = bucket.uploads.get_mut(&(key.to_owned(), upload_id.to_owned()));
            upload
                .unwrap_or_else(|| panic!("there is no upload {upload_id:?} of {key:?}"))
                .parts
                .put(number, part);
        });
    }

    /// Gives each upload whose key begins with `prefix` so many more parts of this size, which came so many seconds ago
    /// (negative: in the future), numbered behind those that it has. No data stands behind them, so that any number of
    /// them takes no memory. How many uploads these are.
    pub fn create_parts(&self, bucket: &str, prefix: &str, count: u32, size: u64, age_s: i64) -> usize {
        let modified_ms = self.shared.clock.now_ms() - age_s * 1000;
        let found = self.shared.store.lock().make_up_parts(bucket, prefix, count, size, modified_ms);
        found.unwrap_or_else(|| panic!("there is no bucket {bucket:?}"))
    }

    pub fn put_object(&self, bucket: &str, key: &str, data: &[u8]) {
        let object = Object::new(data, self.shared.clock.now_ms());
        self.with_bucket(bucket, |bucket| bucket.objects.insert(key.to_owned(), object));
    }

    pub fn object_exists(&self, bucket: &str, key: &str) -> bool {
        self.with_bucket(bucket, |bucket| bucket.objects.contains_key(key))
    }

    /// The keys of all objects.
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        self.with_bucket(bucket, |bucket| bucket.objects.keys().cloned().collect())
    }

    /// The unfinished uploads, in the order of listings.
    pub fn uploads(&self, bucket: &str) -> Vec<UploadEntry> {
        self.with_bucket(bucket, |bucket| {
            let entry = |((key, id), upload): (&(String, String), &crate::store::Upload)| UploadEntry {
                key: key.clone(),
                upload_id: id.clone(),
                initiated: upload.initiated.clone(),
                parts: upload.parts.count(),
                bytes: upload.parts.size(),
            };
            bucket.uploads.iter().map(entry).collect()
        })
    }

    pub fn upload_count(&self, bucket: &str) -> usize {
        self.with_bucket(bucket, |bucket| bucket.uploads.len())
    }

    pub fn upload_exists(&self, bucket: &str, key: &str, upload_id: &str) -> bool {
        self.with_bucket(bucket, |bucket| {
            bucket.uploads.contains_key(&(key.to_owned(), upload_id.to_owned()))
        })
    }

    /// Whether an abort of this id was carried out (over HTTP or by `abort`), whether or not its answer arrived.
    pub fn was_aborted(&self, upload_id: &str) -> bool {
        self.shared.store.lock().was_aborted(upload_id)
    }

    /// How many aborts were carried out.
    pub fn aborted_count(&self) -> u64 {
        self.shared.store.lock().aborted_count()
    }

    /// Aborts as another client would; whether there was such an upload.
    pub fn abort(&self, bucket: &str, key: &str, upload_id: &str) -> bool {
        self.shared.store.lock().abort(bucket, key, upload_id)
    }

    /// Completes as another client would, from the parts that are there; whether there was such an upload.
    pub fn complete(&self, bucket: &str, key: &str, upload_id: &str) -> bool {
        let modified_ms = self.shared.clock.now_ms();
        self.with_bucket(bucket, |bucket| {
            let Some(upload) = bucket.uploads.remove(&(key.to_owned(), upload_id.to_owned())) else {
                return false;
            };
            let object = Object::of_parts(&upload.parts.after(0, usize::MAX), modified_ms);
            bucket.objects.insert(key.to_owned(), object);
            true
        })
    }

    fn with_bucket<T>(&self, name: &str, use_it: impl FnOnce(&mut Bucket) -> T) -> T {
        let contents: &mut Contents = &mut self.shared.store.lock();
        match contents.buckets.get_mut(name) {
            Some(bucket) => use_it(bucket),
            None => panic!("there is no bucket {name:?}"),
        }
    }

    // What it saw.

    /// The requests kept, in the order of their arrival.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.journal.entries()
    }

    pub fn counts(&self) -> Counts {
        self.shared.journal.counts()
    }

    /// Forgets requests and counts; the numbers of connections go on.
    pub fn clear_journal(&self) {
        self.shared.journal.clear();
    }

    /// TCP connections accepted since the start.
    pub fn connections_accepted(&self) -> u64 {
        self.shared.connections_accepted.load(Ordering::SeqCst)
    }

    /// TCP connections that are open now, as far as the server has noticed.
    pub fn connections_open(&self) -> u64 {
        self.shared.connections_open.load(Ordering::SeqCst).max(0) as u64
    }

    /// TLS handshakes that failed.
    pub fn handshakes_failed(&self) -> u64 {
        self.shared.handshakes_failed.load(Ordering::SeqCst)
    }

    /// Requests that were not HTTP; they are in no journal.
    pub fn bad_requests(&self) -> u64 {
        self.shared.bad_requests.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn shared(options: Options) -> io::Result<Shared> {
    let file = options.journal_file.as_ref().map(File::create).transpose()?;
    let store = Store::default();
    let clock = Clock::new(options.clock_offset_s);
    for bucket in &options.buckets {
        store.lock().buckets.insert(bucket.clone(), Bucket::new(Settings::default(), clock.now_ms()));
    }
    Ok(Shared {
        verify: options.verify,
        addressing: Addressing::new(&options.domains, &options.custom_domains),
        keyring: Keyring::new(&options.access_keys),
        clock,
        timer: Timer::start(),
        store,
        faults: Faults::new(options.seed),
        journal: Journal::new(options.journal, file),
        quirks: [options.list_quirks, options.parts_quirks, options.buckets_quirks].map(RwLock::new),
        initiated: RwLock::new(options.initiated),
        list_lag: Mutex::new(ListLag::of(options.list_lag)),
        page_cap: AtomicUsize::new(options.page_cap),
        parts_page_cap: AtomicUsize::new(options.parts_page_cap),
        buckets_page_cap: Mutex::new(options.buckets_page_cap),
        bucket_paging: options.bucket_paging,
        latency_us: AtomicU64::new(options.latency.as_micros() as u64),
        request_serial: AtomicU64::new(0),
        connections_accepted: AtomicU64::new(0),
        connections_open: AtomicI64::new(0),
        handshakes_failed: AtomicU64::new(0),
        bad_requests: AtomicU64::new(0),
        rate: Mutex::new(options.rate.map(Tokens::new)),
    })
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                let number = shared.connections_accepted.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(crate::connection::serve(tcp, number, shared.clone(), tls.clone()));
            }
            // Out of descriptors, most likely: some connection will end.
            Err(_) => shared.timer.until(Instant::now() + Duration::from_millis(10)).await,
        }
    }
}
