//! Requests as the official SDK sent them, by the C ABI onto the wire: each recorded row, but for its date, which is now.

#![allow(missing_docs, unsafe_code, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::undocumented_unsafe_blocks)]

use obs_local::signing;
use serde_json::Value;
use support::peer::Recorder;
use support::{Config, code};
use support::{
    OBS_ABORT_ADDRESSING_AUTO as AUTO, OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN as CUSTOM_DOMAIN,
    OBS_ABORT_ADDRESSING_PATH as PATH, OBS_ABORT_ADDRESSING_VIRTUAL_HOST as VIRTUAL_HOST,
    OBS_ABORT_SIGNATURE_AUTO as EITHER, OBS_ABORT_SIGNATURE_AWS_V2 as AWS_V2, OBS_ABORT_SIGNATURE_OBS as OBS,
};

fn rows() -> Vec<Value> {
    let file = include_str!("../vectors/signing.json");
    let vectors: Value = serde_json::from_str(file).unwrap();
    vectors["vectors"].as_array().unwrap().clone()
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("{name} in {row}"))
}

/// RFC 1123, as the library must write it: `Sun, 22 Nov 2026 08:12:31 GMT`, and of these minutes.
fn assert_now(date: &str) {
    let seen = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let near = (-120..=2).any(|s| obs_local::http_date(seen + s) == date);
    assert!(near, "{date:?} is not now, or not RFC 1123");
}

#[test]
fn every_recorded_request_leaves_the_library_as_it_left_the_sdk() {
    // The recorder is the proxy: endpoints stay those of the rows, and no name is resolved.
    let recorder = Recorder::start();
    let (mut sent, mut not_for_c) = (0, 0);
    for row in rows() {
        let name = text(&row, "name");
        let (key, upload_id) = (text(&row, "key"), text(&row, "upload_id"));
        if key.contains('\0') || upload_id.contains('\0') {
            not_for_c += 1; // Signed below the C layer: src/obs/sign.rs.
            continue;
        }
        let addressing = match (row["path_style"] == true, row["custom_domain"] == true) {
            (true, _) => PATH,
            (_, true) => CUSTOM_DOMAIN,
            _ => VIRTUAL_HOST,
        };
        let token = row["security_token"].as_str();
        let (access_key, secret_key) = (text(&row, "access_key"), text(&row, "secret_key"));
        let scheme = text(&row, "scheme");
        let client = Config::bare()
            .endpoint(text(&row, "endpoint"))
            .proxy(&recorder.url())
            .credentials(access_key, secret_key, token)
            .addressing(addressing)
            .signature(if scheme == "OBS" { OBS } else { AWS_V2 })
            .client();
        assert_eq!(client.abort(text(&row, "bucket"), key, upload_id), (code::OK, 204, None), "{name}");
        let head = recorder.take_one();
        let (host, target) = (text(&row, "host"), text(&row, "request_target"));
        assert_eq!(head.line, format!("DELETE http://{host}{target} HTTP/1.1"), "{name}");
        assert_eq!(head.header("host"), Some(host), "{name}");
        let date = head.header("date").unwrap_or_else(|| panic!("{name}: no Date"));
        assert_now(date);
        let string_to_sign = text(&row, "string_to_sign").replacen(text(&row, "date"), date, 1);
        assert!(string_to_sign.starts_with(&format!("DELETE\n\n\n{date}\n")), "{name}");
        let signature = signing::signature(secret_key, &string_to_sign);
        let authorization = format!("{scheme} {access_key}:{signature}");
        assert_eq!(head.header("authorization"), Some(authorization.as_str()), "{name}");
        let prefix = if scheme == "OBS" { "x-obs-" } else { "x-amz-" };
        let own: Vec<_> = head.headers.iter().filter(|(name, _)| name.starts_with("x-")).collect();
        let token = token.map(|token| (format!("{prefix}security-token"), token.to_owned()));
        assert_eq!(own, token.iter().collect::<Vec<_>>(), "{name}: the token, and nothing else of ours");
        for signed in ["content-md5", "content-type"] {
            assert_eq!(head.header(signed), None, "{name}: {signed} would be part of what is signed");
        }
        sent += 1;
    }
    assert_eq!(sent + not_for_c, rows().len());
    assert!(sent >= 100 && not_for_c <= 4, "{sent} sent, {not_for_c} not for C");
}

#[test]
fn the_test_signs_as_the_sdk_did() {
    // Otherwise the test above would compare the library with a mistake of its own.
    for row in rows() {
        let signature = signing::signature(text(&row, "secret_key"), text(&row, "string_to_sign"));
        let authorization = format!("{} {}:{signature}", text(&row, "scheme"), text(&row, "access_key"));
        assert_eq!(authorization, text(&row, "authorization"), "{}", text(&row, "name"));
    }
}

#[test]
fn auto_chooses_addressing_and_scheme_as_the_contract_says() {
    let recorder = Recorder::start();
    let host = "obs.example.com";
    let rows: [(&str, &str, i32, i32, &str, &str, &str); 11] = [
        // endpoint, bucket, addressing, signature: host, target, scheme
        ("http://obs.example.com", "abc", AUTO, EITHER, "abc.obs.example.com", "/k", "OBS"),
        ("http://obs.example.com", "a.bc", AUTO, EITHER, "a.bc.obs.example.com", "/k", "OBS"),
        ("http://10.1.2.3", "abc", AUTO, EITHER, "10.1.2.3", "/abc/k", "AWS"),
        ("http://10.1.2.3:81", "abc", AUTO, EITHER, "10.1.2.3:81", "/abc/k", "AWS"),
        ("http://[2001:db8::1]:81", "abc", AUTO, EITHER, "[2001:db8::1]:81", "/abc/k", "AWS"),
        ("http://obs.example.com", "abc", PATH, EITHER, host, "/abc/k", "AWS"),
        ("http://obs.example.com", "abc", PATH, OBS, host, "/abc/k", "OBS"),
        ("http://obs.example.com", "abc", VIRTUAL_HOST, AWS_V2, "abc.obs.example.com", "/k", "AWS"),
        ("http://obs.example.com", "abc", CUSTOM_DOMAIN, EITHER, host, "/k", "OBS"),
        ("http://obs.example.com:8080", "abc", CUSTOM_DOMAIN, AWS_V2, "obs.example.com:8080", "/k", "AWS"),
        ("HTTP://OBS.Example.COM:80/", "abc", AUTO, EITHER, "abc.obs.example.com", "/k", "OBS"),
    ];
    for (endpoint, bucket, addressing, signature, host, path, scheme) in rows {
        let client = Config::bare()
            .endpoint(endpoint)
            .proxy(&recorder.url())
            .credentials("AK", "SK", None)
            .addressing(addressing)
            .signature(signature)
            .client();
        assert_eq!(client.abort(bucket, "k", "i"), (code::OK, 204, None), "{endpoint}");
        let head = recorder.take_one();
        assert_eq!(head.line, format!("DELETE http://{host}{path}?uploadId=i HTTP/1.1"), "{endpoint}");
        assert_eq!(head.header("host"), Some(host), "{endpoint}");
        // The domain, without its port, stands for the bucket where it is a custom one.
        let domain = host.split(':').next().unwrap();
        let place = if addressing == CUSTOM_DOMAIN { domain } else { bucket };
        let string_to_sign = format!("DELETE\n\n\n{}\n/{place}/k?uploadId=i", head.header("date").unwrap());
        let authorization = format!("{scheme} AK:{}", signing::signature("SK", &string_to_sign));
        assert_eq!(head.header("authorization"), Some(authorization.as_str()), "{endpoint}");
    }
}
