//! What a failed request comes to, in one line: what happened, and what to do about the mistakes that people make.
//!
//! Pure. All text of the server that a line quotes passes through [`sanitize`] with the secrets of the request.

use crate::base::error::{Code, Error};
use crate::base::text::sanitize;
use crate::http::{Response, tls};
use crate::obs::bucket::{Addressing, Bucket, Target};
use crate::obs::foreign_body::ForeignBody;
use crate::obs::operation::Operation;
use crate::obs::response::{ServiceError, Verdict, date_of, error_field};

/// The headers that name the region of a bucket.
const REGION: [&str; 2] = ["x-amz-bucket-region", "x-obs-bucket-location"];

/// A request that failed, and what its diagnosis depends on.
pub struct FailedRequest<'a> {
    pub operation: Operation,
    pub bucket: &'a Bucket,
    pub target: &'a Target,
    /// The proxy that it went through, as host and port.
    pub proxy: Option<String>,
    /// What no message may repeat.
    pub secrets: &'a [&'a str],
    /// The time by this machine's clock, in Unix seconds.
    pub now: i64,
}

impl FailedRequest<'_> {
    /// The line about a response other than success. `service` is fit for a message.
    pub fn describe_response(&self, response: &Response, verdict: Verdict, service: &ServiceError) -> String {
        let mut line = response.status.to_string();
        if let Some(code) = &service.code {
            line.push_str(&format!(" {code}"));
        }
        if let Some(message) = &service.message {
            line.push_str(&format!(" \"{message}\""));
        }
        match verdict {
            Verdict::Redirect | Verdict::OtherRedirect => line.push_str(&self.destination(response)),
            Verdict::ClockSkew => line.push_str(&self.clock_difference(response)),
            Verdict::Unexpected => line.push_str(&format!(
                " instead of {}: {} is not an OBS service, or something between answers for it",
                self.operation.success_status(),
                self.target.origin
            )),
            _ => {}
        }
        if let Some(proxy) = self.forward_proxy().filter(|_| response.status == 407) {
            line.push_str(&format!(
                " from the proxy {proxy}: give it the right user and password in the proxy URL"
            ));
            return line;
        }
        let advice = match &service.code {
            Some(code) => {
                let message = service.message.as_deref().unwrap_or_default();
                self.service_advice(verdict, code, message)
                    .or_else(|| self.mistaken_bucket_advice(code, &response.body))
            }
            None => self.foreign_advice(response, verdict),
        };
        with_advice(line, advice.into_iter().chain(self.bucket_in_endpoint_advice(verdict.code())))
    }

    /// Makes an error without a response fit for a message, and adds what to do.
    pub fn refine_transport_error(&self, error: Error) -> Error {
        let Error { code, detail } = error;
        let detail = sanitize(detail, self.secrets);
        if code == Code::Resolve && self.proxy.is_some() {
            // The proxy's own name.
            return Error { code, detail };
        }
        let advice = match code {
            Code::Resolve => self.host_name_advice(),
            Code::Tls if detail.contains(tls::NOT_FOR_THE_NAME) => {
                self.path_addressing_advice("has a certificate")
            }
            _ => None,
        };
        let advice = advice.into_iter().chain(self.bucket_in_endpoint_advice(code));
        Error { code, detail: with_advice(detail, advice) }
    }

    /// Says that a page of a listing is no XML at all, if that is why it can't be read. `beginning` is what was read of
    /// it first.
    pub fn refine_page_error(&self, error: Error, response: &Response, beginning: &[u8]) -> Error {
        match ForeignBody::recognize(&response.headers, beginning) {
            Some(foreign) => {
                let why = self.describe_foreign_body(&foreign, response.status);
                // The reader may quote much of it.
                Error::new(error.code, format!("{why}: {}", error.detail))
            }
            None => error,
        }
    }

    /// Where a redirect leads. A service that knows no better Location names the endpoint or the region.
    fn destination(&self, response: &Response) -> String {
        let quoted = |text: &[u8]| sanitize(String::from_utf8_lossy(text), self.secrets);
        let mut text = match response.headers.get("location") {
            Some(location) => format!(" to {}", quoted(location)),
            None => " without a Location".to_owned(),
        };
        if let Some(endpoint) = error_field(&response.body, "Endpoint") {
            let in_bucket = endpoint.strip_prefix(self.bucket.name()).and_then(|rest| rest.strip_prefix('.'));
            let endpoint = sanitize(in_bucket.unwrap_or(&endpoint), self.secrets);
            text.push_str(&format!(": the endpoint of this bucket is {endpoint}"));
        } else if let Some(region) = REGION.iter().find_map(|name| response.headers.get(name)) {
            text.push_str(&format!(": this bucket is in the region {}", quoted(region)));
            text.push_str(", give the endpoint of that region");
        }
        text
    }

    fn clock_difference(&self, response: &Response) -> String {
        match (date_of(response), response.headers.get("date")) {
            (Some(server), _) => {
                format!(", this machine's clock is {} s from the server's: set it", self.now.abs_diff(server))
            }
            (None, Some(text)) => format!(
                ", its Date \"{}\" can't be read to correct the clock by: set this machine's clock",
                sanitize(String::from_utf8_lossy(text), self.secrets)
            ),
            (None, None) => ", without a Date to correct the clock by: set this machine's clock".to_owned(),
        }
    }

    /// What to do about a response of the service.
    fn service_advice(&self, verdict: Verdict, code: &str, message: &str) -> Option<String> {
        if message.contains("AWS4-HMAC-SHA256") {
            let why = "this server takes AWS Signature Version 4 only, which OBS does not need: is it an OBS endpoint?";
            return Some(why.to_owned());
        }
        match (verdict, code) {
            (
                Verdict::AccessDenied,
                "AccessDenied" | "AccessForbidden" | "Forbidden" | "AllAccessDisabled",
            ) => Some(self.permission_advice()),
            (Verdict::AccessDenied | Verdict::Rejected, code) => credentials_advice(code).map(str::to_owned),
            _ => None,
        }
    }

    /// What to do if a server looks for the bucket in the path, and not in the host.
    fn mistaken_bucket_advice(&self, code: &str, body: &[u8]) -> Option<String> {
        let advice = self.path_addressing_advice("serves buckets")?;
        match (code, error_field(body, "BucketName")) {
            ("NoSuchBucket", Some(other)) if other != self.bucket.name() => {
                let other = sanitize(other, self.secrets);
                Some(format!("the server looked for the bucket {other:?}, {advice}"))
            }
            ("InvalidBucketName", _) => Some(advice),
            _ => None,
        }
    }

    /// What to do about a response without a service code.
    fn foreign_advice(&self, response: &Response, verdict: Verdict) -> Option<String> {
        let foreign = ForeignBody::recognize(&response.headers, &response.body);
        match (foreign, verdict) {
            (_, Verdict::OtherRedirect) if self.wants_https(response) => {
                Some("the server wants https: give an https endpoint".to_owned())
            }
            (Some(foreign), _) => Some(self.describe_foreign_body(&foreign, response.status)),
            (None, Verdict::AccessDenied) => Some(self.permission_advice()),
            (None, Verdict::OtherRedirect) if matches!(response.status, 302 | 303) => {
                Some("is this a login page, or a captive portal?".to_owned())
            }
            _ => None,
        }
    }

    fn permission_advice(&self) -> String {
        let whose = match self.operation {
            Operation::AbortMultipartUpload => ", by the initiator of the upload or the owner of the bucket",
            _ => "",
        };
        format!("the permission {} is needed{whose}", self.operation.permission())
    }

    /// Whether a redirect leads to the same host by https.
    fn wants_https(&self, response: &Response) -> bool {
        let location = response.headers.get("location").unwrap_or_default();
        let location = String::from_utf8_lossy(location).to_ascii_lowercase();
        let origin = &self.target.origin;
        let rest = location.strip_prefix("https://").and_then(|rest| rest.strip_prefix(origin.host()));
        !origin.is_https() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '?']))
    }

    /// The proxy that can answer in place of the server, since it sees http requests.
    fn forward_proxy(&self) -> Option<&str> {
        self.proxy.as_deref().filter(|_| !self.target.origin.is_https())
    }

    fn describe_foreign_body(&self, body: &ForeignBody, status: u16) -> String {
        match body {
            ForeignBody::Html { title, .. } => {
                let title = title.as_deref().map(|title| sanitize(title, self.secrets));
                let title = title.map(|title| format!(" titled \"{title}\"")).unwrap_or_default();
                format!(
                    "the response is an HTML page{title} and not that of an OBS service: {}",
                    self.likely_source(body, status)
                )
            }
            ForeignBody::Json => {
                format!(
                    "the response is JSON and not that of an OBS service: {}",
                    self.likely_source(body, status)
                )
            }
            ForeignBody::PlainText => {
                format!("the response is not that of an OBS service: {}", self.likely_source(body, status))
            }
            ForeignBody::Compressed(coding) => format!(
                "its body is compressed ({}), which was not asked for: something on the way compresses what it should pass on",
                sanitize(&**coding, self.secrets)
            ),
        }
    }

    /// The likely source of a response that is not the service's.
    fn likely_source(&self, body: &ForeignBody, status: u16) -> String {
        if matches!(body, ForeignBody::PlainText | ForeignBody::Html { wants_https: true, .. }) {
            return "the port expects https, give an https endpoint".to_owned();
        }
        let host = self.bucket.endpoint().host();
        if host.contains("obs-website") || host.contains("s3-website") {
            return "the endpoint serves static web sites, give that of the API (obs.REGION.myhuaweicloud.com)"
                .to_owned();
        }
        if let Some(proxy) = self.forward_proxy() {
            return format!("the proxy {proxy} may have sent it");
        }
        match status {
            401 | 403 | 429 | 451 => "a web filter, a firewall or an API gateway refuses the request",
            500..=599 => "a gateway or load balancer in front of the service fails, or can't reach it",
            200..=399 => "a console, a login page or a captive portal? check host and port of the endpoint",
            _ => "a console or another web server? check host and port of the endpoint",
        }
        .to_owned()
    }

    /// What to do if the host does not resolve.
    fn host_name_advice(&self) -> Option<String> {
        let endpoint = self.bucket.endpoint().host();
        let path = self.path_addressing_advice("has a name");
        let without_suffix = endpoint.strip_suffix(".myhuaweicloud.com").unwrap_or(endpoint);
        let region = without_suffix.strip_prefix("obs.").unwrap_or(without_suffix);
        let right = format!("obs.{region}.myhuaweicloud.com");
        if endpoint == right || !looks_like_region(region) {
            return path;
        }
        let path = path.map(|path| format!("; {path}")).unwrap_or_default();
        Some(format!("is {region} a region? then give https://{right}{path}"))
    }

    fn path_addressing_advice(&self, has: &str) -> Option<String> {
        (self.bucket.addressing() == Addressing::VirtualHost).then(|| {
            format!(
                "if only {} {has}, and no host for each bucket, use path addressing \
                 (obs_abort_config_set_addressing, OBS_ABORT_ADDRESSING_PATH)",
                self.bucket.endpoint().host()
            )
        })
    }

    /// The bucket in the endpoint, if it may be the reason for such a failure. A bucket may be named as an endpoint
    /// begins (`obs`), so that it is no more than a suspicion.
    fn bucket_in_endpoint_advice(&self, code: Code) -> Option<String> {
        let endpoint = self.bucket.endpoint().host();
        let rest = endpoint.strip_prefix(self.bucket.name())?.strip_prefix('.')?;
        let is_likely = matches!(
            code,
            Code::Resolve
                | Code::Connect
                | Code::Tls
                | Code::AccessDenied
                | Code::NoSuchUpload
                | Code::NoSuchBucket
                | Code::Redirect
                | Code::Rejected
        );
        (is_likely && self.bucket.addressing() != Addressing::CustomDomain).then(|| {
            format!(
                "the endpoint {endpoint} begins with the bucket, which is put before it or into the path anyway: \
                 give {rest}"
            )
        })
    }
}

