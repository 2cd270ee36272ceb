//! The state machine with its time passed in: single steps, and whole sweeps in a simulation of workers and service.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// The state, and an instant well after its start.
fn new() -> (State, Instant) {
    let now = Instant::now();
    (State::new(now), now + Duration::from_millis(1))
}

const MS: fn(u64) -> Duration = Duration::from_millis;

/// So many responses, one each millisecond from `now`, `of` ten refused.
fn respond(state: &mut State, now: &mut Instant, count: u32, of: u32) {
    for n in 0..count {
        *now += MS(1);
        state.observe(*now, *now, (n % 10 < of).then_some(1));
    }
}

#[test]
fn no_limit_as_long_as_little_is_refused() {
    let (mut state, mut now) = new();
    respond(&mut state, &mut now, 2000, 1);
    assert_eq!(state.rate, None);
    for _ in 0..1000 {
        assert_eq!(state.try_acquire(&mut None, 0, now), Ok(()));
    }
}

#[test]
fn a_cut_leaves_what_was_accepted() {
    let (mut state, mut now) = new();
    respond(&mut state, &mut now, 100, 0);
    let sent_before = now;
    respond(&mut state, &mut now, 70, 4);
    let rate = state.rate.expect("a rate");
    assert!((600.0..900.0).contains(&rate), "of 1000 a second: {rate}");
    for _ in 0..100 {
        state.observe(now, sent_before, Some(1));
    }
    assert_eq!(state.rate, Some(rate), "requests that were under way are not held against the new rate");
}

#[test]
fn a_rate_is_kept_to_and_grows() {
    let (mut state, now) = new();
    (state.rate, state.due) = (Some(100.0), now);
    let mut ticket = None;
    let first = (0..1000).filter(|ms| state.try_acquire(&mut ticket, 0, now + MS(*ms)).is_ok()).count();
    assert!((98..=102).contains(&first), "{first}");
    let mut at = now + MS(1000);
    for _ in 0..300 {
        at += MS(10);
        state.observe(at, at, None);
    }
    assert_eq!(state.rate, None, "a rate that is not used any more");
}

#[test]
fn nearly_all_refused_is_a_search() {
    let (mut state, mut now) = new();
    respond(&mut state, &mut now, 100, 0);
    respond(&mut state, &mut now, 200, 10);
    assert_eq!(state.rate, Some(MIN_RATE), "down with each refusal: {state:?}");
    let mut rates = vec![MIN_RATE];
    while state.search.is_some() {
        now += MS(1);
        state.observe(now, now, None);
        rates.push(state.rate.expect("a rate"));
    }
    assert!(rates.windows(2).all(|pair| pair[1] > pair[0] * 1.9), "up with each response: {rates:?}");
    assert!(rates.len() > 3, "{rates:?}");
}

#[test]
fn cuts_that_do_not_help_are_undone() {
    let (mut state, mut now) = new();
    respond(&mut state, &mut now, 30, 3);
    assert!(state.rate.is_some(), "{state:?}");
    respond(&mut state, &mut now, 2000, 3);
    assert_eq!(state.rate, None, "{state:?}");
    assert!((0.4..0.5).contains(&state.tolerance), "{state:?}");
    respond(&mut state, &mut now, 200, 0);
    assert!((state.tolerance - TOLERATED_SHARE).abs() < 1e-9, "tolerated as long as it lasts");
}

#[test]
fn a_quiet_moment_before_the_last_attempts() {
    let (mut state, now) = new();
    (state.rate, state.due, state.taken) = (Some(100.0), now, now);
    for (refused, waits) in [(0, 10), (1, 10), (2, 20), (3, 100), (9, 100)] {
        let wait = state.try_acquire(&mut None, refused, now).expect_err("a wait");
        state.line.clear();
        assert_eq!(wait, MS(waits), "{refused}");
    }
    state.rate = Some(1.0);
    assert_eq!(state.try_acquire(&mut None, 3, now), Err(Duration::from_secs_f64(MAX_QUIET_SECONDS)));
}

