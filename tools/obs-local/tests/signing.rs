//! The signature against requests that Huawei's Python SDK 3.26.6 sent (recorded, with the clock frozen).

use obs_local::signing::{Scheme, canonical_resource, signature, string_to_sign};

const SECRET_KEY: &str = "hwSk/Example+Secret=Key0123456789abcdefghij";
const TOKEN: &str = "gQpjbi1ub3J0aC00j+TOKEN/with=chars%2B+and/slash==";
const DATE: &str = "Sun, 22 Nov 2026 08:12:31 GMT";

/// Name, scheme, whether with a token, path as signed, query, signature.
const RECORDED: &[(&str, Scheme, bool, &str, &str, &str)] = &[
    (
        "vhost/plain",
        Scheme::Obs,
        false,
        "/my-bucket/object.txt",
        "uploadId=00000163D40171ED8DF4050919BD02B8",
        "GDCFGrYpZREAGLjzYoD0kcMyU6M=",
    ),
    (
        "vhost/two spaces",
        Scheme::Obs,
        false,
        "/my-bucket/a%20%20b",
        "uploadId=00000163D40171ED8DF4050919BD02B8",
        "KmAJKLBfXe84IS4o+UgVNRImjlw=",
    ),
    (
        "vhost/mixed",
        Scheme::Obs,
        false,
        "/my-bucket/%CE%B1%20%CE%B2%2B%CE%B3%25/~%28%CE%B4%29%21%2A%27%3F%26%3D%23%F0%9F%98%80",
        "uploadId=00000163D40171ED8DF4050919BD02B8",
        "stw5pL0cWLTqDd1r/xFd9GCaPIA=",
    ),
    (
        "path/plus",
        Scheme::Aws,
        false,
        "/my-bucket/a%2Bb.txt",
        "uploadId=00000163D40171ED8DF4050919BD02B8",
        "LYCH1zeCdP1Nz9jh0EiVp6T4szw=",
    ),
    (
        "path/leading slash",
        Scheme::Aws,
        false,
        "/my-bucket//lead",
        "uploadId=00000163D40171ED8DF4050919BD02B8",
        "t4HhwBcKf4eRK4L4DjtIkUWGv9g=",
    ),
    (
        "path/question query",
        Scheme::Aws,
        false,
        "/my-bucket/a%3FuploadId%3Devil%26acl",
        "uploadId=00000163D40171ED8DF4050919BD02B8",
        "oYdxZpOkh0Zb60iHyU9wMV8OlcI=",
    ),
    (
        "vhost/token",
        Scheme::Obs,
        true,
        "/my-bucket/dir/a%20b%2Bc",
        "uploadId=00000163D40171ED8DF4050919BD02B8",
        "RNtoqwXJ+DJxOe/HehCedpSiMns=",
    ),
    (
        "vhost/v2 token",
        Scheme::Aws,
        true,
        "/my-bucket/dir/a%20b%2Bc",
        "uploadId=00000163D40171ED8DF4050919BD02B8",
        "5rHWA6Gh2Xti1Ow4+xKA7T1461k=",
    ),
    (
        "cname/token",
        Scheme::Aws,
        true,
        "/files.example.com/k",
        "uploadId=00000163D40171ED8DF4050919BD02B8",
        "luKc8JFggWfB5GuWm1GbCsjF70I=",
    ),
    (
        "vhost/uid plus",
        Scheme::Obs,
        false,
        "/my-bucket/dir/k",
        "uploadId=a%2Bb",
        "Gwoh+IvRTZiCJCsM51wHs7CT+IQ=",
    ),
    (
        "vhost/uid eq",
        Scheme::Obs,
        false,
        "/my-bucket/dir/k",
        "uploadId=abc%3D%3D",
        "VuEuWYdoOeFZEVS5QKoxdIUGXlA=",
    ),
    (
        "vhost/uid amp",
        Scheme::Obs,
        false,
        "/my-bucket/dir/k",
        "uploadId=a%26acl",
        "xHwjNDbt8jFrOpUPNc2dfvAhCaI=",
    ),
    (
        "vhost/uid unicode",
        Scheme::Obs,
        false,
        "/my-bucket/dir/k",
        "uploadId=%C3%A9",
        "9Q/eqa+irsb2sXHUJTUc78/Mx1s=",
    ),
];

#[test]
fn recorded_requests_of_the_official_sdk_have_these_signatures() {
    for (name, scheme, with_token, path, query, expected) in RECORDED {
        let mut headers = vec![("Date".to_owned(), DATE.to_owned())];
        if *with_token {
            headers.push((format!("{}security-token", scheme.header_prefix()), TOKEN.to_owned()));
        }
        let resource = canonical_resource(path, query);
        let text = string_to_sign(*scheme, "DELETE", &headers, &resource);
        assert_eq!(signature(SECRET_KEY, &text), *expected, "{name}: {text:?}");
    }
}

#[test]
fn only_subresources_are_signed_and_in_order() {
    let resource = canonical_resource("/b/", "uploads&prefix=a&max-uploads=3&acl=&zz");
    assert_eq!(resource, "/b/?acl&uploads");
    assert_eq!(canonical_resource("/b/k", "uploadId=x&partNumber=1"), "/b/k?partNumber=1&uploadId=x");
    assert_eq!(canonical_resource("/b/k", "uploadid=x"), "/b/k");
}

#[test]
fn own_headers_are_sorted_and_joined_and_replace_the_date() {
    let headers: Vec<(String, String)> =
        [("X-Obs-B", "2"), ("x-obs-date", "D"), ("x-obs-a", " 1 "), ("X-OBS-B", "3"), ("Date", "other")]
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    assert_eq!(
        string_to_sign(Scheme::Obs, "GET", &headers, "/b/"),
        "GET\n\n\n\nx-obs-a:1\nx-obs-b:2,3\nx-obs-date:D\n/b/"
    );
    assert_eq!(string_to_sign(Scheme::Aws, "GET", &headers, "/b/"), "GET\n\n\nother\n/b/");
}
