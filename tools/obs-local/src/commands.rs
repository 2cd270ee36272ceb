//! The client commands.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use obs_local::AccessKey;
use obs_local::client::{Client, Response, path};
use obs_local::signing::{Scheme, encode};

struct Arguments {
    client: Client,
    bucket: String,
    key: String,
    prefix: String,
    part_size: usize,
    /// What is no option: a file or an upload id.
    operand: Option<String>,
}

pub fn run(command: &str, words: Vec<String>) -> Result<ExitCode, String> {
    let arguments = parse(words)?;
    let Arguments { client, bucket, key, .. } = &arguments;
    let operand = || arguments.operand.as_deref().ok_or(format!("{command} needs one more argument"));
    if bucket.is_empty() || (key.is_empty() && command != "list-uploads") {
        return Err(format!("{command} needs --bucket, and --key for everything about one object"));
    }
    let failed = |error: std::io::Error| error.to_string();
    match command {
        "put-parts" => put_parts(&arguments, operand()?),
        "initiate" => {
            println!("{}", client.initiate(bucket, key).map_err(failed)?);
            Ok(ExitCode::SUCCESS)
        }
        "list-parts" => list_parts(&client.list_parts(bucket, key, operand()?).map_err(failed)?),
        "list-uploads" => list_uploads(&arguments),
        "abort" => {
            let response = client.abort(bucket, key, operand()?).map_err(failed)?;
            print_status(&response);
            Ok(exit(response.status == 204))
        }
        "put-object" => {
            let data = std::fs::read(operand()?).map_err(failed)?;
            client.put_object(bucket, key, &data).map_err(failed)?;
            Ok(ExitCode::SUCCESS)
        }
        "head-object" => {
            let response = client.request("HEAD", &path(bucket, key), b"").map_err(failed)?;
            print_status(&response);
            Ok(exit(response.status == 200))
        }
        _ => Err(format!("{command}: no such command")),
    }
}

fn parse(words: Vec<String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        client: Client { endpoint: String::new(), key: AccessKey::new("", ""), scheme: Scheme::Aws },
        bucket: String::new(),
        key: String::new(),
        prefix: String::new(),
        part_size: 5 * 1024 * 1024,
        operand: None,
    };
    let client = &mut arguments.client;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--endpoint" => client.endpoint = value()?,
            "--access-key" => client.key.access_key = value()?,
            "--secret-key" => client.key.secret_key = value()?,
            "--security-token" => {
                client.key.security_token = Some(value()?).filter(|token| !token.is_empty())
            }
            "--signature" => {
                client.scheme = match value()?.as_str() {
                    "obs" => Scheme::Obs,
                    "aws" => Scheme::Aws,
                    other => return Err(format!("--signature {other}: obs or aws")),
                };
            }
            "--bucket" => arguments.bucket = value()?,
            "--key" => arguments.key = value()?,
            "--prefix" => arguments.prefix = value()?,
            "--part-size" => {
                let text = value()?;
                arguments.part_size = text
                    .parse()
                    .ok()
                    .filter(|size| *size > 0)
                    .ok_or_else(|| format!("--part-size {text}: a number of bytes"))?;
            }
            option if option.starts_with("--") => return Err(format!("{option}: no such option")),
            operand if arguments.operand.is_none() => arguments.operand = Some(operand.to_owned()),
            surplus => return Err(format!("{surplus}: one argument too many")),
        }
    }
    if client.endpoint.is_empty() || client.key.access_key.is_empty() || client.key.secret_key.is_empty() {
        return Err("--endpoint, --access-key and --secret-key are needed".into());
    }
    Ok(arguments)
}

fn put_parts(arguments: &Arguments, file: &str) -> Result<ExitCode, String> {
    let Arguments { client, bucket, key, part_size, .. } = arguments;
    let failed = |error: std::io::Error| format!("{file}: {error}");
    let mut source = File::open(file).map_err(failed)?;
    let id = client.initiate(bucket, key).map_err(failed)?;
    let mut number = 0;
    loop {
        let mut data = Vec::new();
        source.by_ref().take(*part_size as u64).read_to_end(&mut data).map_err(failed)?;
        // An empty file is one empty part.
        if data.is_empty() && number > 0 {
            break;
        }
        number += 1;
        client.upload_part(bucket, key, &id, number, &data).map_err(failed)?;
        // The id alone goes to standard output, so that a script can take it.
        eprintln!("part {number}: {} bytes", data.len());
        if data.len() < *part_size {
            break;
        }
    }
    println!("{id}");
    Ok(ExitCode::SUCCESS)
}

fn list_parts(response: &Response) -> Result<ExitCode, String> {
    print_status(response);
    let (numbers, sizes, etags) =
        (response.elements("PartNumber"), response.elements("Size"), response.elements("ETag"));
    for ((number, size), etag) in numbers.iter().zip(&sizes).zip(&etags) {
        println!("part {number}: {size} bytes, etag {}", etag.trim_matches('"'));
    }
    Ok(exit(response.status == 200))
}

fn list_uploads(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut rest = format!("&prefix={}", encode(&arguments.prefix));
    loop {
        let response =
            arguments.client.list_uploads(&arguments.bucket, &rest).map_err(|error| error.to_string())?;
        if response.status != 200 {
            print_status(&response);
            return Ok(ExitCode::FAILURE);
        }
        let (keys, ids, initiated) =
            (response.elements("Key"), response.elements("UploadId"), response.elements("Initiated"));
        for ((key, id), initiated) in keys.iter().zip(&ids).zip(&initiated) {
            println!("{}\t{id}\t{initiated}", key.escape_debug());
        }
        if response.element("IsTruncated") != "true" {
            return Ok(ExitCode::SUCCESS);
        }
        rest = format!(
            "&prefix={}&key-marker={}&upload-id-marker={}",
            encode(&arguments.prefix),
            encode(&response.element("NextKeyMarker")),
            encode(&response.element("NextUploadIdMarker"))
        );
    }
}

fn print_status(response: &Response) {
    let request_id =
        response.header("x-obs-request-id").or(response.header("x-amz-request-id")).unwrap_or("none");
    println!("HTTP {} {} (request id {request_id})", response.status, response.element("Code"));
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
