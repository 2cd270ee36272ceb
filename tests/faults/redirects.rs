//! Redirects: 307 and 308 to the same bucket and key at a place that is safe; everything else is the caller's to see.

use obs_local::{AccessKey, Options, Server};

use super::identity::Identity;
use super::table::{Row, row};
use support::Config;
use support::code::*;

/// Not followed: the one request is all that is sent.
fn refused(name: &'static str, status: u16, location: &'static str) -> Row {
    row(name).redirect(status, location).gives(REDIRECT, i32::from(status), 1).connections(1)
}

/// Hosts below one domain, all of them obs-local, reached through it as a proxy.
fn of_a_domain(options: Options) -> Options {
    let token = AccessKey::temporary("TEMPORARY", "secret", "the-security-token");
    let mut access_keys = options.access_keys.clone();
    access_keys.push(token);
    let domains = ["obs.cn-1.hw.test", "obs.cn-2.hw.test", "hw.test", "evil.test"].map(String::from).to_vec();
    Options { domains, access_keys, ..options }
}

fn through_proxy(config: Config, server: Option<&Server>) -> Config {
    config.endpoint("http://obs.cn-1.hw.test").proxy(&server.unwrap().endpoint()).credentials(
        "TEMPORARY",
        "secret",
        Some("the-security-token"),
    )
}

fn of_domain(name: &'static str, location: &'static str) -> Row {
    row(name).options(of_a_domain).config(through_proxy).redirect(307, location)
}

/// Neither the signature nor the token goes there.
fn kept_home(name: &'static str, location: &'static str) -> Row {
    of_domain(name, location).gives(REDIRECT, 307, 1).check(|scene| {
        let journal = scene.server().journal();
        assert_eq!(journal.len(), 1, "a second request went out");
        assert_eq!(journal[0].host, "bucket.obs.cn-1.hw.test");
    })
}

