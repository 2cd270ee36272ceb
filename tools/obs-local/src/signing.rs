//! The signature of both schemes, written from Huawei's reference and from recorded requests of its SDKs.
//!
//! It shares nothing with the library's signer: a mistake in one would show against the other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Query parameters that are part of what is signed (Huawei's list; all others are not).
const SUBRESOURCES: &[&str] = &[
    "CDNNotifyConfiguration",
    "acl",
    "append",
    "attname",
    "backtosource",
    "cors",
    "customdomain",
    "delete",
    "deletebucket",
    "directcoldaccess",
    "encryption",
    "inventory",
    "length",
    "lifecycle",
    "location",
    "logging",
    "metadata",
    "mirrorBackToSource",
    "modify",
    "name",
    "notification",
    "object-lock",
    "obscompresspolicy",
    "orchestration",
    "partNumber",
    "policy",
    "policyStatus",
    "position",
    "publicAccessBlock",
    "quota",
    "rename",
    "replication",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "storageClass",
    "storageinfo",
    "storagePolicy",
    "tagging",
    "torrent",
    "truncate",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
    "x-image-process",
    "x-image-save-bucket",
    "x-image-save-object",
    "x-obs-security-token",
];

/// `OBS` with `x-obs-` headers, or `AWS` (version 2) with `x-amz-` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Obs,
    Aws,
}

impl Scheme {
    /// The word before the access key in `Authorization`.
    pub fn word(self) -> &'static str {
        match self {
            Scheme::Obs => "OBS",
            Scheme::Aws => "AWS",
        }
    }

    /// What this scheme's own headers begin with.
    pub fn header_prefix(self) -> &'static str {
        match self {
            Scheme::Obs => "x-obs-",
            Scheme::Aws => "x-amz-",
        }
    }
}

/// `/bucket/encoded%20key?uploadId=decoded id`, from the encoded path (with the bucket or the custom domain in front) and
/// the raw query of the request.
pub fn canonical_resource(encoded_path: &str, raw_query: &str) -> String {
    let mut signed: Vec<(String, Option<String>)> = parse_query(raw_query);
    signed.retain(|(name, _)| SUBRESOURCES.contains(&name.as_str()));
    signed.sort();
    let mut resource = encoded_path.to_owned();
    for (position, (name, value)) in signed.iter().enumerate() {
        resource.push(if position == 0 { '?' } else { '&' });
        resource.push_str(name);
        // As Ceph RGW does: an empty value is signed like no value.
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            resource.push('=');
            resource.push_str(value);
        }
    }
    resource
}

/// What is signed. `headers` are those of the request, in any order and case.
pub fn string_to_sign(scheme: Scheme, method: &str, headers: &[(String, String)], resource: &str) -> String {
    let prefix = scheme.header_prefix();
    let mut own: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if name.starts_with(prefix) {
            match own.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => {
                    values.push(',');
                    values.push_str(value.trim());
                }
                None => own.push((name, value.trim().to_owned())),
            }
        }
    }
    own.sort();
    let own_date = own.iter().any(|(name, _)| name.strip_prefix(prefix) == Some("date"));
    let plain = |wanted: &str| header(headers, wanted).unwrap_or("");
    let mut text = String::with_capacity(256);
    for line in
        [method, plain("content-md5"), plain("content-type"), if own_date { "" } else { plain("date") }]
    {
        text.push_str(line);
        text.push('\n');
    }
    for (name, value) in &own {
        text.push_str(name);
        text.push(':');
        text.push_str(value);
        text.push('\n');
    }
    text.push_str(resource);
    text
}

/// A secret key, its HMAC key schedule done.
#[derive(Clone)]
pub(crate) struct SecretKey(Hmac<Sha1>);

impl SecretKey {
    pub fn new(secret_key: &str) -> Self {
        Self(Hmac::new_from_slice(secret_key.as_bytes()).expect("HMAC takes keys of any length"))
    }

    /// Whether `signature` (base64) is that of `text`.
    pub fn signed(&self, text: &str, signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        mac.verify_slice(&signature).is_ok()
    }
}

/// The base64 signature of a string to sign.
pub fn signature(secret_key: &str, string_to_sign: &str) -> String {
    let mut mac = SecretKey::new(secret_key).0;
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The value of a header, whatever the case of its name.
pub(crate) fn header<'a>(headers: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
}

/// The query's parameters, decoded as servers do (`+` is a space), in the order sent; None is a name without `=`.
pub(crate) fn parse_query(raw: &str) -> Vec<(String, Option<String>)> {
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decode_query(name), Some(decode_query(value))),
            None => (decode_query(pair), None),
        })
        .collect()
}

fn decode_query(text: &str) -> String {
    let spaced = text.replace('+', " ");
    // What is not UTF-8 can't be the name of anything here: the replacement characters make sure that it matches nothing.
    String::from_utf8_lossy(&percent_decode(&spaced)).into_owned()
}

/// `%XX` undone; a `%` without two hex digits stays as it is.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| Some((hex_digit(*bytes.get(at + 1)?)?, hex_digit(*bytes.get(at + 2)?)?)))
            .flatten();
        match escaped {
            Some((high, low)) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// The encoding of keys and upload ids in a request's target: all but `A-Z a-z 0-9 - . _ ~ /`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The encoding of forms, used in listings with `encoding-type=url`: a space is `+`, and `/` is `%2F`.
pub(crate) fn form_encode(text: &str) -> String {
    encode(text).replace("%20", "+").replace('/', "%2F").replace('~', "%7E").replace("%2A", "*")
}
