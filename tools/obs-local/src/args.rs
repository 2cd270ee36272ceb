//! `serve`: words into options, and the commands of a running server.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use obs_local::{
    AccessKey, BucketPaging, Fault, Initiated, ListQuirk, Listing, Options, Rate, Server, Tls, TlsVersions,
};

/// What is done once the server runs, and how it ends.
#[derive(Default)]
struct Start {
    options: Options,
    faults: Vec<Fault>,
    buckets: Vec<String>,
    elsewhere: Vec<String>,
    forbidden: Vec<String>,
    owners: Vec<String>,
    uploads: Vec<String>,
    parts: Vec<String>,
    objects: Vec<String>,
    until_stdin_closes: bool,
    control: bool,
}

pub fn serve(words: Vec<String>) -> Result<ExitCode, String> {
    let start = parse(words)?;
    let server = Server::try_start(start.options).map_err(|error| error.to_string())?;
    start.faults.into_iter().for_each(|fault| server.fault(fault));
    for spec in &start.buckets {
        add_bucket(&server, spec);
    }
    for spec in &start.elsewhere {
        set_elsewhere(&server, spec)?;
    }
    start.forbidden.iter().for_each(|bucket| server.set_forbidden(bucket, true));
    for spec in &start.owners {
        let (bucket, access_key) = equals(spec, "BUCKET=ACCESS_KEY")?;
        server.set_owner(bucket, access_key);
    }
    for spec in &start.uploads {
        add_uploads(&server, spec)?;
    }
    for spec in &start.parts {
        add_parts(&server, spec)?;
    }
    for spec in &start.objects {
        let (bucket, key) = two(spec)?;
        server.create_bucket(bucket);
        server.put_object(bucket, key, b"an object of a few bytes");
    }
    println!("listening on {}", server.addr());
    std::io::stdout().flush().map_err(|error| error.to_string())?;

    if !(start.until_stdin_closes || start.control) {
        // Until SIGTERM or SIGINT, whose default action is what is wanted: nothing here needs to be put away.
        loop {
            std::thread::park();
        }
    }
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if start.control {
            match control(&server, line.trim()) {
                Ok(answer) => println!("{answer}"),
                Err(message) => println!("error: {message}"),
            }
            // Whoever reads the answers may be gone already; the server ends with stdin, not with stdout.
            let _ = std::io::stdout().flush();
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(words: Vec<String>) -> Result<Start, String> {
    let mut start = Start::default();
    let options = &mut start.options;
    let mut keys: Vec<(String, String, Option<String>)> = Vec::new();
    let (mut rate, mut burst, mut retry_after) = (None, None, None);
    let (mut certificate, mut key, mut client_ca) = (None, None, None);
    let mut versions = TlsVersions::Both;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--port" => options.listen.set_port(number(&value()?)?),
            "--access-key" => keys.push((value()?, String::new(), None)),
            "--secret-key" => keys.last_mut().ok_or("--access-key comes before --secret-key")?.1 = value()?,
            "--security-token" => {
                keys.last_mut().ok_or("--access-key comes before --security-token")?.2 =
                    Some(value()?).filter(|token| !token.is_empty());
            }
            "--no-verify" => options.verify = false,
            "--bucket" => start.buckets.push(value()?),
            "--elsewhere" => start.elsewhere.push(value()?),
            "--forbid" => start.forbidden.push(value()?),
            "--owner" => start.owners.push(value()?),
            "--domain" => options.domains.push(value()?),
            "--custom-domain" => {
                let value = value()?;
                let (host, bucket) = value.split_once('=').ok_or("--custom-domain takes HOST=BUCKET")?;
                options.custom_domains.push((host.into(), bucket.into()));
            }
            "--uploads" => start.uploads.push(value()?),
            "--parts" => start.parts.push(value()?),
            "--object" => start.objects.push(value()?),
            "--latency-ms" => options.latency = Duration::from_millis(number(&value()?)?),
            "--clock-offset-s" => options.clock_offset_s = number(&value()?)?,
            "--rate" => rate = Some(number::<f64>(&value()?)?),
            "--burst" => burst = Some(number::<f64>(&value()?)?),
            "--retry-after" => retry_after = Some(number(&value()?)?),
            "--page-cap" => options.page_cap = number(&value()?)?,
            "--parts-page-cap" => options.parts_page_cap = number(&value()?)?,
            "--buckets-page-cap" => options.buckets_page_cap = Some(number(&value()?)?),
            "--bucket-tokens" => options.bucket_paging = BucketPaging::Token,
            "--list-quirk" => options.list_quirks.push(quirk(&value()?, Listing::Uploads)?),
            "--parts-quirk" => options.parts_quirks.push(quirk(&value()?, Listing::Parts)?),
            "--buckets-quirk" => options.buckets_quirks.push(quirk(&value()?, Listing::Buckets)?),
            "--list-lag" => options.list_lag = number(&value()?)?,
            "--initiated" => options.initiated = Some(value()?),
            "--fault" => start.faults.push(value()?.parse()?),
            "--seed" => options.seed = number(&value()?)?,
            "--tls-cert" => certificate = Some(value()?),
            "--tls-key" => key = Some(value()?),
            "--tls-client-ca" => client_ca = Some(value()?),
            "--tls-version" => {
                versions = match value()?.as_str() {
                    "1.2" => TlsVersions::Only12,
                    "1.3" => TlsVersions::Only13,
                    other => return Err(format!("--tls-version {other}: 1.2 or 1.3")),
                };
            }
            "--journal" => options.journal_file = Some(value()?.into()),
            "--until-stdin-closes" => start.until_stdin_closes = true,
            "--control" => start.control = true,
            _ => return Err(format!("{word}: no such option")),
        }
    }
    if !keys.is_empty() {
        options.access_keys = keys
            .into_iter()
            .map(|(access_key, secret_key, security_token)| AccessKey {
                access_key,
                secret_key,
                security_token,
            })
            .collect();
    }
    if let Some(per_second) = rate {
        let usual = Rate::per_second(per_second);
        options.rate =
            Some(Rate { burst: burst.unwrap_or(usual.burst), retry_after_s: retry_after, ..usual });
    }
    options.tls = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Some(Tls { client_ca: client_ca.map(Into::into), versions, ..Tls::new(certificate, key) })
        }
        (None, None) => None,
        _ => return Err("--tls-cert and --tls-key go together".into()),
    };
    Ok(start)
}

