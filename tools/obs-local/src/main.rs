//! The program: the server with its options, and the few client commands that the demo needs.

mod args;
mod commands;

use std::process::ExitCode;

const HELP: &str = "\
obs-local: a small Huawei OBS on 127.0.0.1, for demonstrations and tests

  obs-local [serve] [OPTIONS]                  runs the server; prints `listening on 127.0.0.1:PORT` when it is ready
  obs-local put-parts CLIENT --key K --part-size BYTES FILE   uploads FILE in parts, leaves the upload unfinished, prints its id
  obs-local initiate CLIENT --key K            initiates an upload, prints its id
  obs-local list-parts CLIENT --key K ID       prints the status and the parts; exit code 1 unless it is 200
  obs-local list-uploads CLIENT [--prefix P]   prints key TAB id TAB initiated, all pages; exit code 1 unless it is 200
  obs-local abort CLIENT --key K ID            aborts; prints the status; exit code 1 unless it is 204
  obs-local put-object CLIENT --key K FILE     stores FILE as an object
  obs-local head-object CLIENT --key K         prints the status; exit code 1 unless it is 200

server options
  --port N                    0 (the default): a free one
  --access-key AK --secret-key SK [--security-token T]   repeat the pair for more keys; a token belongs to the pair before it
  --no-verify                 takes any signature
  --bucket NAME[:LOCATION]    exists from the start; may be repeated, as may the following
  --elsewhere BUCKET=ENDPOINT a bucket of another region: 301 PermanentRedirect, which names this endpoint
  --forbid BUCKET             everything in it is answered 403 AccessDenied
  --owner BUCKET=ACCESS_KEY   belongs to this key: others do not see it listed, and are answered 403
  --domain SUFFIX             hosts below it name a bucket (localhost and obs.test do); may be repeated
  --custom-domain HOST=BUCKET
  --uploads BUCKET:COUNT:AGE_SECONDS[:PREFIX[:KEYS]]   unfinished uploads, spread over KEYS keys (each its own unless said)
  --parts BUCKET:PREFIX:COUNT:SIZE:AGE_SECONDS         that many more parts, not backed by data, for each upload below PREFIX
  --object BUCKET:KEY         an object of a few bytes
  --latency-ms N              waited before each answer
  --clock-offset-s N          the server's clock against the machine's
  --rate N [--burst N] [--retry-after S]               beyond N requests a second: 503 SlowDown
  --page-cap N                entries of a page of uploads or objects (1000)
  --parts-page-cap N          entries of a page of parts (1000)
  --buckets-page-cap N        entries of a page of buckets, asked for or not (1000 if asked for, else all in one)
  --bucket-tokens             buckets are paged as by Amazon, not as by Huawei: max-buckets, continuation-token
  --list-quirk NAME           of the list of uploads: repeat-markers, omit-markers, backward-markers, truncated-xml,
                              wrong-root, omit-is-truncated, ignore-encoding-type, hide-encoding-type,
                              force-encoding-type, echo-encoding-type, ignore-prefix, order-by-time, page-by-key,
                              ignore-max-uploads, raw-control-characters
  --parts-quirk NAME          of lists of parts: the first six above, error-inside, two-values, nested-element,
                              text-after-root, omit-last-modified, zero-time, epoch-time, far-zone, no-zone,
                              omit-size, word-size, other-upload-id, other-key
  --buckets-quirk NAME        of the list of buckets: the first six above, error-inside, two-values, nested-element,
                              text-after-root, omit-location
  --list-lag N                lists show the uploads as they were N listings before
  --initiated TEXT            what lists say of every upload's Initiated, whenever it was initiated
  --fault RULE                'answer=503;error=SlowDown;method=DELETE;times=2'; may be repeated
  --seed N                    of faults with a probability
  --tls-cert F --tls-key F [--tls-client-ca F] [--tls-version 1.2|1.3]
  --journal FILE              each answered request as a line of JSON (signatures and tokens left out)
  --until-stdin-closes        ends when standard input does
  --control                   the same, and takes commands from it, one a line, each answered by one line:
                              fault RULE | clear-faults | latency-ms N | clock-offset-s N | rate N | rate off |
                              list-quirk NAME | parts-quirk NAME | buckets-quirk NAME | no-list-quirks |
                              initiated TEXT | initiated off | page-cap N | parts-page-cap N |
                              buckets-page-cap N | buckets-page-cap off | list-lag N |
                              add-key AK SK [T] | remove-key AK | bucket NAME[:LOCATION] |
                              elsewhere BUCKET=ENDPOINT | elsewhere BUCKET= | forbid BUCKET | allow BUCKET |
                              owner BUCKET=ACCESS_KEY | uploads SPEC | parts SPEC | object BUCKET:KEY |
                              upload-count BUCKET | upload-bytes BUCKET |
                              object-exists BUCKET:KEY | was-aborted ID | counts | connections

CLIENT options: --endpoint http://127.0.0.1:PORT --access-key AK --secret-key SK [--security-token T]
                [--signature obs|aws] --bucket B

RULE: fields separated by `;` (escapes: \\r \\n \\t \\; \\\\ \\xNN)
  what:  real | answer=STATUS | raw=BYTES | silence
         body=TEXT error=CODE header=NAME:VALUE without=NAME date-offset-s=N bare executed before=BYTES
  how:   delay-ms=N cut=BYTES drip=BYTES,MS repeat=TIMES,BYTES then=keep|close|drop|reset|half-close|stall
  which: accept method=M key=K bucket=B account query=NAME target=TEXT reused probability=P skip=N times=N always
";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let command = match words.first() {
        Some(first) if !first.starts_with('-') => words.remove(0),
        _ => "serve".to_owned(),
    };
    if command == "help" || words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let done = match command.as_str() {
        "serve" => args::serve(words),
        _ => commands::run(&command, words),
    };
    done.unwrap_or_else(|message| {
        eprintln!("obs-local: {message} (see obs-local --help)");
        ExitCode::from(2)
    })
}
