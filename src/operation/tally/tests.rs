use super::*;
use crate::obs::parts::Parts;
use crate::obs::response::ServiceError;

fn listed(n: u64) -> ListedUpload {
    ListedUpload { key: format!("k/{n}"), is_decoded: true, upload_id: format!("id{n}"), initiated: None }
}

fn outcome(n: u64, code: Code, may_have_succeeded: bool) -> Outcome {
    let ListedUpload { key, upload_id, .. } = listed(n);
    Outcome {
        upload: Upload { key, upload_id, ..Upload::default() },
        code,
        http_status: 204,
        message: None,
        service: ServiceError::default(),
        attempts: 1,
        begun: true,
        may_have_succeeded,
        kept: None,
    }
}

/// A pass that lists these uploads, each with the outcome of its abort.
fn pass(tally: &mut Tally, uploads: impl IntoIterator<Item = (u64, Code)>) {
    for (n, code) in uploads {
        assert_ne!(tally.list(&listed(n)), Listed::Settled, "{n}");
        assert_eq!(tally.list(&listed(n)), Listed::Settled, "one abort for each upload and pass: {n}");
        tally.record(&outcome(n, code, code == Code::Io));
    }
}

fn counts(report: &Report) -> [u64; 4] {
    [report.aborted, report.missing, report.failed, report.kept]
}

/// The passes of a sweep until no other one is needed, and its report.
fn sweep(passes: &[&[(u64, Code)]]) -> Report {
    let mut tally = Tally::new();
    for (n, uploads) in passes.iter().enumerate() {
        if n > 0 {
            assert!(tally.needs_another_pass(), "before pass {n}");
            tally.begin_pass();
        }
        pass(&mut tally, uploads.iter().copied());
    }
    assert!(!tally.needs_another_pass() && tally.unreached() == 0);
    tally.into_report(true)
}

const OK: Code = Code::Ok;
const MISSING: Code = Code::NoSuchUpload;
const DENIED: Code = Code::AccessDenied;
const LOST: Code = Code::Io;

#[test]
fn the_last_that_is_known_counts() {
    for (passes, want) in [
        (&[&[][..]][..], [0, 0, 0, 0]),
        (&[&[(1, OK), (2, MISSING)], &[]], [1, 1, 0, 0]),
        // Refused, and nothing was aborted: another listing would show the same.
        (&[&[(1, DENIED), (2, DENIED)]], [0, 0, 2, 0]),
        (&[&[(1, OK), (2, DENIED)], &[(2, DENIED)]], [1, 0, 1, 0]),
        (&[&[(1, OK), (2, DENIED)], &[(2, OK)], &[]], [2, 0, 0, 0]),
        // Refused, and gone all the same: somebody else's work.
        (&[&[(1, OK), (2, DENIED)], &[]], [1, 1, 0, 0]),
        // The response was lost, and the listing tells.
        (&[&[(1, LOST)], &[]], [1, 0, 0, 0]),
        (&[&[(1, LOST)], &[(1, LOST)]], [0, 0, 1, 0]),
        (&[&[(1, LOST)], &[(1, OK)]], [0, 0, 1, 0]),
        // Said to be gone, and still listed.
        (&[&[(1, OK), (2, OK)], &[(1, OK), (2, OK)]], [0, 0, 2, 0]),
        (
            &[&[(1, OK), (2, MISSING), (3, OK)], &[(1, OK), (2, MISSING)], &[(2, MISSING)], &[(2, MISSING)]],
            [2, 0, 1, 0],
        ),
        // A list that lags.
        (&[&[(1, OK), (2, OK)], &[(1, OK)], &[]], [2, 0, 0, 0]),
        // Uploads that only a later listing shows.
        (&[&[(1, OK), (2, OK)], &[(3, OK), (4, OK)], &[(5, OK)], &[]], [5, 0, 0, 0]),
        (&[&[(1, OK), (2, OK)], &[(3, OK), (4, OK)], &[(3, OK), (4, OK)]], [2, 0, 2, 0]),
    ] {
        let report = sweep(passes);
        assert_eq!(counts(&report), want, "{passes:?}");
        assert_eq!(report.failures.len() as u64, report.failed, "{passes:?}");
    }
}