#[test]
fn retry_after_holds_up_to_ten_minutes() {
    let (mut state, now) = new();
    assert!(state.hold(now, Duration::from_secs(3)), "worth a line");
    assert!(!state.hold(now + MS(5), Duration::from_secs(3)), "the others say the same");
    assert!(state.try_acquire(&mut None, 0, now + MS(2900)).is_err());
    state.line.clear();
    assert!(state.try_acquire(&mut None, 0, now + MS(3100)).is_ok());
    assert!(!state.hold(now + MS(3100), Duration::ZERO), "0 is no wait");
    for (seconds, is_too_long) in [(600, false), (601, true), (u64::MAX, true)] {
        let mut state = State::new(now);
        state.hold(now, Duration::from_secs(seconds));
        assert_eq!(state.held_too_long.is_some(), is_too_long, "{seconds}");
    }
}

#[test]
fn turns_come_in_the_order_of_arrival() {
    let (mut state, start) = new();
    (state.rate, state.due) = (Some(1.0), start);
    let mut places = [None, None, None];
    for ticket in &mut places {
        assert!(state.try_acquire(ticket, 0, start).is_err());
    }
    let late = start + Duration::from_secs(30);
    let [first, second, third] = &mut places;
    assert!(state.try_acquire(third, 0, late).is_err() && state.try_acquire(second, 0, late).is_err());
    assert!(state.try_acquire(&mut None, 0, late).is_err(), "nor for who comes now");
    assert!(state.try_acquire(first, 0, late).is_ok() && first.is_none());
}

/// How a service refuses.
#[derive(Clone, Debug)]
enum Service {
    /// With this probability, whatever the rate.
    Noise(f64),
    /// A token bucket: so many a second, so many at once; from a time on another rate.
    Limit {
        rate: f64,
        burst: f64,
        then: Option<(f64, f64)>,
    },
    /// Everything, in this time.
    Outage(f64, f64),
    All(Vec<Service>),
}

impl Service {
    fn limit(rate: f64, burst: f64) -> Service {
        Service::Limit { rate, burst, then: None }
    }

    /// `bucket`: tokens, and when they were counted; of the one limit that there is.
    fn accepts(&self, at: f64, bucket: &mut (f64, f64), random: &mut Random) -> bool {
        match self {
            Service::Noise(share) => random.unit() >= *share,
            Service::Outage(from, until) => !(*from..*until).contains(&at),
            Service::All(all) => all.iter().all(|each| each.accepts(at, bucket, random)),
            Service::Limit { rate, burst, then } => {
                let rate = then.filter(|(from, _)| at >= *from).map_or(*rate, |(_, rate)| rate);
                bucket.0 = (bucket.0 + (at - bucket.1) * rate).min(*burst);
                bucket.1 = at;
                let accepts = bucket.0 >= 1.0;
                bucket.0 -= f64::from(u8::from(accepts));
                accepts
            }
        }
    }
}

/// xorshift64*: the same sequence for the same seed.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A worker begins an upload, or is back for another attempt.
    Asks,
    /// A request arrives at the service.
    Arrives {
        sent: f64,
        latency: f64,
    },
    Responds {
        sent: f64,
        accepted: bool,
    },
    /// The first in line looks whether it is its turn.
    Turn,
}

/// A sweep.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    count: u32,
    workers: usize,
    /// Seconds, give or take a fifth.
    latency: f64,
}

#[derive(Debug, Default)]
struct Outcome {
    seconds: f64,
    sent: u32,
    refused: u32,
    failed: u32,
}

impl Outcome {
    fn share(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.sent)
    }
}

struct Simulation {
    now: f64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    details: Vec<Event>,
    /// How often each worker's upload was refused.
    refused: Vec<u32>,
    line: VecDeque<usize>,
    /// Until then nobody looks whether it is the first one's turn.
    next_turn: f64,
}

