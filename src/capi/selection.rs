//! The selection handle.

use std::ffi::{c_char, c_void};

use crate::base::error::Error;
use crate::operation::abort::{Outcome, Upload};
use crate::operation::config::Draft;
use crate::operation::selection::Selection;

use super::ffi::{Userdata, code_of, guarded, handle_mut, optional_text, switch, take};
use super::outcome::obs_abort_outcome;

/// Flag of obs_abort_sweep() and obs_abort_stale(): list the uploads that would be aborted, and abort none.
pub const OBS_ABORT_DRY_RUN: u32 = 1;
/// Flag of obs_abort_sweep() and obs_abort_stale(): allow to select uploads of any age, which aborts uploads that are
/// in progress, too.
pub const OBS_ABORT_INCLUDE_LIVE: u32 = 2;

/// A filter for obs_abort_sweep(): keeps uploads that the program knows to be in use, for example from its own
/// catalogue.
///
/// It is called once for each upload that prefix and age select, before anything is sent for that upload, so that
/// idle time and size are not known yet. It is called again if a later listing of the same call shows the upload
/// again; the last result counts. It is called only on the thread that made the call, one call at a time, never while
/// the progress callback or the log callback runs for the same call. The call waits for it.
///
/// The callback must return: it must not throw, call longjmp() or end the thread. It may call this library, but it must
/// not free the client.
///
/// \param candidate  The upload: obs_abort_outcome_key(), obs_abort_outcome_upload_id() and
///                   obs_abort_outcome_initiated() say which. Nothing else of it is known yet. Valid until the callback
///                   returns. It must not be freed.
/// \param userdata   The pointer that was passed to obs_abort_selection_set_filter().
/// \return 0 to have the upload aborted. Any other value keeps it.
///
/// Since 0.1.0.
pub type obs_abort_filter_fn =
    Option<unsafe extern "C" fn(candidate: *const obs_abort_outcome, userdata: *mut c_void) -> i32>;

/// A selection: says which uploads obs_abort_sweep() aborts. All bounds that are set hold together. Create it, set its
/// bounds, pass it to any number of calls, and free it. The library copies every string.
///
/// If a setter fails, it leaves the bound as it was, and the selection remembers the failure: obs_abort_sweep() then
/// returns OBS_ABORT_INVALID_ARGUMENT and names the bound, until the bound is set successfully. A caller who ignores
/// the code of a setter therefore never sweeps more than it asked for.
#[derive(Default)]
pub struct obs_abort_selection(Draft<SelectionFields>);

impl obs_abort_selection {
    /// Returns a copy of what is set if all setters succeeded.
    pub(super) fn checked(&self) -> Result<SelectionFields, Error> {
        match self.0.refusal() {
            Some(refusal) => Err(Error::argument(refusal)),
            None => Ok(self.0.settings.clone()),
        }
    }
}

/// What the setters set.
#[derive(Clone, Default)]
pub(super) struct SelectionFields {
    prefix: String,
    pub(super) older_than_seconds: u64,
    initiated_before: Option<i64>,
    idle_seconds: u64,
    measure: bool,
    filter: obs_abort_filter_fn,
    userdata: Userdata,
}

impl SelectionFields {
    /// All uploads below a prefix.
    pub(super) fn with_prefix(prefix: &str) -> Result<SelectionFields, Error> {
        if prefix.len() > 1024 {
            return Err(Error::argument("the prefix is too long: up to 1024 bytes of UTF-8 are allowed"));
        }
        Ok(SelectionFields { prefix: prefix.to_owned(), ..SelectionFields::default() })
    }

    /// The bounds of a sweep with these flags.
    pub(super) fn bounds(&self, flags: u32) -> Result<Selection<'_>, Error> {
        if flags & !(OBS_ABORT_DRY_RUN | OBS_ABORT_INCLUDE_LIVE) != 0 {
            return Err(Error::argument(format!("the flags {flags:#x} are not all known")));
        }
        let selection = Selection {
            prefix: &self.prefix,
            older_than_seconds: self.older_than_seconds,
            initiated_before: self.initiated_before,
            idle_seconds: self.idle_seconds,
            measure: self.measure,
            dry_run: flags & OBS_ABORT_DRY_RUN != 0,
            include_live: flags & OBS_ABORT_INCLUDE_LIVE != 0,
        };
        if flags == 0 && !selection.depends_on_age() {
            return Err(Error::argument(
                "older_than_seconds is 0, which would take uploads in progress: \
                 set OBS_ABORT_INCLUDE_LIVE if that is meant",
            ));
        }
        Ok(selection)
    }

    /// Wraps the filter of the caller.
    ///
    /// # Safety
    /// It may be called with its userdata.
    pub(super) unsafe fn filter(&self) -> Option<impl FnMut(&Upload) -> bool> {
        let (filter, userdata) = (self.filter?, self.userdata.get());
        Some(move |upload: &Upload| {
            let candidate = obs_abort_outcome::from(Outcome::dry_run(upload.clone()));
            // SAFETY: as promised by the caller. The candidate lives until the callback has returned.
            (unsafe { filter(&raw const candidate, userdata) }) != 0
        })
    }
}

/// Creates a selection of all uploads. obs_abort_sweep() refuses it until an age is set, or unless a flag allows it.
///
/// \return The selection, to be freed with obs_abort_selection_free(). NULL after an internal error.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obs_abort_selection_new() -> *mut obs_abort_selection {
    guarded(std::ptr::null_mut(), || Box::into_raw(Box::<obs_abort_selection>::default()))
}

