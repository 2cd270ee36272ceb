//! Who may: access keys, the request's date, its token and its signature.

use std::collections::HashMap;
use std::sync::RwLock;
use std::time::UNIX_EPOCH;

use crate::options::AccessKey;
use crate::signing::{self, Scheme, SecretKey};
use crate::wire::Request;
use crate::xml;

/// A refusal, always with status 403.
pub(crate) struct Refusal {
    pub code: &'static str,
    pub message: &'static str,
    /// More elements of the error document.
    pub extra: String,
}

fn refuse<T>(code: &'static str, message: &'static str) -> Result<T, Refusal> {
    Err(Refusal { code, message, extra: String::new() })
}

const MAX_SKEW_S: i64 = 15 * 60;

pub(crate) struct Keyring {
    keys: RwLock<HashMap<String, (SecretKey, Option<String>)>>,
}

impl Keyring {
    pub fn new(keys: &[AccessKey]) -> Self {
        let ring = Self { keys: RwLock::default() };
        keys.iter().for_each(|key| ring.add(key));
        ring
    }

    pub fn add(&self, key: &AccessKey) {
        let entry = (SecretKey::new(&key.secret_key), key.security_token.clone());
        self.keys.write().unwrap().insert(key.access_key.clone(), entry);
    }

    pub fn remove(&self, access_key: &str) -> bool {
        self.keys.write().unwrap().remove(access_key).is_some()
    }

    pub fn verify(&self, request: &Request, now_ms: i64) -> Result<(), Refusal> {
        let (scheme, access_key, signature) = authorization(request)?;
        verify_date(request, scheme, now_ms)?;
        let keys = self.keys.read().unwrap();
        let Some((secret_key, token)) = keys.get(access_key) else {
            return refuse(
                "InvalidAccessKeyId",
                "The access key ID you provided does not exist in our records.",
            );
        };
        let sent = request.header(&format!("{}security-token", scheme.header_prefix()));
        match (token.as_deref(), sent) {
            (None, None) => {}
            (Some(token), Some(sent)) if token == sent => {}
            (Some(_), None) => {
                return refuse("InvalidAccessKeyId", "The temporary access key needs its token.");
            }
            _ => return refuse("InvalidToken", "The security token is not that of the access key."),
        }
        let place = &request.place;
        // The root of a bucket is signed as "/bucket/" by most clients, also where the request line says "/bucket".
        let with_slash = format!("{}/", place.signed_path);
        let paths: &[&str] = if place.key.is_none() && !place.signed_path.ends_with('/') {
            &[&place.signed_path, &with_slash]
        } else {
            &[&place.signed_path]
        };
        let mut text = String::new();
        for path in paths {
            let resource = signing::canonical_resource(path, &request.raw_query);
            text = signing::string_to_sign(scheme, &request.method, &request.headers, &resource);
            if secret_key.signed(&text, signature) {
                return Ok(());
            }
        }
        Err(Refusal {
            code: "SignatureDoesNotMatch",
            message: "The request signature we calculated does not match the signature you provided.",
            // As Amazon's servers do: a client's author sees at once what is different.
            extra: xml::element("StringToSign", &text),
        })
    }
}

fn authorization(request: &Request) -> Result<(Scheme, &str, &str), Refusal> {
    let parsed = request.header("authorization").and_then(|value| {
        let (word, rest) = value.split_once(' ')?;
        let scheme = match word {
            "OBS" => Scheme::Obs,
            "AWS" => Scheme::Aws,
            _ => return None,
        };
        let (access_key, signature) = rest.split_once(':')?;
        Some((scheme, access_key, signature))
    });
    match parsed {
        Some(parsed) => Ok(parsed),
        None => refuse("AccessDenied", "The Authorization header is missing or malformed."),
    }
}

fn verify_date(request: &Request, scheme: Scheme, now_ms: i64) -> Result<(), Refusal> {
    let date = request
        .header(&format!("{}date", scheme.header_prefix()))
        .or_else(|| request.header("date"))
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .and_then(|date| date.duration_since(UNIX_EPOCH).ok());
    let Some(date) = date else {
        return refuse("AccessDenied", "A valid Date or x-obs-date header is required.");
    };
    if (date.as_secs() as i64 - now_ms.div_euclid(1000)).abs() > MAX_SKEW_S {
        return refuse(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        );
    }
    Ok(())
}
