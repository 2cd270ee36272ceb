//! What a response means: status, headers and body in, [`Verdict`] and [`ServiceError`] out.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::base::date;
use crate::base::error::Code;
use crate::base::text::sanitize;
use crate::http::{Headers, Response};
use crate::obs::operation::Operation;
use crate::obs::xml::resolve;

const REQUEST_ID: [&str; 2] = ["x-obs-request-id", "x-amz-request-id"];
const HOST_ID: [&str; 2] = ["x-obs-id-2", "x-amz-id-2"];
const ERROR_CODE: [&str; 2] = ["x-obs-error-code", "x-amz-error-code"];
const ERROR_MESSAGE: [&str; 2] = ["x-obs-error-message", "x-amz-error-message"];

/// What identifies a response to Huawei's support.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestIds {
    /// `x-obs-request-id`
    pub request_id: Option<String>,
    /// `x-obs-id-2`
    pub host_id: Option<String>,
}

impl RequestIds {
    /// Reads them from the headers alone.
    pub fn from_headers(headers: &Headers) -> RequestIds {
        RequestIds { request_id: obs_or_amz(headers, REQUEST_ID), host_id: obs_or_amz(headers, HOST_ID) }
    }

    /// Fit for a message: see [`sanitize`].
    pub fn sanitize(self, secrets: &[&str]) -> RequestIds {
        let fit = |text: Option<String>| text.map(|text| sanitize(text, secrets));
        RequestIds { request_id: fit(self.request_id), host_id: fit(self.host_id) }
    }
}

/// What the service says of a request that it refuses: as it came, until [`ServiceError::sanitize`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceError {
    /// `NoSuchUpload`
    pub code: Option<String>,
    /// The service's own sentence.
    pub message: Option<String>,
    /// The ids of the response.
    pub ids: RequestIds,
}

impl ServiceError {
    /// Reads headers and body. Headers win, as in the official Go SDK.
    pub fn from_response(response: &Response) -> ServiceError {
        let headers = &response.headers;
        let mut error = ServiceError {
            code: obs_or_amz(headers, ERROR_CODE),
            message: obs_or_amz(headers, ERROR_MESSAGE),
            ids: RequestIds::from_headers(headers),
        };
        if response.body.is_empty() {
            return error;
        }
        for (name, text) in error_fields(&response.body) {
            let field = match name.as_str() {
                "Code" => &mut error.code,
                "Message" => &mut error.message,
                "RequestId" => &mut error.ids.request_id,
                "HostId" => &mut error.ids.host_id,
                _ => continue,
            };
            if field.is_none() && !text.trim().is_empty() {
                *field = Some(text.trim().to_owned());
            }
        }
        error
    }

    /// Returns whether the service refuses the credentials themselves, as expired or unknown, rather than what they may
    /// do. OBS says InvalidAccessKeyId of an expired token; the other codes are those of S3 and of servers like it.
    pub fn blames_credentials(&self, verdict: Verdict) -> bool {
        matches!(verdict, Verdict::AccessDenied | Verdict::Rejected)
            && matches!(
                self.code.as_deref(),
                Some(
                    "ExpiredToken"
                        | "ExpiredTokenException"
                        | "InvalidAccessKeyId"
                        | "InvalidClientTokenId"
                        | "InvalidSecurity"
                        | "InvalidSecurityToken"
                        | "InvalidToken"
                        | "InvalidTokenId"
                        | "SecurityTokenExpired"
                        | "TokenRefreshRequired"
                )
            )
    }

    /// Fit for a message: see [`sanitize`]. Not to be judged by afterwards: a secret may happen to be part of a code.
    pub fn sanitize(self, secrets: &[&str]) -> ServiceError {
        let fit = |text: Option<String>| text.map(|text| sanitize(text, secrets));
        ServiceError { code: fit(self.code), message: fit(self.message), ids: self.ids.sanitize(secrets) }
    }
}

/// The value of the first of two headers that has one.
fn obs_or_amz(headers: &Headers, [obs, amz]: [&str; 2]) -> Option<String> {
    let named = |name| headers.get(name).filter(|value| !value.is_empty());
    let value = named(obs).or_else(|| named(amz))?;
    // The usual case is the cheap one.
    Some(match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(value).into_owned(),
    })
}