impl Sweep {
    /// `obeys`: the workers have a limiter.
    fn run(self, service: &Service, obeys: bool, seed: u64) -> Outcome {
        let Sweep { count, workers, latency } = self;
        let start = Instant::now();
        let time = |seconds: f64| start + Duration::from_secs_f64(seconds + 0.001);
        let mut state = State::new(start);
        let mut random = Random(seed * 2 + 1);
        let mut result = Outcome::default();
        let (mut begun, mut bucket) = (0, (f64::INFINITY, 0.0));
        let mut sweep = Simulation {
            now: 0.0,
            events: BinaryHeap::new(),
            details: Vec::new(),
            refused: vec![0; workers],
            line: VecDeque::new(),
            next_turn: 0.0,
        };
        for worker in 0..workers.min(count as usize) {
            begun += 1;
            sweep.at(0.001 * random.unit(), worker, Event::Asks);
        }
        while let Some(Reverse((at, order, worker))) = sweep.events.pop() {
            sweep.now = at as f64 / 1e9;
            let now = sweep.now;
            match sweep.details[order as usize] {
                Event::Asks => sweep.line.push_back(worker),
                Event::Turn => sweep.next_turn = 0.0,
                Event::Arrives { sent, latency } => {
                    let accepted = service.accepts(now, &mut bucket, &mut random);
                    sweep.at(sent + latency, worker, Event::Responds { sent, accepted });
                }
                Event::Responds { sent, accepted } => {
                    sweep.refused[worker] += u32::from(!accepted);
                    let refused = sweep.refused[worker];
                    if obeys {
                        state.observe(time(now), time(sent), (!accepted).then_some(refused));
                    }
                    result.refused += u32::from(!accepted);
                    result.seconds = now;
                    if accepted || refused == 4 {
                        result.failed += u32::from(!accepted);
                        sweep.refused[worker] = 0;
                        if begun < count {
                            begun += 1;
                            sweep.at(now + 50e-6, worker, Event::Asks);
                        }
                    } else {
                        let most = 0.1 * f64::from(1 << (refused - 1));
                        sweep.at(now + most * random.unit().midpoint(1.0), worker, Event::Asks);
                    }
                }
            }
            sweep.take_turns(&mut state, time, &mut random, latency, &mut result);
        }
        result
    }
}

impl Simulation {
    fn at(&mut self, seconds: f64, worker: usize, event: Event) {
        let order = self.details.len() as u64;
        self.events.push(Reverse(((seconds * 1e9) as u64, order, worker)));
        self.details.push(event);
    }

    /// Those in line send, as far as it is their turn.
    fn take_turns(
        &mut self,
        state: &mut State,
        time: impl Fn(f64) -> Instant,
        random: &mut Random,
        latency: f64,
        result: &mut Outcome,
    ) {
        while let Some(first) = self.line.front().copied() {
            let turn = state.try_acquire(&mut None, self.refused[first], time(self.now));
            state.line.clear();
            if let Err(wait) = turn {
                let next = self.now + wait.as_secs_f64().min(0.1);
                if self.next_turn == 0.0 || next < self.next_turn {
                    self.next_turn = next;
                    self.at(next, first, Event::Turn);
                }
                return;
            }
            self.line.pop_front();
            result.sent += 1;
            let latency = latency * (0.8 + 0.4 * random.unit());
            let sent = self.now;
            self.at(sent + latency / 2.0, first, Event::Arrives { sent, latency });
        }
    }
}

const NEAR: f64 = 0.001;
const FAR: f64 = 0.02;