#[test]
fn a_failure_has_its_own_code() {
    let report =
        sweep(&[&[(1, OK), (2, DENIED), (3, OK)], &[(1, OK), (2, DENIED)], &[(1, MISSING), (2, DENIED)]]);
    let codes: Vec<_> =
        report.failures.iter().map(|failure| (failure.upload.key.as_str(), failure.code)).collect();
    assert_eq!(codes, [("k/2", DENIED), ("k/1", Code::StillListed)]);
    assert!(
        report.failures[1].message.as_deref().is_some_and(|message| message.starts_with("still_listed: "))
    );
}

#[test]
fn a_sweep_that_is_cut_off() {
    let mut tally = Tally::new();
    pass(&mut tally, [(1, OK), (2, DENIED), (3, DENIED), (4, MISSING)]);
    tally.begin_pass();
    pass(&mut tally, [(2, OK)]);
    let _ = tally.list(&listed(5));
    assert_eq!((tally.unreached(), tally.progress()), (1, (4, 5)));
    tally.keep(&listed(6), KeepReason::UnknownAge);
    let report = tally.into_report(false);
    assert_eq!((counts(&report), report.unknown_age), ([2, 1, 1, 2], 1));
    assert_eq!(report.failures.len(), 1, "of the pass before: the listing did not come to it");
    assert_eq!(report.failures[0].upload.key, "k/3");
}

#[test]
fn a_server_that_makes_uploads_up() {
    let mut tally = Tally::new();
    let mut next = 0;
    let mut passes = 0;
    loop {
        pass(&mut tally, (next..next + 10).map(|n| (n, OK)));
        next += 10;
        passes += 1;
        if !tally.needs_another_pass() {
            break;
        }
        tally.begin_pass();
    }
    assert_eq!(passes, u64::from(MAX_STALLED_PASSES) + 1);
    assert_eq!(counts(&tally.into_report(true)), [next - 10, 0, 10, 0]);
}

/// Beyond the bound there are only numbers, and they are right as well.
#[test]
fn more_uploads_than_are_remembered() {
    let all = MAX_ENTRIES as u64 * 3 / 2;
    let refused = |n: u64| n.is_multiple_of(3);
    let first = |n| (n, if refused(n) { DENIED } else { OK });
    for (again, want) in [(DENIED, [all - all / 3, 0, all / 3, 0]), (OK, [all, 0, 0, 0])] {
        let mut tally = Tally::new();
        for n in 0..all {
            let (_, code) = first(n);
            assert_ne!(tally.list(&listed(n)), Listed::Settled);
            tally.record(&outcome(n, code, false));
        }
        assert_eq!(tally.progress(), (all, all));
        for code in [again, again] {
            assert!(tally.needs_another_pass());
            let left = tally.pass.number == 1 || again == DENIED;
            tally.begin_pass();
            for n in (0..all).filter(|n| left && refused(*n)) {
                assert_ne!(tally.list(&listed(n)), Listed::Settled);
                tally.record(&outcome(n, code, false));
            }
            if !tally.needs_another_pass() {
                break;
            }
        }
        assert_eq!(counts(&tally.into_report(true)), want, "{again:?}");
    }
}
#[test]
fn what_an_earlier_pass_may_have_aborted() {
    let mut tally = Tally::new();
    pass(&mut tally, [(1, OK), (2, LOST), (3, MISSING), (4, DENIED)]);
    assert_eq!(tally.listed(), 4);
    tally.begin_pass();
    for (n, may_be_aborted) in [(1, true), (2, true), (3, false), (4, false), (5, false)] {
        assert_eq!(tally.list(&listed(n)), Listed::Try { may_be_aborted }, "{n}");
    }
}

#[test]
fn failures_of_an_earlier_pass_are_forgotten_one_by_one() {
    let mut tally = Tally::new();
    pass(&mut tally, [(0, OK), (1, DENIED), (2, DENIED), (3, DENIED), (4, DENIED), (5, DENIED)]);
    tally.begin_pass();
    pass(&mut tally, [(1, DENIED), (2, DENIED), (5, OK), (4, OK)]);
    let report = tally.into_report(false);
    let mut keys: Vec<_> = report.failures.iter().map(|failure| failure.upload.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["k/1", "k/2", "k/3"]);
}

