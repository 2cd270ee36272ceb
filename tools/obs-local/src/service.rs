//! What each request does, and what OBS answers to it.

use std::sync::atomic::Ordering;

use crate::auth::Refusal;
use crate::clock::{http_date, iso_date};
use crate::fault::mix;
use crate::listing;
use crate::server::Shared;
use crate::signing;
use crate::store::{Bucket, Contents, Initiated, Object, Part, Settings};
use crate::wire::{Answer, Request};
use crate::xml;

/// An error of the service: status, code, message, further elements of the document.
pub(crate) struct Failure {
    status: u16,
    code: &'static str,
    message: &'static str,
    extra: String,
    headers: Vec<(String, String)>,
}

impl Failure {
    fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, extra: String::new(), headers: Vec::new() }
    }
}

pub(crate) fn fail<T>(status: u16, code: &'static str, message: &'static str) -> Result<T, Failure> {
    Err(Failure::new(status, code, message))
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { extra: refusal.extra, ..Self::new(403, refusal.code, refusal.message) }
    }
}

/// Executes the request and answers it, the usual headers not yet added.
pub(crate) fn answer(shared: &Shared, request: &Request, ids: &RequestIds) -> Answer {
    let executed = match (shared.verify, shared.keyring.verify(request, shared.clock.now_ms())) {
        (true, Err(refusal)) => Err(refusal.into()),
        _ => execute(shared, request),
    };
    executed.unwrap_or_else(|failure| {
        let extra = failure.extra + &xml::element("Resource", &request.place.signed_path);
        let document = xml::error(failure.code, failure.message, &ids.request, &ids.host, &extra);
        let mut answer = Answer::new(failure.status).header("Content-Type", "application/xml").body(document);
        if request.method == "HEAD" {
            // Without a body, the code has no other way to travel.
            answer = answer
                .header("x-obs-error-code", failure.code)
                .header("x-obs-error-message", failure.message);
        }
        answer.headers.extend(failure.headers);
        answer.code = failure.code.to_owned();
        answer
    })
}

/// What support asks for, and what ties an answer to a journal.
pub(crate) struct RequestIds {
    pub request: String,
    pub host: String,
}

impl RequestIds {
    pub fn next(shared: &Shared) -> Self {
        let serial = shared.request_serial.fetch_add(1, Ordering::Relaxed);
        Self {
            request: format!("{:016X}{serial:016X}", mix(serial.wrapping_add(0x1D))),
            host: format!("32AAAQAAEAABAAAQAAEAABAAAQAAEAAB{:016X}", mix(serial.wrapping_add(0x2D))),
        }
    }
}

/// The headers that every answer of the service bears.
pub(crate) fn usual_headers(shared: &Shared, request: &Request, ids: &RequestIds) -> Vec<(String, String)> {
    let prefix = if request.scheme_word() == "AWS" { "x-amz" } else { "x-obs" };
    vec![
        ("Server".into(), "OBS".into()),
        ("Date".into(), shared.clock.date_header()),
        (format!("{prefix}-request-id"), ids.request.clone()),
        (format!("{prefix}-id-2"), ids.host.clone()),
    ]
}

