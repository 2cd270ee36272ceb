//! Signatures: `Authorization: scheme access-key:Base64(HMAC-SHA1(secret key, string to sign))`.
//!
//! Sources: "Authentication of Signature in a Header" in Huawei's OBS API reference, and requests recorded from an
//! official SDK (tests/vectors).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{HmacReset, KeyInit, Mac};
use sha1::Sha1;

/// A dialect of the one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureScheme {
    /// `Authorization: OBS …`, headers `x-obs-…`.
    Obs,
    /// `Authorization: AWS …`, headers `x-amz-…`.
    AwsV2,
}

impl SignatureScheme {
    fn authorization_prefix(self) -> &'static str {
        match self {
            SignatureScheme::Obs => "OBS ",
            SignatureScheme::AwsV2 => "AWS ",
        }
    }

    /// The header that carries the token of temporary credentials.
    pub fn security_token_header(self) -> &'static str {
        match self {
            SignatureScheme::Obs => "x-obs-security-token",
            SignatureScheme::AwsV2 => "x-amz-security-token",
        }
    }

    /// The header of requester-pays requests.
    pub fn request_payer_header(self) -> &'static str {
        match self {
            SignatureScheme::Obs => "x-obs-request-payer",
            SignatureScheme::AwsV2 => "x-amz-request-payer",
        }
    }
}

/// A secret key, prepared for HMAC: the digest states after the two padded keys, computed once.
///
/// `HmacReset` rather than `Hmac`: that one is consumed by the end of the computation, and a move leaves the last bytes
/// of the token on the stack.
#[derive(Clone)]
pub struct SigningKey(HmacReset<Sha1>);

impl SigningKey {
    /// Prepares a secret key.
    pub fn new(secret_key: &str) -> SigningKey {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        SigningKey(HmacReset::new_from_slice(secret_key.as_bytes()).expect("HMAC takes any key"))
    }
}

/// The string to sign of a request. It never exists in one piece: its parts go straight into the digest.
#[derive(Clone, Copy, Debug)]
pub struct StringToSign<'a> {
    /// The scheme of the signature.
    pub scheme: SignatureScheme,
    /// `DELETE` or `GET`.
    pub method: &'a str,
    /// The Date header.
    pub date: &'a [u8],
    /// Whether the requester pays.
    pub request_payer: bool,
    /// The token of temporary credentials.
    pub security_token: Option<&'a str>,
    /// The canonical resource.
    pub canonical_resource: &'a str,
}

impl StringToSign<'_> {
    /// Calls `part` with each part, in order.
    fn each_part(&self, mut part: impl FnMut(&[u8])) {
        part(self.method.as_bytes());
        // Content-MD5 and Content-Type are empty in every request that is sent here.
        part(b"\n\n\n");
        part(self.date);
        part(b"\n");
        // Sorted by name: "request-payer" comes before "security-token".
        if self.request_payer {
            part(self.scheme.request_payer_header().as_bytes());
            part(b":requester\n");
        }
        if let Some(token) = self.security_token {
            part(self.scheme.security_token_header().as_bytes());
            part(b":");
            part(token.as_bytes());
            part(b"\n");
        }
        part(self.canonical_resource.as_bytes());
    }

    /// Computes the signature.
    pub fn sign(&self, key: &SigningKey) -> Signature {
        let mut mac = key.0.clone();
        self.each_part(|part| mac.update(part));
        let mut signature = [0; SIGNATURE_LENGTH];
        #[expect(clippy::expect_used, reason = "the Base64 of 20 bytes has 28 characters")]
        STANDARD
            .encode_slice(mac.finalize_reset().into_bytes(), &mut signature)
            .expect("room for the signature");
        Signature(signature)
    }
}

/// The length of the Base64 of SHA-1's 20 bytes.
const SIGNATURE_LENGTH: usize = 28;

/// A signature, which no message may repeat.
pub struct Signature([u8; SIGNATURE_LENGTH]);

impl Signature {
    /// The value of the Authorization header, in its parts.
    pub fn authorization<'s>(&'s self, scheme: SignatureScheme, access_key: &'s str) -> [&'s [u8]; 4] {
        [scheme.authorization_prefix().as_bytes(), access_key.as_bytes(), b":", &self.0]
    }

    /// The Base64 text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::obs::bucket::{Addressing, Bucket, parse_endpoint};

    /// Every recorded request, below the C layer: some of their keys hold a NUL.
    #[test]
    fn official_sdk_vectors() {
        let file = include_str!("../../tests/vectors/signing.json");
        let vectors: serde_json::Value = serde_json::from_str(file).expect("the vectors are JSON");
        let rows = vectors["vectors"].as_array().expect("rows");
        assert!(rows.len() >= 104, "{} rows", rows.len());
        for row in rows {
            let text = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("{name} in {row}"));
            let name = text("name");
            let addressing = match (row["path_style"] == true, row["custom_domain"] == true) {
                (true, _) => Addressing::Path,
                (_, true) => Addressing::CustomDomain,
                _ => Addressing::VirtualHost,
            };
            let endpoint = parse_endpoint(text("endpoint")).expect(name);
            let bucket = Bucket::new(&endpoint, addressing, None, text("bucket")).expect(name);
            let target = bucket.upload_target(text("key"), text("upload_id")).expect(name);
            assert_eq!(target.request_target, text("request_target"), "{name}");
            assert_eq!(target.origin.authority(), text("host"), "{name}");
            let scheme = if text("scheme") == "OBS" { SignatureScheme::Obs } else { SignatureScheme::AwsV2 };
            let string_to_sign = StringToSign {
                scheme,
                method: "DELETE",
                date: text("date").as_bytes(),
                request_payer: false,
                security_token: row["security_token"].as_str(),
                canonical_resource: &target.canonical_resource,
            };
            let mut bytes = Vec::new();
            string_to_sign.each_part(|part| bytes.extend_from_slice(part));
            assert_eq!(String::from_utf8(bytes).expect(name), text("string_to_sign"), "{name}");
            let signature = string_to_sign.sign(&SigningKey::new(text("secret_key")));
            let header = signature.authorization(scheme, text("access_key")).concat();
            assert_eq!(header, text("authorization").as_bytes(), "{name}");
        }
    }

    #[test]
    fn canonical_headers_are_sorted() {
        let string_to_sign = StringToSign {
            scheme: SignatureScheme::Obs,
            method: "GET",
            date: b"D",
            request_payer: true,
            security_token: Some("T"),
            canonical_resource: "/b/?uploads",
        };
        let mut text = Vec::new();
        string_to_sign.each_part(|part| text.extend_from_slice(part));
        assert_eq!(text, b"GET\n\n\nD\nx-obs-request-payer:requester\nx-obs-security-token:T\n/b/?uploads");
    }
}
