//! Any response to an abort. Input: the status, header lines, an empty line, the body.

use obsabort::fuzzing::{Headers, Operation, Response, ServiceError, Verdict, interpret};

const SECRET: &str = "K3Y/hush+hush==";

pub fn run(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let status =
        lines.next().and_then(|line| std::str::from_utf8(line).ok()?.trim().parse().ok()).unwrap_or(404);
    let mut rest = lines.next().unwrap_or_default();
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        // The parser of heads lets no other control character pass.
        let is_text = value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
        if let (Ok(name), true) = (std::str::from_utf8(&line[..colon]), is_text) {
            fields.push((name, value));
        }
    }
    let headers = Headers::from_fields(fields);
    let in_header = |names: [&str; 2]| {
        let value = names.iter().find_map(|name| headers.get(name).filter(|value| !value.is_empty()));
        value.and_then(|value| std::str::from_utf8(value).ok()).filter(|v| v.is_ascii()).map(str::to_owned)
    };
    let header_code = in_header(["x-obs-error-code", "x-amz-error-code"]);
    let response = Response { status, headers, body: rest.to_vec() };

    let raw = ServiceError::from_response(&response);
    let all = raw.clone().sanitize(&[SECRET, "", "hush"]);
    for text in [&all.code, &all.message, &all.ids.request_id, &all.ids.host_id].into_iter().flatten() {
        assert!(text.len() <= 512, "{} bytes", text.len());
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(!text.contains("hush"), "{text:?}");
    }
    if let Some(code) =
        header_code.filter(|code| code.len() <= 512 && !code.contains("hush") && !code.contains('\t'))
    {
        assert_eq!(all.code.as_deref(), Some(code.as_str()), "headers win over the body");
    }
    for operation in [Operation::AbortMultipartUpload, Operation::ListParts] {
        let code = raw.code.as_deref();
        let (verdict, service) = interpret(operation, &response);
        let success = status == operation.success_status();
        assert_eq!(verdict == Verdict::Success, success);
        if success {
            assert_eq!((service.code, service.message), (None, None), "nothing went wrong");
        } else {
            assert_eq!((verdict, &service), (Verdict::from_status(operation, status, code), &raw));
        }
        if verdict == Verdict::NoSuchUpload {
            // "Gone" is said of nothing else: neither of a proxy's 404, nor of a page that mentions the words.
            assert!(status == 404 && matches!(code, Some("NoSuchUpload" | "NoSuchKey")), "{status} {code:?}");
        }
        if (500..600).contains(&status) || status == 429 {
            let retried = [Verdict::ServerFailure, Verdict::Throttled, Verdict::RequestTimeout];
            assert!(retried.contains(&verdict), "{status} {verdict:?}");
        }
    }
}