/// Frees a selection. Calls that have begun with it go on.
///
/// \param selection  The selection, or NULL, which is ignored.
///
/// Threads: any, after all other uses of the selection. A call uses it only before it sends a request, waits or calls
/// back. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_selection_free(selection: *mut obs_abort_selection) {
    // SAFETY: NULL or a handle of ours that is not used any more, as the header requires.
    guarded((), || drop(unsafe { take(selection) }));
}

/// Sets one bound. If the value is refused, the selection remembers the failure under `name`.
///
/// # Safety
/// `selection` is NULL, or a selection that no other thread uses.
unsafe fn set(
    selection: *mut obs_abort_selection,
    name: &'static str,
    set: &mut dyn FnMut(&mut SelectionFields) -> Result<(), Error>,
) -> i32 {
    code_of(|| {
        // SAFETY: as promised by the caller.
        let selection = unsafe { handle_mut(selection, "selection") }?;
        selection.0.set(name, set)
    })
}

/// Selects only uploads whose keys begin with a prefix. Default: all uploads of the bucket.
///
/// \param selection  The selection.
/// \param prefix     Up to 1024 bytes of UTF-8. NULL or "" for all uploads.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each selection. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_selection_set_prefix(
    selection: *mut obs_abort_selection,
    prefix: *const c_char,
) -> i32 {
    // SAFETY: a selection of ours, and NULL or a NUL-terminated string, as the header requires.
    unsafe {
        set(selection, "prefix", &mut |fields| {
            let prefix = optional_text(prefix, "prefix")?.unwrap_or_default();
            fields.prefix = SelectionFields::with_prefix(prefix)?.prefix;
            Ok(())
        })
    }
}

/// Selects only uploads that were initiated longer ago than an age, by the clock of the service. Default: 0.
///
/// \param selection  The selection.
/// \param seconds    The age in seconds that an upload must exceed. 0 for no such bound.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each selection. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_selection_set_older_than_seconds(
    selection: *mut obs_abort_selection,
    seconds: u64,
) -> i32 {
    // SAFETY: a selection of ours, as the header requires.
    unsafe {
        set(selection, "older_than_seconds", &mut |fields| {
            fields.older_than_seconds = seconds;
            Ok(())
        })
    }
}

/// Selects only uploads that were initiated before a time. Default: no such bound.
///
/// The bound can only narrow a sweep: the time of the first page of the listing holds as well, and so does an age that
/// is set.
///
/// \param selection     The selection.
/// \param unix_seconds  The time in seconds since 1970-01-01 00:00:00 UTC, not negative.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each selection. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_selection_set_initiated_before(
    selection: *mut obs_abort_selection,
    unix_seconds: i64,
) -> i32 {
    // SAFETY: a selection of ours, as the header requires.
    unsafe {
        set(selection, "initiated_before", &mut |fields| {
            if unix_seconds < 0 {
                return Err(Error::argument(format!("{unix_seconds} is a time before 1970")));
            }
            fields.initiated_before = Some(unix_seconds);
            Ok(())
        })
    }
}

/// Selects only uploads that were neither initiated nor written to for some time, by the clock of the service. Default:
/// 0.
///
/// The time of initiation says nothing about a long backup that is still running. So the parts of each upload that
/// the other bounds select are listed immediately before each request that would abort it, retries included. An
/// upload is kept as active if its newest part is not older than the bound, or if its parts cannot be listed or their
/// times cannot be relied on. An upload without parts counts by its initiation. A part counts once it is stored: one
/// that is still being transferred does not protect its upload, so that the bound must be longer than a part may
/// take. A part that arrives between the list and the abort, which are two successive requests, is lost. This needs
/// the permission obs:object:ListMultipartUploadParts, and one more request for each upload and each 1000 parts.
///
/// \param selection  The selection.
/// \param seconds    The time in seconds. 0 for no such bound.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each selection. Since 0.1.0.
/// Source: "Listing Uploaded Parts" in Huawei's OBS API reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_selection_set_idle_seconds(
    selection: *mut obs_abort_selection,
    seconds: u64,
) -> i32 {
    // SAFETY: a selection of ours, as the header requires.
    unsafe {
        set(selection, "idle_seconds", &mut |fields| {
            fields.idle_seconds = seconds;
            Ok(())
        })
    }
}

/// Turns the measurement of uploads on or off. Default: 0.
///
/// With it, the parts of each selected upload are listed, also in a dry run: see obs_abort_outcome_bytes() and
/// obs_abort_report_bytes(). It never changes which uploads are aborted. An upload whose parts cannot be listed is not
/// measured. obs_abort_selection_set_idle_seconds() measures as well.
///
/// \param selection  The selection.
/// \param on         1 to measure, 0 not to.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each selection. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_selection_set_measure(
    selection: *mut obs_abort_selection,
    on: i32,
) -> i32 {
    // SAFETY: a selection of ours, as the header requires.
    unsafe {
        set(selection, "measure", &mut |fields| {
            fields.measure = switch(on)?;
            Ok(())
        })
    }
}

/// Sets a filter, which can keep uploads that prefix and age select. Default: none.
///
/// \param selection  The selection.
/// \param filter     The filter, or NULL for none. It must remain callable until all calls with the selection have
///                   returned.
/// \param userdata   A pointer that is passed to `filter`. May be NULL.
/// \return OBS_ABORT_OK, or OBS_ABORT_INVALID_ARGUMENT if an argument is invalid.
///
/// Threads: one at a time for each selection. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obs_abort_selection_set_filter(
    selection: *mut obs_abort_selection,
    filter: obs_abort_filter_fn,
    userdata: *mut c_void,
) -> i32 {
    // SAFETY: a selection of ours, as the header requires.
    unsafe {
        set(selection, "filter", &mut |fields| {
            (fields.filter, fields.userdata) = (filter, Userdata::new(userdata));
            Ok(())
        })
    }
}