fn add_uploads(server: &Server, spec: &str) -> Result<(), String> {
    let fields: Vec<&str> = spec.splitn(5, ':').collect();
    let [bucket, count, age, rest @ ..] = fields.as_slice() else {
        return Err(format!("{spec}: BUCKET:COUNT:AGE_SECONDS[:PREFIX[:KEYS]]"));
    };
    let count: usize = number(count)?;
    let prefix = rest.first().copied().unwrap_or("backup/");
    let keys: usize = rest.get(1).map_or(Ok(count), |keys| number(keys))?;
    server.create_bucket(bucket);
    let initiated = Initiated::Ago(Duration::from_secs(number(age)?));
    server.create_uploads(bucket, count, &initiated, |n| format!("{prefix}{:06}", n % keys.max(1)));
    Ok(())
}

/// `BUCKET:PREFIX:COUNT:SIZE:AGE_SECONDS`; the prefix may hold colons.
fn add_parts(server: &Server, spec: &str) -> Result<(), String> {
    let wrong = || format!("{spec}: BUCKET:PREFIX:COUNT:SIZE:AGE_SECONDS");
    let (bucket, rest) = spec.split_once(':').ok_or_else(wrong)?;
    let fields: Vec<&str> = rest.rsplitn(4, ':').collect();
    let [age, size, count, prefix] = fields.as_slice() else {
        return Err(wrong());
    };
    if !server.bucket_exists(bucket) {
        return Err(format!("there is no bucket {bucket:?}"));
    }
    match server.create_parts(bucket, prefix, number(count)?, number(size)?, number(age)?) {
        0 => Err(format!("there is no upload below {prefix:?}")),
        _ => Ok(()),
    }
}

fn add_bucket(server: &Server, spec: &str) {
    match spec.split_once(':') {
        None => server.create_bucket(spec),
        Some((bucket, location)) => server.set_location(bucket, location),
    }
}

fn set_elsewhere(server: &Server, spec: &str) -> Result<(), String> {
    let (bucket, endpoint) = equals(spec, "BUCKET=ENDPOINT")?;
    server.set_elsewhere(bucket, Some(endpoint).filter(|endpoint| !endpoint.is_empty()));
    Ok(())
}