#[test]
fn only_so_many_are_remembered() {
    let all = MAX_ENTRIES as u64 + 1000;
    let mut tally = Tally::new();
    for n in 0..all {
        let _ = tally.list(&listed(n));
    }
    assert_eq!((tally.unreached(), tally.listed()), (all, all));
    assert!(tally.entries.iter().map(HashMap::len).sum::<usize>() <= MAX_ENTRIES);
    assert!((0..50_000).all(|n| tally.list(&listed(n)) == Listed::Settled));
}

fn kept(tally: &mut Tally, n: u64) {
    tally.record(&Outcome { kept: Some(Kept::Written), ..outcome(n, OK, false) });
}

/// What is active is neither tried again nor a reason to list again, however often it is listed.
#[test]
fn active_uploads_are_kept() {
    let mut tally = Tally::new();
    assert_ne!(tally.list(&listed(1)), Listed::Settled);
    kept(&mut tally, 1);
    assert!(!tally.needs_another_pass());
    pass(&mut tally, [(2, OK), (3, OK)]);
    assert_eq!((tally.progress(), tally.unreached()), ((3, 3), 0));
    assert!(tally.needs_another_pass());
    tally.begin_pass();
    assert_eq!(tally.list(&listed(1)), Listed::Settled);
    assert!(!tally.needs_another_pass() && tally.unreached() == 0);
    let report = tally.into_report(true);
    assert_eq!((counts(&report), report.active), ([2, 0, 0, 1], 1));
}

/// Completed by its writer while the sweep went on.
#[test]
fn an_active_upload_that_is_not_listed_again() {
    let mut tally = Tally::new();
    let _ = tally.list(&listed(1));
    kept(&mut tally, 1);
    pass(&mut tally, [(2, OK)]);
    tally.begin_pass();
    let report = tally.into_report(true);
    assert_eq!((counts(&report), report.active), ([1, 0, 0, 1], 1));
}

#[test]
fn active_uploads_beyond_the_bound() {
    let all = MAX_ENTRIES as u64 + 1000;
    let mut tally = Tally::new();
    for n in 0..all {
        assert_ne!(tally.list(&listed(n)), Listed::Settled);
        kept(&mut tally, n);
    }
    let _ = tally.list(&listed(all));
    tally.record(&outcome(all, OK, false));
    tally.begin_pass();
    for n in 0..all {
        if tally.list(&listed(n)) != Listed::Settled {
            kept(&mut tally, n);
        }
    }
    assert_eq!(tally.unreached(), 0);
    let report = tally.into_report(true);
    assert_eq!((counts(&report), report.active), ([1, 0, 0, all], all));
}

/// Passes of uploads, each with the outcome of its abort and its size; and the size that is gone.
#[test]
fn sizes() {
    for (passes, complete, want) in [
        (&[&[(1, OK, 5), (2, OK, 7)][..], &[]][..], true, 12),
        (&[&[(1, OK, 5), (2, DENIED, 7)], &[(2, DENIED, 7)]], true, 5),
        (&[&[(1, MISSING, 0), (2, OK, 7)], &[]], true, 7),
        // The response was lost, and the listing tells.
        (&[&[(1, LOST, 5)], &[]], true, 5),
        (&[&[(1, LOST, 5)], &[(1, DENIED, 5)]], true, 0),
        (&[&[(1, LOST, 5), (2, OK, 1)]], false, 1),
        // A list that lags: the second time there is nothing left to measure.
        (&[&[(1, OK, 5)], &[(1, OK, 0)], &[]], true, 5),
        // Said to be gone, and still there.
        (&[&[(1, OK, 5), (2, OK, 3)], &[(1, OK, 5)], &[(1, OK, 5)]], true, 3),
        // The same, and its parts are not shown any more.
        (&[&[(1, OK, 5), (2, OK, 5)], &[(1, OK, 0)], &[(1, OK, 0)]], true, 5),
        (&[&[(1, OK, 5)], &[(1, OK, 0)]], true, 0),
        // Only a later listing shows it.
        (&[&[(1, OK, 5)], &[(2, OK, 3)], &[]], true, 8),
    ] {
        let mut tally = Tally::new();
        for (number, uploads) in passes.iter().enumerate() {
            if number > 0 {
                tally.begin_pass();
            }
            for (n, code, bytes) in uploads.iter().copied() {
                let _ = tally.list(&listed(n));
                let mut outcome = outcome(n, code, code == LOST);
                outcome.upload.parts = Some(Parts { count: 1, bytes, newest: None });
                tally.record(&outcome);
            }
        }
        assert_eq!(tally.into_report(complete).bytes, want, "{passes:?}");
    }
}