/// The complete children of `<Error>`, up to where the body stops being XML.
fn error_fields(body: &[u8]) -> Vec<(String, String)> {
    let body = String::from_utf8_lossy(body);
    let mut reader = Reader::from_str(&body);
    let mut fields = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                path.push(start.local_name().as_ref().to_owned());
                text.clear();
                // The root of anything else, HTML above all, is not worth a look.
                if path[0] != "Error" {
                    return fields;
                }
            }
            Ok(Event::Text(part)) => text.push_str(&part),
            Ok(Event::CData(part)) => text.push_str(&part),
            Ok(Event::GeneralRef(reference)) => {
                text.push(resolve(&reference).unwrap_or('?'));
            }
            Ok(Event::End(_)) => {
                let name = path.pop();
                if let (Some(name), 1) = (name, path.len()) {
                    fields.push((name, std::mem::take(&mut text)));
                }
                if path.is_empty() {
                    return fields;
                }
            }
            Ok(Event::Eof) | Err(_) => return fields,
            Ok(_) => {}
        }
    }
}

/// The text of one child of `<Error>`.
pub fn error_field(body: &[u8], name: &str) -> Option<String> {
    let (_, text) =
        error_fields(body).into_iter().find(|(field, text)| field == name && !text.trim().is_empty())?;
    Some(text.trim().to_owned())
}

/// The Date of a response, in Unix seconds.
pub fn date_of(response: &Response) -> Option<i64> {
    date::parse_http(std::str::from_utf8(response.headers.get("date")?).ok()?)
}

/// What a response means for the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The operation's own status.
    Success,
    /// 404 NoSuchUpload or NoSuchKey.
    NoSuchUpload,
    /// 404 NoSuchBucket.
    NoSuchBucket,
    /// 403 RequestTimeTooSkewed.
    ClockSkew,
    /// Another 403.
    AccessDenied,
    /// 429 and 503.
    Throttled,
    /// Another 5xx.
    ServerFailure,
    /// 408, or RequestTimeout with any status.
    RequestTimeout,
    /// 409 OperationAborted: another operation on the same resource is in progress.
    Conflict,
    /// 307 and 308, which may be followed.
    Redirect,
    /// Another 3xx.
    OtherRedirect,
    /// Another 4xx, a 404 without a known code among them.
    Rejected,
    /// A 1xx as the final response, or a 2xx of another operation.
    Unexpected,
}

impl Verdict {
    /// Judges a status and the service's code.
    pub fn from_status(operation: Operation, status: u16, code: Option<&str>) -> Verdict {
        match (status, code) {
            (status, _) if status == operation.success_status() => Verdict::Success,
            (400..=599, Some("RequestTimeout")) | (408, _) => Verdict::RequestTimeout,
            // A list of uploads is about none: whoever says so is no OBS service.
            (404, Some("NoSuchUpload" | "NoSuchKey"))
                if matches!(operation, Operation::AbortMultipartUpload | Operation::ListParts) =>
            {
                Verdict::NoSuchUpload
            }
            (404, Some("NoSuchBucket")) => Verdict::NoSuchBucket,
            (409, Some("OperationAborted")) => Verdict::Conflict,
            (403, Some("RequestTimeTooSkewed")) => Verdict::ClockSkew,
            (403, _) => Verdict::AccessDenied,
            (429 | 503, _) => Verdict::Throttled,
            (307 | 308, _) => Verdict::Redirect,
            (300..=399, _) => Verdict::OtherRedirect,
            (400..=499, _) => Verdict::Rejected,
            (500..=599, _) => Verdict::ServerFailure,
            _ => Verdict::Unexpected,
        }
    }

    /// The code that the caller gets.
    pub fn code(self) -> Code {
        match self {
            Verdict::Success => Code::Ok,
            Verdict::NoSuchUpload => Code::NoSuchUpload,
            Verdict::NoSuchBucket => Code::NoSuchBucket,
            Verdict::ClockSkew => Code::ClockSkew,
            Verdict::AccessDenied => Code::AccessDenied,
            Verdict::Throttled => Code::Throttled,
            Verdict::ServerFailure => Code::Server,
            Verdict::RequestTimeout | Verdict::Conflict | Verdict::Rejected => Code::Rejected,
            Verdict::Redirect | Verdict::OtherRedirect => Code::Redirect,
            Verdict::Unexpected => Code::Protocol,
        }
    }
}

