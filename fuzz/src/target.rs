//! Endpoint, addressing, bucket, key and upload id, separated by NUL, against an encoder and a decoder written here.

use obsabort::fuzzing::{Addressing, Bucket, parse_endpoint};

pub fn run(data: &[u8]) {
    let mut parts = data.splitn(5, |byte| *byte == 0);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (endpoint, addressing, bucket, key, upload_id) = (text(), text(), text(), text(), text());
    let Ok(endpoint) = parse_endpoint(&endpoint) else { return };
    let addressing = match addressing.as_str() {
        "virtual-host" => Addressing::VirtualHost,
        "path" => Addressing::Path,
        "custom" => Addressing::CustomDomain,
        _ => Addressing::Auto,
    };
    let addressed = Bucket::new(&endpoint, addressing, None, &bucket);
    if !bucket_is_legal(&bucket) {
        assert!(addressed.is_err(), "bucket {bucket:?}");
        return;
    }
    let Ok(addressed) = addressed else {
        assert!(endpoint.host().len() + bucket.len() >= 253, "bucket {bucket:?} at {endpoint:?}");
        return;
    };
    let target = addressed.upload_target(&key, &upload_id);
    let legal = (1..=1024).contains(&key.len())
        && (1..=1024).contains(&upload_id.len())
        && upload_id.trim_matches(is_white_or_invisible) == upload_id
        && !upload_id.chars().any(char::is_control);
    assert_eq!(target.is_ok(), legal, "{key:?} {upload_id:?}");
    let Ok(target) = target else { return };

    // What is sent: no byte that ends a line, a target or a query early.
    let sent = &target.request_target;
    assert!(sent.bytes().all(|b| b.is_ascii_graphic() && b != b'#'), "{sent:?}");
    let (path, query) = sent.split_once('?').expect("a query");
    assert!(!query.contains(['?', '&']) && !path.contains('?'), "{sent:?}");
    let id = query.strip_prefix("uploadId=").expect("the upload id");
    // An empty one, or none, deletes the object on real servers.
    assert!(!id.is_empty());
    assert_eq!(percent_decoded(id), upload_id.as_bytes());

    let path_style = addressed.addressing() == Addressing::Path;
    let path_key =
        if path_style { path.strip_prefix(&format!("/{bucket}/")) } else { path.strip_prefix('/') };
    let path_key = path_key.expect("the key's place");
    assert_eq!(percent_decoded(path_key), key.as_bytes());
    assert_eq!((path_key, id), (percent_encoded(&key).as_str(), percent_encoded(&upload_id).as_str()));

    // What is signed: the key as it is sent, the upload id as it is.
    let custom = addressing == Addressing::CustomDomain;
    let owner = if custom { endpoint.host() } else { &bucket };
    assert_eq!(target.canonical_resource, format!("/{owner}/{path_key}?uploadId={upload_id}"));

    let port = endpoint.authority().strip_prefix(endpoint.host()).expect("it begins with the host");
    let host = if path_style || custom {
        endpoint.host().to_owned()
    } else {
        format!("{bucket}.{}", endpoint.host())
    };
    assert_eq!(target.origin.authority(), format!("{host}{port}"));
    match addressing {
        Addressing::Path => assert!(path_style),
        Addressing::VirtualHost | Addressing::CustomDomain => assert!(!path_style),
        Addressing::Auto => {
            let dots = endpoint.is_https() && bucket.contains('.');
            assert_eq!(path_style, is_address(endpoint.host()) || dots);
        }
    }

    let page = addressed.uploads_target(&key, &upload_id, "", true);
    assert!(page.request_target.bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
    let prefix = page.request_target.split('&').find_map(|p| p.strip_prefix("prefix=")).expect("a prefix");
    assert_eq!(percent_decoded(prefix), key.as_bytes());
    assert_eq!(page.canonical_resource, format!("/{owner}/?uploads"));
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok()
}

fn bucket_is_legal(bucket: &str) -> bool {
    let labels: Vec<&str> = bucket.split('.').collect();
    let digits = |label: &&str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit());
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| b"abcdefghijklmnopqrstuvwxyz0123456789-.".contains(&b))
        && !bucket.starts_with(['-', '.'])
        && !bucket.ends_with(['-', '.'])
        && labels.iter().all(|label| !label.is_empty())
        && !(labels.len() == 4 && labels.iter().all(digits))
}

fn percent_encoded(text: &str) -> String {
    const PLAIN: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    let one = |byte: u8| match PLAIN.bytes().any(|plain| plain == byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut pieces = text.split('%');
    let mut out = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        out.push(u8::from_str_radix(&piece[..2], 16).expect("two digits"));
        out.extend_from_slice(&piece.as_bytes()[2..]);
    }
    out
}

/// White space by Unicode, and what is copied along with text as invisibly.
fn is_white_or_invisible(c: char) -> bool {
    c.is_whitespace()
        || "\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{feff}".contains(c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2060}'..='\u{206f}').contains(&c)
}
