//! The budget bounds the call whatever happens, and the connect timeout bounds each attempt to connect.

use std::net::TcpListener;
use std::time::Duration;

use obs_local::{End, Fault};

use super::identity::Identity;
use super::table::{Row, nobody, own, row};
use support::Config;
use support::code::*;
use support::peer::{Nobody, full, refusing, until_closed};

/// Accepts, and never speaks TLS.
fn mute_with_tls() -> Nobody {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    Nobody { endpoint, _held: Box::new(listener) }
}

/// `.invalid` resolves nowhere, by RFC 6761.
fn unknown() -> Nobody {
    Nobody { endpoint: "http://nonexistent.invalid".into(), _held: Box::new(()) }
}

fn hasty(config: Config, _: Option<&obs_local::Server>) -> Config {
    config.connect_timeout_ms(300)
}

pub fn rows() -> Vec<Row> {
    vec![
        nobody("connection refused, and retried", refusing)
            .gives(CONNECT, 0, 0)
            .says("attempt 4 of 4")
            .within_ms(3000),
        nobody("connection refused, once", refusing).max_attempts(1).gives(CONNECT, 0, 0).says("refused"),
        nobody("connection refused, with TLS", || {
            let nobody = refusing();
            Nobody { endpoint: nobody.endpoint.replace("http:", "https:"), ..nobody }
        })
        .max_attempts(2)
        .gives(CONNECT, 0, 0),
        nobody("a name that does not resolve", unknown)
            .config(|config, _| {
                config.addressing(support::OBS_ABORT_ADDRESSING_PATH).connect_timeout_ms(3000)
            })
            .max_attempts(2)
            .gives(RESOLVE, 0, 0)
            .says("nonexistent.invalid")
            .within_ms(9000),
        nobody("SYN dropped: the connect timeout, and retried", full)
            .config(hasty)
            .max_attempts(2)
            .gives(CONNECT, 0, 0)
            .says("attempt 2 of 2")
            .at_least_ms(600)
            .within_ms(2500),
        nobody("SYN dropped: the budget", full).timeout_ms(700).gives(TIMEOUT, 0, 0).spends_its_budget(),
        nobody("SYN dropped: the budget, in the second attempt", full)
            .config(|config, _| config.connect_timeout_ms(500))
            .timeout_ms(800)
            .gives_whatever_the_attempts(TIMEOUT, 0)
            .spends_its_budget(),
        nobody("TLS never answers: the connect timeout, and retried", mute_with_tls)
            .config(|config, _| config.ca_file(&Identity::unused_ca()).connect_timeout_ms(300))
            .max_attempts(2)
            .gives(TLS, 0, 0)
            .says("attempt 2 of 2")
            .at_least_ms(600)
            .within_ms(2500),
        nobody("TLS never answers: the budget", mute_with_tls)
            .config(|config, _| config.ca_file(&Identity::unused_ca()))
            .timeout_ms(700)
            .gives(TIMEOUT, 0, 0)
            .spends_its_budget(),
        row("the connect timeout does not bound the answer")
            .config(hasty)
            .fault(Fault::real().delay(Duration::from_millis(1000)))
            .gives(OK, 204, 1)
            .at_least_ms(1000),
        row("a head that drips one byte a second")
            .fault(Fault::real().drip(1, Duration::from_secs(1)))
            .timeout_ms(2000)
            .gives(TIMEOUT, 0, 1)
            .spends_its_budget(),
        row("a head that drips one byte each 20 ms")
            .fault(
                Fault::raw(format!("HTTP/1.1 204 No Content\r\nX: {}\r\n\r\n", "x".repeat(200)))
                    .drip(1, Duration::from_millis(20)),
            )
            .timeout_ms(1000)
            .gives(TIMEOUT, 0, 1)
            .spends_its_budget(),
        row("the budget of the call handle, not the client's, is what counts")
            .check(|scene| {
                scene.server().fault(Fault::silence().then(End::Stall));
                let call = support::Call::with_timeout_ms(500);
                let begun = std::time::Instant::now();
                let outcome = scene.client.outcome(Some(&call), "bucket", "k", "i");
                let taken = begun.elapsed();
                assert_eq!(
                    (outcome.code, outcome.http_status, outcome.attempts),
                    (TIMEOUT, 0, 1),
                    "{outcome:?}"
                );
                assert!(
                    taken >= Duration::from_millis(500) && taken < Duration::from_millis(950),
                    "{taken:?}"
                );
            })
            .gives(OK, 204, 1),
        row("the budget runs out in the second attempt")
            .fault(Fault::answer(500))
            .fault(Fault::silence().then(End::Stall))
            .timeout_ms(1000)
            .gives(TIMEOUT, 0, 2)
            .says("500")
            .spends_its_budget(),
        row("a budget of 1 ms")
            .timeout_ms(1)
            .fault(Fault::real().delay(Duration::from_millis(500)))
            .not_journaled()
            .gives_whatever_the_attempts(TIMEOUT, 0)
            .within_ms(450),
        own("a request of 5 KB that nobody reads, and no answer", |_, mut stream| until_closed(&mut stream))
            .config(|config, _| {
                config.credentials(obs_local::ACCESS_KEY, obs_local::SECRET_KEY, Some(&"t".repeat(5000)))
            })
            .timeout_ms(700)
            .gives(TIMEOUT, 0, 1)
            .spends_its_budget(),
    ]
}