/// What a response means, and what the service says of it.
pub fn interpret(operation: Operation, response: &Response) -> (Verdict, ServiceError) {
    if response.status == operation.success_status() {
        // Nothing of a success is of interest but its ids.
        let ids = RequestIds::from_headers(&response.headers);
        return (Verdict::Success, ServiceError { ids, ..ServiceError::default() });
    }
    let error = ServiceError::from_response(response);
    (Verdict::from_status(operation, response.status, error.code.as_deref()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(headers: &[(&'static str, &str)], body: &[u8]) -> Response {
        let headers = Headers::from_fields(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        Response { status: 404, headers, body: body.to_vec() }
    }

    fn code(headers: &[(&'static str, &str)], body: &str) -> Option<String> {
        ServiceError::from_response(&response(headers, body.as_bytes())).code
    }

    #[test]
    fn codes() {
        let xml = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchUpload</Code><Message>a &amp; b</Message><RequestId>R</RequestId><HostId>H</HostId></Error>";
        let all = ServiceError::from_response(&response(&[], xml.as_bytes()));
        assert_eq!(all.code.as_deref(), Some("NoSuchUpload"));
        assert_eq!(all.message.as_deref(), Some("a & b"));
        assert_eq!((all.ids.request_id.as_deref(), all.ids.host_id.as_deref()), (Some("R"), Some("H")));
        assert_eq!(code(&[("x-obs-error-code", "Header")], xml).as_deref(), Some("Header"), "headers win");
        assert_eq!(code(&[("x-amz-error-code", "Header")], "").as_deref(), Some("Header"));
        assert_eq!(code(&[], "<Error><Code>A</Code><Message>\u{1}</Mess").as_deref(), Some("A"), "cut short");
        assert_eq!(code(&[], "<Error><Code>NoSuchUp"), None, "half a code is none");
        assert_eq!(
            code(&[], "<Error><Resource><Code>Evil</Code></Resource><Code>A</Code></Error>").as_deref(),
            Some("A")
        );
        assert_eq!(code(&[], "<Error xmlns=\"x\"><Code><![CDATA[A]]></Code></Error>").as_deref(), Some("A"));
        for none in [
            "",
            "{\"Code\":\"NoSuchUpload\"}",
            "<html><Code>NoSuchUpload</Code></html>",
            "\u{0}\u{1}",
            "<Error>",
            "<",
            "<Error><Code/></Error>",
        ] {
            assert_eq!(code(&[], none), None, "{none}");
        }
    }

    #[test]
    fn refusals_of_the_credentials_themselves() {
        use Verdict as V;
        for (verdict, code, blames) in [
            (V::AccessDenied, Some("InvalidAccessKeyId"), true),
            (V::Rejected, Some("ExpiredToken"), true),
            (V::AccessDenied, Some("InvalidSecurity"), true),
            (V::AccessDenied, Some("InvalidSecurityToken"), true),
            (V::AccessDenied, Some("InvalidClientTokenId"), true),
            (V::AccessDenied, Some("SecurityTokenExpired"), true),
            (V::Rejected, Some("ExpiredTokenException"), true),
            (V::Rejected, Some("InvalidToken"), true),
            (V::Rejected, Some("InvalidTokenId"), true),
            (V::Rejected, Some("TokenRefreshRequired"), true),
            (V::AccessDenied, Some("AccessDenied"), false),
            (V::AccessDenied, Some("SignatureDoesNotMatch"), false),
            (V::AccessDenied, None, false),
            (V::Rejected, Some("InvalidRequest"), false),
            (V::ServerFailure, Some("ExpiredToken"), false),
        ] {
            let error = ServiceError { code: code.map(str::to_owned), ..ServiceError::default() };
            assert_eq!(error.blames_credentials(verdict), blames, "{verdict:?} {code:?}");
        }
    }

    #[test]
    fn verdicts() {
        for (status, code, want) in [
            (204, None, Verdict::Success),
            (200, None, Verdict::Unexpected),
            (206, None, Verdict::Unexpected),
            (101, None, Verdict::Unexpected),
            (301, None, Verdict::OtherRedirect),
            (307, Some("TemporaryRedirect"), Verdict::Redirect),
            (400, Some("RequestTimeout"), Verdict::RequestTimeout),
            (400, None, Verdict::Rejected),
            (403, Some("SignatureDoesNotMatch"), Verdict::AccessDenied),
            (403, Some("RequestTimeTooSkewed"), Verdict::ClockSkew),
            (404, Some("NoSuchKey"), Verdict::NoSuchUpload),
            (404, Some("NoSuchBucket"), Verdict::NoSuchBucket),
            (404, Some("Unheard"), Verdict::Rejected),
            (404, None, Verdict::Rejected),
            (408, None, Verdict::RequestTimeout),
            (409, Some("OperationAborted"), Verdict::Conflict),
            (409, Some("BucketNotEmpty"), Verdict::Rejected),
            (400, Some("OperationAborted"), Verdict::Rejected),
            (429, None, Verdict::Throttled),
            (500, None, Verdict::ServerFailure),
            (503, Some("SlowDown"), Verdict::Throttled),
            (599, None, Verdict::ServerFailure),
            (999, None, Verdict::Unexpected),
        ] {
            assert_eq!(
                Verdict::from_status(Operation::AbortMultipartUpload, status, code),
                want,
                "{status} {code:?}"
            );
        }
    }
}