fn followed_home(name: &'static str, location: &'static str) -> Row {
    of_domain(name, location).gives(OK, 204, 2)
}

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("307 to the same place").redirect(307, "http://{here}{target}").gives(OK, 204, 2),
        row("308 to the same place").redirect(308, "http://{here}{target}").gives(OK, 204, 2),
        row("a hop does not count towards max_attempts")
            .redirect(307, "http://{here}{target}")
            .max_attempts(1)
            .gives(OK, 204, 2),
        row("307, then 503, then served")
            .redirect(307, "http://{here}{target}")
            .fault(obs_local::Fault::answer(503))
            .gives(OK, 204, 3),
        row("three hops")
            .redirect(307, "http://{here}{target}")
            .redirect(308, "http://{here}{target}")
            .redirect(307, "http://{here}{target}")
            .max_attempts(1)
            .gives(OK, 204, 4),
        row("four hops")
            .redirect(307, "http://{here}{target}")
            .redirect(307, "http://{here}{target}")
            .redirect(307, "http://{here}{target}")
            .redirect(308, "http://{here}{target}")
            .gives(REDIRECT, 308, 4),
        row("the target encoded in another way")
            .redirect(307, "http://{here}/bucket/dir/a b.tar?uploadId=%30123456789ABCDEF0123456789ABCDEF")
            .gives_whatever_the_attempts(OK, 204),
        row("307 without Location")
            .fault(obs_local::Fault::answer(307))
            .gives(REDIRECT, 307, 1)
            .says("without a Location"),
        row("308 without Location").fault(obs_local::Fault::answer(308)).gives(REDIRECT, 308, 1),
        row("301 without Location").fault(obs_local::Fault::answer(301)).gives(REDIRECT, 301, 1),
        row("the message names the target")
            .redirect(301, "https://obs.cn-south-1.example.com/bucket/")
            .gives(REDIRECT, 301, 1)
            .says("https://obs.cn-south-1.example.com/bucket/"),
        row("301 PermanentRedirect with its code in the body")
            .fault(obs_local::Fault::answer(301).error("PermanentRedirect"))
            .gives(REDIRECT, 301, 1)
            .service_code("PermanentRedirect"),
        refused("307 with an empty Location", 307, ""),
        refused("307 with a Location of white space", 307, "  "),
        row("307 to a path: itself").redirect(307, "{target}").gives(OK, 204, 2).connections(1),
        row("308 to a path: itself").redirect(308, "{target}").gives(OK, 204, 2),
        row("307 to a path, three times")
            .redirect(307, "{target}")
            .redirect(307, "{target}")
            .redirect(307, "{target}")
            .gives(OK, 204, 4),
        row("307 to a path for ever: three are followed")
            .redirect(307, "{target}")
            .redirect(307, "{target}")
            .redirect(307, "{target}")
            .redirect(307, "{target}")
            .gives(REDIRECT, 307, 4)
            .says("after as many redirects as are followed"),
        row("307 to the query alone")
            .redirect(307, "?uploadId=0123456789ABCDEF0123456789ABCDEF")
            .gives(OK, 204, 2),
        row("307 to the last segment of the path")
            .redirect(307, "a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF")
            .gives(OK, 204, 2),
        row("307 to a path by way of its parent")
            .redirect(307, "../dir/./a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF")
            .gives(OK, 204, 2),
        row("307 with a host and without a scheme").redirect(307, "//{here}{target}").gives(OK, 204, 2),
        row("307 with a host and without a scheme, over https")
            .tls(Identity::good)
            .redirect(307, "//{here}{target}")
            .gives(OK, 204, 2),
        refused("307 to another host without a scheme", 307, "//localhost{target}"),
        refused("307 to another port without a scheme", 307, "//127.0.0.1:1{target}"),
        refused("307 to no host without a scheme", 307, "//{target}"),
        refused("307 to three slashes", 307, "///{here}{target}"),
        refused("307 to backslashes", 307, "\\\\{here}{target}"),
        refused("307 to a path without the query", 307, "/bucket/dir/a%20b.tar"),
        refused("307 to another path", 307, "/bucket/dir/x?uploadId=0123456789ABCDEF0123456789ABCDEF"),
        refused(
            "307 to the path of another bucket",
            307,
            "/other/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
        refused("307 to the root alone", 307, "/"),
        refused("307 to a query without an id", 307, "?uploadId="),
        refused("307 to a query in the wrong case", 307, "?uploadid=0123456789ABCDEF0123456789ABCDEF"),
        refused("307 to a segment that is not ours", 307, "b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF"),
        refused("307 to the parent", 307, "../a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF"),
        refused("307 to a fragment alone", 307, "#x"),
        refused("307 to a path with a fragment", 307, "{target}#x"),
        refused("307 to a scheme without slashes", 307, "http:{target}"),
        refused("307 to garbage", 307, "ht!tp://%%%"),
        refused("307 to ftp", 307, "ftp://{here}{target}"),
        refused("307 to another port", 307, "http://127.0.0.1:1{target}"),
        refused("307 to another address", 307, "http://127.0.0.2{target}"),
        refused("307 to a name in place of an address", 307, "http://localhost{target}"),
        refused("307 to another user's part", 307, "http://{here}@127.0.0.2{target}"),
        refused("307 with user info", 307, "http://user:password@{here}{target}"),
        refused("307 that strips the query", 307, "http://{here}/bucket/dir/a%20b.tar"),
        refused("307 that changes the upload id", 307, "http://{here}/bucket/dir/a%20b.tar?uploadId=other"),
        refused("307 that empties the upload id", 307, "http://{here}/bucket/dir/a%20b.tar?uploadId="),
        refused("307 that adds to the query", 307, "http://{here}{target}&versionId=1"),
        refused(
            "307 that changes the case of the query",
            307,
            "http://{here}/bucket/dir/a%20b.tar?uploadid=0123456789ABCDEF0123456789ABCDEF",
        ),
        refused(
            "307 that changes the key",
            307,
            "http://{here}/bucket/dir/other?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
        refused(
            "307 that changes the bucket",
            307,
            "http://{here}/other/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
        refused("307 to the root", 307, "http://{here}/"),
        refused("307 with a fragment", 307, "http://{here}{target}#x"),
        row("307 from https to http")
            .tls(Identity::good)
            .redirect(307, "http://{here}{target}")
            .gives(REDIRECT, 307, 1)
            .says("https to http"),
        row("307 from https to https")
            .tls(Identity::good)
            .redirect(307, "https://{here}{target}")
            .gives(OK, 204, 2),
        // OBS itself: 307 TemporaryRedirect while the DNS catches up.
        followed_home(
            "307 to another region of the domain",
            "http://bucket.obs.cn-2.hw.test/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        )
        .check(|scene| {
            let journal = scene.server().journal();
            assert_eq!(journal[1].host, "bucket.obs.cn-2.hw.test");
            assert_ne!(journal[1].header("x-obs-security-token"), None);
        }),
        kept_home(
            "307 to another domain",
            "http://bucket.obs.evil.test/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
        kept_home(
            "307 to a domain that ends as ours does",
            "http://bucket.obs.evilhw.test/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
        kept_home(
            "307 to a domain that begins as ours does",
            "http://bucket.obs.cn-1.hw.test.evil.test/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
        kept_home(
            "307 to another bucket's host",
            "http://other.obs.cn-2.hw.test/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
        kept_home(
            "307 to a host without the bucket",
            "http://obs.cn-2.hw.test/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
        kept_home(
            "307 to an address",
            "http://127.0.0.1/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
        kept_home(
            "307 to another port of the domain",
            "http://bucket.obs.cn-2.hw.test:8080/dir/a%20b.tar?uploadId=0123456789ABCDEF0123456789ABCDEF",
        ),
    ];
    for (name, status) in [
        ("300", 300),
        ("301", 301),
        ("302", 302),
        ("303", 303),
        ("304", 304),
        ("305", 305),
        ("306", 306),
        ("399", 399),
    ] {
        rows.push(refused(name, status, "http://{here}{target}"));
    }
    rows
}