fn execute(shared: &Shared, request: &Request) -> Result<Answer, Failure> {
    let contents = &mut *shared.store.lock();
    let now_ms = shared.clock.now_ms();
    let Some(bucket) = request.place.bucket.as_deref() else {
        return match request.method.as_str() {
            "GET" => listing::buckets(shared, request, contents),
            _ => fail(405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
        };
    };
    if let Some(known) = contents.buckets.get(bucket) {
        admit(request, bucket, &known.settings)?;
    }
    match request.place.key.as_deref() {
        None => on_bucket(shared, request, contents, bucket, now_ms),
        Some(key) => on_object(shared, request, contents, bucket, key, now_ms),
    }
}

fn on_bucket(
    shared: &Shared,
    request: &Request,
    contents: &mut Contents,
    name: &str,
    now_ms: i64,
) -> Result<Answer, Failure> {
    if request.method == "PUT" {
        return create_bucket(contents, name, now_ms);
    }
    let bucket = existing(contents, name)?;
    match request.method.as_str() {
        "GET" if request.query("uploads").is_some() => listing::uploads(shared, request, bucket, name),
        "GET" => listing::objects(shared, request, bucket, name),
        "HEAD" => Ok(Answer::new(200)),
        // As on the real ones, an uploadId makes no difference here: the clients that send an abort with an empty key
        // are told that it worked.
        "DELETE" if bucket.objects.is_empty() && bucket.uploads.is_empty() => {
            contents.buckets.remove(name);
            Ok(Answer::new(204))
        }
        "DELETE" => fail(409, "BucketNotEmpty", "The bucket you tried to delete is not empty."),
        _ => fail(405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
    }
}

fn on_object(
    shared: &Shared,
    request: &Request,
    contents: &mut Contents,
    bucket_name: &str,
    key: &str,
    now_ms: i64,
) -> Result<Answer, Failure> {
    let bucket = existing(contents, bucket_name)?;
    if key.len() > 1024 {
        return fail(400, "KeyTooLongError", "Your key is too long.");
    }
    // Empty, it counts as missing: the danger that the library guards against.
    let upload_id = request.query("uploadId").filter(|id| !id.is_empty());
    match (request.method.as_str(), upload_id) {
        ("DELETE", Some(id)) => {
            if !contents.abort(bucket_name, key, id) {
                return no_such_upload();
            }
            shared.journal.count(|counts| counts.aborted += 1);
            Ok(Answer::new(204))
        }
        ("DELETE", None) => {
            if bucket.objects.remove(key).is_some() {
                shared.journal.count(|counts| counts.objects_deleted += 1);
            }
            Ok(Answer::new(204))
        }
        ("POST", None) if request.query("uploads").is_some() => {
            let id = contents
                .create_upload(bucket_name, key, None, &Initiated::Ago(std::time::Duration::ZERO), now_ms)
                .expect("the bucket was just seen");
            Ok(Answer::xml(listing::initiated(bucket_name, key, &id)))
        }
        ("POST", Some(id)) => complete(request, bucket, bucket_name, key, id, now_ms),
        ("PUT", Some(id)) => put_part(request, bucket, key, id, now_ms),
        ("PUT", None) => {
            let object = Object::new(&request.body, now_ms);
            let answer = Answer::new(200).header("ETag", &object.etag);
            bucket.objects.insert(key.to_owned(), object);
            Ok(answer)
        }
        ("GET", Some(id)) => match bucket.uploads.get(&(key.to_owned(), id.to_owned())) {
            Some(upload) => listing::parts(shared, request, upload, bucket_name, key, id),
            None => no_such_upload(),
        },
        ("GET" | "HEAD", None) => match bucket.objects.get(key) {
            Some(object) => Ok(Answer::new(200)
                .header("ETag", &object.etag)
                .header("Last-Modified", http_date(object.modified_ms.div_euclid(1000)))
                .header("Content-Type", "binary/octet-stream")
                .body(object.data.to_vec())),
            None => fail(404, "NoSuchKey", "The specified key does not exist."),
        },
        _ => fail(405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
    }
}

/// Refuses what a bucket of another region refuses, or one that the key has no right to.
fn admit(request: &Request, name: &str, settings: &Settings) -> Result<(), Failure> {
    if let Some(endpoint) = &settings.elsewhere {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                       Please send all future requests to this endpoint.";
        let mut failure = Failure::new(301, "PermanentRedirect", message);
        failure.extra = xml::element("Bucket", name) + &xml::element("Endpoint", endpoint);
        if let (Some(region), "AWS") = (&settings.location, request.scheme_word()) {
            failure.headers.push(("x-amz-bucket-region".into(), region.clone()));
        }
        return Err(failure);
    }
    if settings.forbidden || !settings.belongs_to(request.access_key()) {
        return fail(403, "AccessDenied", "Access Denied");
    }
    Ok(())
}

fn create_bucket(contents: &mut Contents, name: &str, now_ms: i64) -> Result<Answer, Failure> {
    let legal = (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    if !legal {
        return fail(400, "InvalidBucketName", "The specified bucket is not valid.");
    }
    if contents.buckets.contains_key(name) {
        return fail(409, "BucketAlreadyOwnedByYou", "You already own the bucket you requested to create.");
    }
    contents.buckets.insert(name.to_owned(), Bucket::new(Settings::default(), now_ms));
    Ok(Answer::new(200).header("Location", format!("/{name}")))
}

fn put_part(
    request: &Request,
    bucket: &mut Bucket,
    key: &str,
    id: &str,
    now_ms: i64,
) -> Result<Answer, Failure> {
    let number: u32 = request.query("partNumber").and_then(|number| number.parse().ok()).unwrap_or(0);
    if !(1..=10_000).contains(&number) {
        return fail(400, "InvalidArgument", "Part number must be an integer between 1 and 10000.");
    }
    let Some(upload) = bucket.uploads.get_mut(&(key.to_owned(), id.to_owned())) else {
        return no_such_upload();
    };
    let part = Part::new(&request.body, now_ms);
    let answer = Answer::new(200).header("ETag", &part.etag);
    upload.parts.put(number, part);
    Ok(answer)
}

fn complete(
    request: &Request,
    bucket: &mut Bucket,
    bucket_name: &str,
    key: &str,
    id: &str,
    now_ms: i64,
) -> Result<Answer, Failure> {
    let place = (key.to_owned(), id.to_owned());
    let Some(upload) = bucket.uploads.get(&place) else {
        return no_such_upload();
    };
    let document = String::from_utf8_lossy(&request.body);
    let numbers: Vec<u32> =
        xml::texts(&document, "PartNumber").iter().filter_map(|number| number.trim().parse().ok()).collect();
    let tags = xml::texts(&document, "ETag");
    if numbers.is_empty() || numbers.len() != tags.len() {
        return fail(400, "MalformedXML", "The XML you provided was not well-formed.");
    }
    if !numbers.is_sorted_by(|a, b| a < b) {
        return fail(400, "InvalidPartOrder", "The list of parts was not in ascending order.");
    }
    let mut parts = Vec::new();
    for (number, tag) in numbers.iter().zip(&tags) {
        match upload.parts.get(*number) {
            Some(part) if part.etag.trim_matches('"') == tag.trim_matches('"') => parts.push((*number, part)),
            _ => return fail(400, "InvalidPart", "One or more of the specified parts could not be found."),
        }
    }
    let object = Object::of_parts(&parts, now_ms);
    let document = format!(
        "{}<CompleteMultipartUploadResult>{}{}{}{}</CompleteMultipartUploadResult>",
        listing::DECLARATION,
        xml::element("Location", &format!("/{bucket_name}/{}", signing::encode(key))),
        xml::element("Bucket", bucket_name),
        xml::element("Key", key),
        xml::element("ETag", &object.etag),
    );
    bucket.uploads.remove(&place);
    bucket.objects.insert(key.to_owned(), object);
    Ok(Answer::xml(document))
}

fn existing<'a>(contents: &'a mut Contents, name: &str) -> Result<&'a mut Bucket, Failure> {
    match contents.buckets.get_mut(name) {
        Some(bucket) => Ok(bucket),
        None => fail(404, "NoSuchBucket", "The specified bucket does not exist."),
    }
}

fn no_such_upload<T>() -> Result<T, Failure> {
    fail(
        404,
        "NoSuchUpload",
        "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been \
         aborted or completed.",
    )
}

/// As listings write it.
pub(crate) fn modified(ms: i64) -> String {
    xml::element("LastModified", &iso_date(ms))
}
