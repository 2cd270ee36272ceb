//! TLS: each failure says which, nothing is sent before the server is known, and no plain answer passes for one.

use obs_local::{End, Fault, Options, TlsVersions};

use super::identity::Identity;
use super::table::{Row, row};
use support::code::*;

/// No request goes out.
fn refused(name: &'static str, identity: fn() -> Identity) -> Row {
    row(name).tls(identity).gives(TLS, 0, 0).within_ms(3000)
}

/// In the handshake, for ever.
fn in_the_handshake(name: &'static str, fault: Fault) -> Row {
    row(name)
        .tls(Identity::good)
        .fault(fault.at_accept().always())
        .max_attempts(2)
        .gives(TLS, 0, 0)
        .within_ms(3000)
}

fn only(versions: TlsVersions, options: Options) -> Options {
    let tls = options.tls.map(|tls| obs_local::Tls { versions, ..tls });
    Options { tls, ..options }
}

fn wants_a_certificate(options: Options) -> Options {
    let tls = options.tls.map(|tls| obs_local::Tls { client_ca: Some(tls.certificate.clone()), ..tls });
    Options { tls, ..options }
}

pub fn rows() -> Vec<Row> {
    vec![
        row("a good certificate").tls(Identity::good).gives(OK, 204, 1),
        row("TLS 1.2")
            .tls(Identity::good)
            .options(|options| only(TlsVersions::Only12, options))
            .gives(OK, 204, 1),
        row("TLS 1.3")
            .tls(Identity::good)
            .options(|options| only(TlsVersions::Only13, options))
            .gives(OK, 204, 1),
        refused("an expired certificate", Identity::expired).says("expired on Sun, 03 Feb 2002"),
        refused("a certificate that is not valid yet", Identity::not_yet_valid).says("not valid yet"),
        refused("a certificate for another name", Identity::wrong_name).says("not for the name 127.0.0.1"),
        refused("an unknown issuer", Identity::unknown_issuer).says("unknown issuer"),
        refused("an issuer that bears a trusted name, with another key", Identity::forged_issuer),
        refused("a self-signed certificate that nobody trusts", Identity::self_signed).says("unknown issuer"),
        refused("a server certificate marked as a CA", Identity::authority_as_server).says("CA:TRUE"),
        refused("the server wants a client certificate, TLS 1.2", Identity::good)
            .options(|options| only(TlsVersions::Only12, wants_a_certificate(options)))
            .says("client certificate"),
        // In TLS 1.3 the server says so after the client's handshake is done.
        row("the server wants a client certificate, TLS 1.3")
            .tls(Identity::good)
            .options(|options| only(TlsVersions::Only13, wants_a_certificate(options)))
            .not_journaled()
            .gives_whatever_the_attempts(TLS, 0)
            .says("client certificate"),
        row("TLS on a plain port")
            .config(|config, server| {
                config
                    .endpoint(&server.unwrap().endpoint().replace("http:", "https:"))
                    .ca_file(&Identity::unused_ca())
            })
            .max_attempts(2)
            .gives(TLS, 0, 0)
            .says("answered in plain HTTP"),
        row("plain on a TLS port")
            .tls(Identity::good)
            .config(|config, server| config.endpoint(&server.unwrap().endpoint().replace("https:", "http:")))
            .max_attempts(2)
            .not_journaled()
            .gives(PROTOCOL, 0, 2)
            .says("give an https endpoint"),
        in_the_handshake("closed before the handshake", Fault::silence()),
        in_the_handshake(
            "reset in the handshake",
            Fault::silence().delay(std::time::Duration::from_millis(200)).then(End::Reset),
        ),
        in_the_handshake("half-closed before the handshake", Fault::silence().then(End::HalfClose)),
        in_the_handshake(
            "a greeting in place of the handshake",
            Fault::raw("220 mail.example.com ESMTP\r\n"),
        ),
        in_the_handshake("half a handshake record", Fault::raw(*b"\x16\x03\x03\x40\0\x02\0")),
        in_the_handshake("an alert in place of the handshake", Fault::raw(*b"\x15\x03\x03\0\x02\x02\x50")),
        row("silent in the handshake")
            .tls(Identity::good)
            .fault(Fault::silence().at_accept().then(End::Stall).always())
            .timeout_ms(700)
            .gives(TIMEOUT, 0, 0)
            .spends_its_budget(),
        row("closed in the handshake, once")
            .tls(Identity::good)
            .fault(Fault::silence().at_accept())
            .gives(OK, 204, 1),
        row("closed in the head, with close_notify")
            .tls(Identity::good)
            .fault(Fault::real().cut(30).then(End::Close))
            .gives(OK, 404, 2),
        row("closed in the head, without close_notify")
            .tls(Identity::good)
            .fault(Fault::real().cut(30).then(End::Drop))
            .gives(OK, 404, 2),
        row("closed without a byte, without close_notify, for ever")
            .tls(Identity::good)
            .fault(Fault::silence().then(End::Drop).always())
            .max_attempts(2)
            .gives(IO, 0, 2),
        row("a body without length, cut without close_notify")
            .tls(Identity::good)
            .fault(Fault::answer(403).error("AccessDenied").without("Content-Length").then(End::Drop))
            .gives(ACCESS_DENIED, 403, 1),
        row("closed after 204, without close_notify")
            .tls(Identity::good)
            .fault(Fault::real().then(End::Drop))
            .gives(OK, 204, 1),
        row("two 204 at once, with TLS")
            .tls(Identity::good)
            .fault(
                Fault::raw("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
                    .executed()
                    .then(End::KeepAlive),
            )
            .gives(OK, 204, 1)
            .next_call_is_told_the_truth(),
        row("a head that drips, with TLS")
            .tls(Identity::good)
            .fault(Fault::real().drip(1, std::time::Duration::from_millis(500)))
            .timeout_ms(1000)
            .gives(TIMEOUT, 0, 1)
            .spends_its_budget(),
    ]
}
