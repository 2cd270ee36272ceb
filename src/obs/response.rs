//! Status, headers and bounded body in, verdict out.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::base::text::clean;
use crate::http::Response;

const REQUEST_ID: [&str; 2] = ["x-obs-request-id", "x-amz-request-id"];
const HOST_ID: [&str; 2] = ["x-obs-id-2", "x-amz-id-2"];
const ERROR_CODE: [&str; 2] = ["x-obs-error-code", "x-amz-error-code"];
const ERROR_MESSAGE: [&str; 2] = ["x-obs-error-message", "x-amz-error-message"];

/// What a response says of itself: as it came, until `fit_to_show`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `NoSuchUpload`
    pub code: Option<String>,
    /// The service's own sentence.
    pub message: Option<String>,
    /// What support asks for.
    pub request_id: Option<String>,
    /// `x-obs-id-2`
    pub host_id: Option<String>,
}

impl Said {
    /// One line each, at most 512 bytes, no control characters, and none of these secrets, should the server echo them.
    /// To be shown, that is, and not to be judged by: a secret may happen to be part of a service code.
    pub fn fit_to_show(self, secrets: &[&str]) -> Said {
        let fit = |text: Option<String>| text.map(|text| clean(&text, secrets));
        let Said { code, message, request_id, host_id } = self;
        Said { code: fit(code), message: fit(message), request_id: fit(request_id), host_id: fit(host_id) }
    }
}

/// Reads headers and body; headers win, as in the official Go SDK. Where all went well, the ids alone are of interest.
pub fn said(response: &Response, went_well: bool) -> Said {
    let header = |[obs, amz]: [&str; 2]| {
        let named = |name| response.headers.get(name).filter(|value| !value.is_empty());
        let value = named(obs).or_else(|| named(amz))?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    let mut said = Said { request_id: header(REQUEST_ID), host_id: header(HOST_ID), ..Said::default() };
    if went_well {
        return said;
    }
    (said.code, said.message) = (header(ERROR_CODE), header(ERROR_MESSAGE));
    if response.body.is_empty() {
        return said;
    }
    for (name, text) in error_fields(&response.body) {
        let field = match name.as_str() {
            "Code" => &mut said.code,
            "Message" => &mut said.message,
            "RequestId" => &mut said.request_id,
            "HostId" => &mut said.host_id,
            _ => continue,
        };
        if field.is_none() && !text.trim().is_empty() {
            *field = Some(text.trim().to_owned());
        }
    }
    said
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
                if path.len() == 1 && path[0] != "Error" {
                    return fields;
                }
            }
            Ok(Event::Text(part)) => text.push_str(&part),
            Ok(Event::CData(part)) => text.push_str(&part),
            Ok(Event::GeneralRef(reference)) => {
                text.push(crate::obs::xml::resolve(&reference).unwrap_or('?'));
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

/// What a response to an abort means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 204, or what else the request asked for.
    Done,
    /// 404 NoSuchUpload or NoSuchKey.
    NoSuchUpload,
    /// 404 NoSuchBucket
    NoSuchBucket,
    /// 403 RequestTimeTooSkewed
    ClockSkew,
    /// 403 otherwise.
    AccessDenied,
    /// 429, 503
    Throttled,
    /// 5xx otherwise.
    Server,
    /// 408, or RequestTimeout whatever the status.
    RequestTimeout,
    /// 307, 308: may be followed.
    Redirect,
    /// 3xx otherwise.
    OtherRedirect,
    /// 4xx otherwise, a 404 without a known code among them.
    Rejected,
    /// 1xx that is no response, or a 2xx that was not asked for.
    Unexpected,
}

/// The verdict of a status and a service code, where `wanted` is the status that means success.
pub fn verdict(status: u16, code: Option<&str>, wanted: u16) -> Verdict {
    match (status, code) {
        (status, _) if status == wanted => Verdict::Done,
        (400..=599, Some("RequestTimeout")) | (408, _) => Verdict::RequestTimeout,
        (404, Some("NoSuchUpload" | "NoSuchKey")) => Verdict::NoSuchUpload,
        (404, Some("NoSuchBucket")) => Verdict::NoSuchBucket,
        (403, Some("RequestTimeTooSkewed")) => Verdict::ClockSkew,
        (403, _) => Verdict::AccessDenied,
        (429 | 503, _) => Verdict::Throttled,
        (307 | 308, _) => Verdict::Redirect,
        (300..=399, _) => Verdict::OtherRedirect,
        (400..=499, _) => Verdict::Rejected,
        (500..=599, _) => Verdict::Server,
        _ => Verdict::Unexpected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Headers;

    fn response(headers: &[(&'static str, &str)], body: &[u8]) -> Response {
        let headers = Headers::from_fields(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        Response { status: 404, headers, body: body.to_vec() }
    }

    fn code(headers: &[(&'static str, &str)], body: &str) -> Option<String> {
        said(&response(headers, body.as_bytes()), false).code
    }

    #[test]
    fn codes() {
        let xml = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchUpload</Code><Message>a &amp; b</Message><RequestId>R</RequestId><HostId>H</HostId></Error>";
        let all = said(&response(&[], xml.as_bytes()), false);
        assert_eq!(all.code.as_deref(), Some("NoSuchUpload"));
        assert_eq!(all.message.as_deref(), Some("a & b"));
        assert_eq!((all.request_id.as_deref(), all.host_id.as_deref()), (Some("R"), Some("H")));
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
    fn meanings() {
        for (status, code, want) in [
            (204, None, Verdict::Done),
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
            (429, None, Verdict::Throttled),
            (500, None, Verdict::Server),
            (503, Some("SlowDown"), Verdict::Throttled),
            (599, None, Verdict::Server),
            (999, None, Verdict::Unexpected),
        ] {
            assert_eq!(verdict(status, code, 204), want, "{status} {code:?}");
        }
    }
}