fn control(server: &Server, line: &str) -> Result<String, String> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "fault" => server.fault(rest.parse()?),
        "clear-faults" => server.clear_faults(),
        "latency-ms" => server.set_latency(Duration::from_millis(number(rest)?)),
        "clock-offset-s" => server.set_clock_offset_s(number(rest)?),
        "rate" if rest == "off" => server.set_rate(None),
        "rate" => server.set_rate(Some(Rate::per_second(number(rest)?))),
        "list-quirk" => server.set_list_quirks(&[quirk(rest, Listing::Uploads)?]),
        "parts-quirk" => server.set_quirks(Listing::Parts, &[quirk(rest, Listing::Parts)?]),
        "buckets-quirk" => server.set_quirks(Listing::Buckets, &[quirk(rest, Listing::Buckets)?]),
        "initiated" => server.set_initiated(Some(rest).filter(|text| *text != "off")),
        "no-list-quirks" => {
            for listing in [Listing::Uploads, Listing::Parts, Listing::Buckets] {
                server.set_quirks(listing, &[]);
            }
        }
        "list-lag" => server.set_list_lag(number(rest)?),
        "page-cap" => server.set_page_cap(number(rest)?),
        "parts-page-cap" => server.set_parts_page_cap(number(rest)?),
        "buckets-page-cap" if rest == "off" => server.set_buckets_page_cap(None),
        "buckets-page-cap" => server.set_buckets_page_cap(Some(number(rest)?)),
        "add-key" => {
            let words: Vec<&str> = rest.split(' ').collect();
            server.add_access_key(&match words.as_slice() {
                [access_key, secret_key] => AccessKey::new(access_key, secret_key),
                [access_key, secret_key, token] => AccessKey::temporary(access_key, secret_key, token),
                _ => return Err("add-key AK SK [TOKEN]".into()),
            });
        }
        "remove-key" => return Ok(server.remove_access_key(rest).to_string()),
        "bucket" => add_bucket(server, rest),
        "elsewhere" => set_elsewhere(server, rest)?,
        "forbid" => server.set_forbidden(rest, true),
        "allow" => server.set_forbidden(rest, false),
        "owner" => {
            let (bucket, access_key) = equals(rest, "BUCKET=ACCESS_KEY")?;
            server.set_owner(bucket, access_key);
        }
        "uploads" => add_uploads(server, rest)?,
        "parts" => add_parts(server, rest)?,
        "object" => {
            let (bucket, key) = two(rest)?;
            server.create_bucket(bucket);
            server.put_object(bucket, key, b"an object of a few bytes");
        }
        "upload-count" | "upload-bytes" if !server.bucket_exists(rest) => {
            return Err(format!("there is no bucket {rest:?}"));
        }
        "upload-count" => return Ok(server.upload_count(rest).to_string()),
        "upload-bytes" => {
            return Ok(server.uploads(rest).iter().map(|upload| upload.bytes).sum::<u64>().to_string());
        }
        "object-exists" => {
            let (bucket, key) = two(rest)?;
            let exists = server.bucket_exists(bucket) && server.object_exists(bucket, key);
            return Ok(exists.to_string());
        }
        "was-aborted" => return Ok(server.was_aborted(rest).to_string()),
        "counts" => {
            let counts = server.counts();
            let statuses: Vec<String> =
                counts.by_status.iter().map(|(status, count)| format!("{status}={count}")).collect();
            return Ok(format!(
                "requests={} aborted={} objects_deleted={} faults={} {}",
                counts.requests,
                counts.aborted,
                counts.objects_deleted,
                counts.faults,
                statuses.join(" ")
            ));
        }
        "connections" => {
            return Ok(format!(
                "accepted={} open={}",
                server.connections_accepted(),
                server.connections_open()
            ));
        }
        _ => return Err(format!("{command}: no such command")),
    }
    Ok("ok".into())
}

fn quirk(name: &str, listing: Listing) -> Result<ListQuirk, String> {
    ListQuirk::named(name, listing).ok_or_else(|| format!("{name}: no such quirk of a list of {listing:?}"))
}

fn equals<'a>(spec: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    spec.split_once('=').ok_or_else(|| format!("{spec}: {form}"))
}

fn two(spec: &str) -> Result<(&str, &str), String> {
    spec.split_once(':').ok_or_else(|| format!("{spec}: BUCKET:KEY"))
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number that fits here"))
}