/// The medians over some seeds: seconds, share of refused requests, and the sum of what failed.
fn medians(sweep: Sweep, service: &Service, obeys: bool) -> (f64, f64, u32) {
    const SEEDS: u64 = 3;
    let outcomes: Vec<Outcome> = (0..SEEDS).map(|seed| sweep.run(service, obeys, seed)).collect();
    let median = |figure: fn(&Outcome) -> f64| {
        let mut figures: Vec<f64> = outcomes.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let failed = outcomes.iter().map(|outcome| outcome.failed).sum();
    (median(|outcome| outcome.seconds), median(Outcome::share), failed)
}

#[test]
fn random_refusals_cost_little() {
    for (share, workers, latency, rate) in [
        (0.01, 32, FAR, 0.9),
        (0.05, 32, FAR, 0.7),
        (0.1, 32, FAR, 0.7),
        (0.1, 8, FAR, 0.6),
        (0.1, 256, 0.2, 0.6),
        (0.1, 32, NEAR, 0.5),
        (0.3, 8, FAR, 0.1),
    ] {
        let (sweep, service) = (Sweep { count: 1000, workers, latency }, Service::Noise(share));
        let (free, ..) = medians(sweep, &service, false);
        let (seconds, ..) = medians(sweep, &service, true);
        println!(
            "{share} {workers} {latency}: {seconds:.2} s, {free:.2} s without a limiter, {:.2}",
            free / seconds
        );
        assert!(free / seconds >= rate, "{share} {sweep:?}: {seconds} s, {free} s without a limiter");
    }
}

#[test]
fn a_limit_is_reached_and_no_upload_fails() {
    for (rate, burst, count, workers, latency, times, most_refused) in [
        (200.0, 50.0, 2000, 32, FAR, 1.1, 0.13),
        (200.0, 50.0, 2000, 8, FAR, 1.1, 0.13),
        (200.0, 50.0, 2000, 32, NEAR, 1.1, 0.13),
        (200.0, 20.0, 2000, 32, FAR, 1.3, 0.13),
        (2000.0, 200.0, 4000, 256, FAR, 1.1, 0.13),
        (20.0, 2.0, 60, 8, NEAR, 1.3, 0.3),
        (20.0, 2.0, 1000, 8, FAR, 1.6, 0.13),
        (20.0, 1.0, 1000, 32, FAR, 2.0, 0.13),
        (20.0, 1.0, 1000, 2, NEAR, 2.0, 0.13),
        (2.0, 1.0, 200, 1, NEAR, 2.0, 0.2),
        (2.0, 1.0, 200, 8, FAR, 2.0, 0.2),
        (2.0, 1.0, 200, 32, 0.2, 2.0, 0.3),
    ] {
        let sweep = Sweep { count, workers, latency };
        let (seconds, share, failed) = medians(sweep, &Service::limit(rate, burst), true);
        let ideal = (f64::from(count) - burst) / rate;
        println!(
            "{rate}/s, {burst}, {sweep:?}: {:.2} of the ideal time, {share:.3} refused",
            seconds / ideal
        );
        assert_eq!(failed, 0, "{rate} {burst} {sweep:?}");
        assert!(seconds / ideal < times, "{rate} {burst} {sweep:?}: {seconds} s of {ideal}");
        assert!(share < most_refused, "{rate} {burst} {sweep:?}: {share}");
    }
}

#[test]
fn a_limit_that_changes_is_followed_and_an_outage_survived() {
    let changing = |rate, then| Service::Limit { rate, burst: 20.0, then: Some((3.0, then)) };
    for (service, count, workers, most_seconds) in [
        (changing(200.0, 20.0), 1000, 32, 40.0),
        (changing(20.0, 200.0), 1000, 32, 15.0),
        (changing(20.0, 1e9), 3000, 32, 15.0),
        (Service::Outage(0.3, 2.3), 1000, 32, 12.0),
        (Service::Outage(0.3, 2.3), 1000, 8, 20.0),
        (Service::Outage(0.0, 2.0), 1000, 32, 12.0),
        (Service::All(vec![Service::limit(200.0, 50.0), Service::Noise(0.02)]), 2000, 32, 12.0),
    ] {
        let sweep = Sweep { count, workers, latency: FAR };
        let (seconds, share, failed) = medians(sweep, &service, true);
        println!("{service:?} {sweep:?}: {seconds:.2} s, {share:.3} refused");
        assert_eq!(failed, 0, "{service:?} {sweep:?}");
        assert!(seconds < most_seconds, "{service:?} {sweep:?}: {seconds} s");
    }
}
