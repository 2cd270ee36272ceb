//! The program, from outside: serving, the client commands, control over standard input, TLS options that are wrong.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use obs_local::{ListQuirk, Listing};

struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    endpoint: String,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_obs-local"))
            .args(["--port", "0", "--access-key", "AK", "--secret-key", "SK", "--control"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}"));
        let endpoint = format!("http://{address}");
        Self { child, input, output, endpoint }
    }

    fn control(&mut self, command: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    fn client(&self, command: &str, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_obs-local"))
            .args([command, "--endpoint", &self.endpoint, "--access-key", "AK", "--secret-key", "SK"])
            .args(["--bucket", "demo"])
            .args(arguments)
            .output()
            .unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The end of its standard input is the end of it.
        self.input.take();
        let status = self.child.wait().unwrap();
        assert!(std::thread::panicking() || status.success(), "{status}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[test]
fn parts_of_a_file_are_uploaded_listed_and_aborted() {
    let journal = std::env::temp_dir().join(format!("obs-local-{}.jsonl", std::process::id()));
    let mut program = Program::start(&["--bucket", "demo", "--journal", journal.to_str().unwrap()]);
    let file = env!("CARGO_BIN_EXE_obs-local");
    let size = std::fs::metadata(file).unwrap().len();
    let half = (size / 2 + 1).to_string();
    let put = program.client("put-parts", &["--key", "a b", "--part-size", &half, file]);
    let id = text(&put.stdout);
    assert!(put.status.success() && id.len() == 32, "{put:?}");
    let parts = program.client("list-parts", &["--key", "a b", &id]);
    let listing = text(&parts.stdout);
    assert!(listing.starts_with("HTTP 200") && listing.contains("\npart 2: "), "{listing}");
    assert_eq!(parts.status.code(), Some(0));
    let uploads = program.client("list-uploads", &["--prefix", "a", "--signature", "obs"]);
    assert!(text(&uploads.stdout).starts_with(&format!("a b\t{id}\t20")), "{uploads:?}");

    assert_eq!(program.control("upload-count demo"), "1");
    let abort = program.client("abort", &["--key", "a b", &id]);
    assert!(text(&abort.stdout).starts_with("HTTP 204"), "{abort:?}");
    assert_eq!(program.control(&format!("was-aborted {id}")), "true");
    let parts = program.client("list-parts", &["--key", "a b", &id]);
    assert!(text(&parts.stdout).starts_with("HTTP 404 NoSuchUpload"), "{parts:?}");
    assert_eq!(parts.status.code(), Some(1));
    let lines = std::fs::read_to_string(&journal).unwrap();
    assert!(lines.lines().all(|line| line.starts_with("{\"at_ms\":") && line.ends_with("}}")), "{lines}");
    assert!(lines.contains("\"method\":\"DELETE\",\"target\":\"/demo/a%20b?uploadId="));
    assert!(!lines.to_ascii_lowercase().contains("authorization"));
    std::fs::remove_file(journal).unwrap();
}

#[test]
fn it_is_controlled_over_standard_input() {
    let mut program =
        Program::start(&["--uploads", "demo:2500:86400:old/:60", "--object", "demo:old/000001"]);
    assert_eq!(program.control("upload-count demo"), "2500");
    assert_eq!(program.control("object-exists demo:old/000001"), "true");
    assert_eq!(program.control("upload-count none"), "error: there is no bucket \"none\"");
    let uploads = program.client("list-uploads", &[]);
    assert_eq!(text(&uploads.stdout).lines().count(), 2500);
    assert_eq!(program.control("fault answer=500;error=InternalError;then=close"), "ok");
    assert!(text(&program.client("list-uploads", &[]).stdout).starts_with("HTTP 500 InternalError"));
    assert_eq!(program.control("counts"), "requests=4 aborted=0 objects_deleted=0 faults=1 200=3 500=1");
    assert_eq!(program.control("connections").split(' ').next(), Some("accepted=4"));
    assert_eq!(program.control("remove-key AK"), "true");
    assert!(text(&program.client("list-uploads", &[]).stdout).starts_with("HTTP 403 InvalidAccessKeyId"));
    assert_eq!(program.control("nonsense"), "error: nonsense: no such command");
}

#[test]
fn times_of_uploads_are_as_told() {
    let mut program = Program::start(&["--uploads", "demo:1:86400:a", "--initiated", "0001-01-01T00:00:00Z"]);
    let initiated = |program: &Program| {
        let uploads = program.client("list-uploads", &[]);
        text(&uploads.stdout)
            .lines()
            .map(|line| line.rsplit('\t').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(initiated(&program), ["0001-01-01T00:00:00Z"]);
    assert_eq!(program.control("uploads demo:1:5:b"), "ok");
    assert_eq!(program.control("initiated yesterday, or so"), "ok");
    assert_eq!(initiated(&program), ["yesterday, or so"; 2]);
    assert_eq!(program.control("initiated off"), "ok");
    assert!(initiated(&program).iter().all(|time| time.starts_with("20")), "{:?}", initiated(&program));
}

#[test]
fn parts_and_buckets_are_as_told() {
    let mut program = Program::start(&[
        "--uploads",
        "demo:2:86400:a/",
        "--parts",
        "demo:a/:3:5242880:86400",
        "--bucket",
        "far:eu-102",
        "--elsewhere",
        "far=obs.eu-102.example.com",
        "--forbid",
        "secret",
        "--owner",
        "others=ANOTHER",
        "--parts-page-cap",
        "2",
    ]);
    assert_eq!(program.control("upload-bytes demo"), (6_u64 * 5_242_880).to_string());
    assert_eq!(program.control("parts demo::1:10:60"), "ok");
    assert_eq!(program.control("upload-bytes demo"), (6_u64 * 5_242_880 + 20).to_string());
    assert_eq!(program.control("parts demo:x:y:1:10:60"), "error: there is no upload below \"x:y\"");
    assert!(program.control("parts demo:1:10:60").starts_with("error: demo:1:10:60: BUCKET:PREFIX"));
    assert_eq!(program.control("parts none:a:1:10:60"), "error: there is no bucket \"none\"");
    let uploads = text(&program.client("list-uploads", &[]).stdout);
    let (key, id) = (uploads.split('\t').next().unwrap(), uploads.split('\t').nth(1).unwrap());
    let parts = |program: &Program| text(&program.client("list-parts", &["--key", key, id]).stdout);
    assert_eq!(parts(&program).lines().count(), 3, "a status and the first page");
    assert_eq!(program.control("parts-page-cap 1000"), "ok");
    assert_eq!(parts(&program).lines().last().unwrap().split(", ").next(), Some("part 4: 10 bytes"));
    assert_eq!(program.control("parts-quirk omit-size"), "ok");
    assert_eq!(parts(&program).lines().count(), 4);
    assert_eq!(program.control("no-list-quirks"), "ok");
    assert_eq!(parts(&program).lines().count(), 5);
    assert!(program.control("parts-quirk order-by-time").starts_with("error: order-by-time: no such quirk"));

    let status = |program: &Program, bucket: &str| {
        let output = program.client("list-uploads", &["--bucket", bucket]);
        text(&output.stdout).split(" (").next().unwrap().to_owned()
    };
    assert_eq!(status(&program, "far"), "HTTP 301 PermanentRedirect");
    assert_eq!(status(&program, "secret"), "HTTP 403 AccessDenied");
    assert_eq!(status(&program, "others"), "HTTP 403 AccessDenied");
    for command in
        ["elsewhere far=", "allow secret", "owner others=AK", "bucket new:eu-101", "buckets-page-cap 2"]
    {
        assert_eq!(program.control(command), "ok", "{command}");
    }
    for bucket in ["far", "secret", "others", "new"] {
        assert_eq!(status(&program, bucket), "", "{bucket}");
    }
    assert_eq!(program.control("buckets-quirk omit-location"), "ok");
    assert_eq!(program.control("buckets-page-cap off"), "ok");
}

/// The names of quirks that the help lists are those that there are.
#[test]
fn the_help_lists_all_quirks() {
    let help = Command::new(env!("CARGO_BIN_EXE_obs-local")).arg("--help").output().unwrap();
    let help = text(&help.stdout);
    for (option, listing) in [
        ("--list-quirk NAME ", Listing::Uploads),
        ("--parts-quirk NAME ", Listing::Parts),
        ("--buckets-quirk NAME ", Listing::Buckets),
    ] {
        let entry = help.split(option).nth(1).unwrap().split("\n  --").next().unwrap();
        let entry: Vec<&str> = entry.split(": ").nth(1).unwrap().split(',').map(str::trim).collect();
        let names = ListQuirk::TABLE.iter().filter(|(.., listings)| listings.contains(&listing));
        let names: Vec<&str> = names.map(|(_, name, _)| *name).collect();
        let listed = match entry[0] {
            "the first six above" => [&names[..6], &entry[1..]].concat(),
            _ => entry,
        };
        assert_eq!(listed, names, "{option}");
    }
}

#[test]
fn wrong_arguments_are_told() {
    for (arguments, part) in [
        (&["--port", "99999"][..], "99999"),
        (&["--tls-cert", "x"], "go together"),
        (&["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "/nowhere"),
        (&["--frobnicate"], "--frobnicate"),
        (&["--fault", "answer=x"], "x"),
        (&["--parts-quirk", "order-by-time"], "order-by-time"),
        (&["--elsewhere", "bucket"], "BUCKET=ENDPOINT"),
        (&["list-parts"], "--endpoint"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_obs-local")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(part), "{output:?}");
    }
}