/// The filter may change its mind from pass to pass, and each upload counts once.
#[test]
fn the_last_word_of_the_filter_counts() {
    const KEPT: Option<Code> = None;
    for (passes, want) in [
        (&[&[(1, Some(OK)), (2, KEPT)][..], &[(2, KEPT)]][..], [1, 0, 0, 1]),
        (&[&[(1, Some(OK)), (2, KEPT)], &[(2, Some(OK))], &[]], [2, 0, 0, 0]),
        // Refused, or cut off, and kept when it was listed again: not gone.
        (&[&[(1, Some(OK)), (2, Some(DENIED))], &[(2, KEPT)]], [1, 0, 0, 1]),
        (&[&[(1, Some(LOST))], &[(1, KEPT)]], [0, 0, 0, 1]),
    ] {
        let mut tally = Tally::new();
        for (number, uploads) in passes.iter().enumerate() {
            if number > 0 {
                tally.begin_pass();
            }
            for (n, code) in uploads.iter().copied() {
                match code {
                    Some(code) => pass(&mut tally, [(n, code)]),
                    None => tally.keep_filtered(&listed(n)),
                }
            }
        }
        assert_eq!(counts(&tally.into_report(true)), want, "{passes:?}");
    }
}

#[test]
fn parts_that_could_not_be_read_leave_something_to_do() {
    for (why, complete) in [(Kept::Written, true), (Kept::Unknown, false)] {
        let mut tally = Tally::new();
        let _ = tally.list(&listed(1));
        tally.record(&Outcome { kept: Some(why), ..outcome(1, OK, false) });
        assert_eq!(tally.into_report(true).complete, complete);
    }
}

#[test]
fn why_uploads_are_kept() {
    let mut tally = Tally::new();
    for (n, reason) in [(1, KeepReason::Younger), (2, KeepReason::UnknownAge)] {
        tally.keep(&listed(n), reason);
        tally.keep(&listed(n), reason);
    }
    tally.keep_filtered(&listed(3));
    tally.keep_filtered(&listed(3));
    let report = tally.into_report(true);
    assert_eq!((report.kept, report.younger, report.unknown_age, report.active), (3, 1, 1, 0));
}

#[test]
fn the_report_has_only_so_many_failures() {
    let mut tally = Tally::new();
    for number in 0..2 {
        if number > 0 {
            tally.begin_pass();
        }
        pass(&mut tally, (0..600).map(|n| (n, DENIED)));
        pass(&mut tally, (600..1200).map(|n| (n, OK)));
    }
    let report = tally.into_report(true);
    assert_eq!((report.failed, report.failures.len()), (1200, MAX_RECORDED_FAILURES));
}

/// Pages overlap by less than one: what the page before the last one showed is forgotten.
#[test]
fn of_two_pages_each_upload_that_is_kept_counts_once() {
    let mut tally = Tally::new();
    for page in [[1, 2], [2, 3], [4, 5]] {
        tally.begin_page();
        for n in page {
            tally.keep(&listed(n), KeepReason::Younger);
        }
    }
    assert_eq!(tally.kept_of_pages.iter().map(HashSet::len).sum::<usize>(), 4);
    assert_eq!(tally.into_report(true).younger, 5);
}

#[test]
fn an_upload_is_new_if_no_pass_has_shown_it_and_there_was_one() {
    let mut tally = Tally::new();
    let _ = tally.list(&listed(1));
    assert!(!tally.is_new(&listed(1)) && !tally.is_new(&listed(2)));
    tally.begin_pass();
    assert!(!tally.is_new(&listed(1)) && tally.is_new(&listed(2)));
}

/// Uploads that are said to be gone, and are listed again: each one, remembered or not.
#[test]
fn beyond_the_bound_the_last_listing_has_the_last_word_too() {
    let all = MAX_ENTRIES as u64 + 1000;
    for (passes, want) in [(1, [all, 0, 0, 0]), (2, [0, 0, all, 0])] {
        let mut tally = Tally::new();
        for number in 0..passes {
            if number > 0 {
                tally.begin_pass();
            }
            for n in 0..all {
                assert_ne!(tally.list(&listed(n)), Listed::Settled);
                tally.record(&outcome(n, OK, false));
            }
        }
        assert_eq!(counts(&tally.into_report(true)), want, "{passes}");
    }
}