fn with_advice(mut line: String, advice: impl Iterator<Item = String>) -> String {
    for advice in advice {
        line.push_str(": ");
        line.push_str(&advice);
    }
    line
}

/// Whether a label is named as regions are: `eu-101`, `cn-north-4`.
fn looks_like_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    parts.len() >= 2
        && first.len() == 2
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && !last.is_empty()
        && last.bytes().all(|b| b.is_ascii_digit())
        && !label.contains('.')
}

/// What to do about credentials that the service refuses.
fn credentials_advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "SignatureDoesNotMatch" => {
            "the secret key is not that of the access key, or something on the way changes the request (its Host or query)"
        }
        "InvalidAccessKeyId" => "the access key does not exist (any more), or belongs to another service",
        "ExpiredToken"
        | "InvalidToken"
        | "InvalidSecurityToken"
        | "InvalidSecurity"
        | "TokenRefreshRequired" => {
            "the security token has expired or does not go with the access key: get new temporary credentials"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::obs::bucket::parse_endpoint;

    /// What is said of a connection that failed so.
    fn said(endpoint: &str, addressing: Addressing, proxy: Option<&str>, code: Code, why: &str) -> String {
        let endpoint = parse_endpoint(endpoint).expect("an endpoint");
        let bucket = Bucket::new(&endpoint, addressing, None, "bucket").expect("a bucket");
        let request = FailedRequest {
            operation: Operation::AbortMultipartUpload,
            bucket: &bucket,
            target: &bucket.upload_target("k", "i").expect("a target"),
            proxy: proxy.map(str::to_owned),
            secrets: &["s3cret"],
            now: 0,
        };
        request.refine_transport_error(Error::new(code, why)).detail
    }

    #[test]
    fn hosts_that_do_not_resolve() {
        const PATH: &str = "use path addressing";
        const REGION: &str = "is eu-101 a region? then give https://obs.eu-101.myhuaweicloud.com";
        const BUCKET: &str = "begins with the bucket";
        let (auto, path, custom) = (Addressing::Auto, Addressing::Path, Addressing::CustomDomain);
        for (endpoint, addressing, wanted) in [
            ("http://localhost", auto, &[PATH][..]),
            ("http://minio:9000", auto, &[PATH]),
            ("http://minio-1:9000", auto, &[PATH]),
            ("https://obs.eu-101.myhuaweicloud.com", auto, &[PATH]),
            ("eu-101", auto, &[REGION, PATH]),
            ("obs.eu-101", auto, &[REGION, PATH]),
            ("eu-101.myhuaweicloud.com", auto, &[REGION, PATH]),
            ("eu-101", path, &[REGION]),
            ("http://minio:9000", path, &[]),
            ("https://bucket.obs.eu-101.myhuaweicloud.com", auto, &[PATH, BUCKET]),
            ("https://bucket.example.com", path, &[BUCKET]),
            ("https://bucket.example.com", custom, &[]),
            ("https://buckets.example.com", auto, &[PATH]),
        ] {
            let line = said(endpoint, addressing, None, Code::Resolve, "the host did not resolve");
            for hint in [PATH, REGION, BUCKET] {
                assert_eq!(line.contains(hint), wanted.contains(&hint), "{endpoint} {addressing:?}: {line}");
            }
            let proxied =
                said(endpoint, addressing, Some("p:1"), Code::Resolve, "the proxy: p did not resolve");
            assert_eq!(proxied, "the proxy: p did not resolve");
        }
    }

    #[test]
    fn regions() {
        for region in ["eu-101", "cn-north-4", "ap-southeast-1", "na-mexico-1", "la-north-2"] {
            assert!(looks_like_region(region), "{region}");
        }
        for other in ["", "obs", "localhost", "minio-1", "a-1", "eu-", "eu", "eu-1.com", "10-1", "eu-101x"] {
            assert!(!looks_like_region(other), "{other}");
        }
    }

    #[test]
    fn connections_that_fail() {
        let auto = Addressing::Auto;
        let said = |endpoint, code, why| said(endpoint, auto, None, code, why);
        assert_eq!(said("http://minio", Code::Connect, "refused"), "refused");
        assert_eq!(said("http://minio", Code::Io, "a\ns3%63ret"), "a?[secret]");
        assert!(said("https://minio", Code::Tls, tls::NOT_FOR_THE_NAME).contains("path addressing"));
        assert_eq!(said("https://minio", Code::Tls, "expired"), "expired");
        assert!(said("https://bucket.h.com", Code::Tls, "expired").ends_with("give h.com"));
        assert_eq!(said("https://bucket.h.com", Code::Io, "broke"), "broke");
    }
}
