//! Selections, sweeps and lists of buckets.

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

use crate::{Call, Client, Ending, Outcome, Progress, Report, borrowed, c, lib, owned, progress_thunk};
use crate::{obs_abort_selection, outcome};

/// A selection that frees itself; setters assert success, `0` is there for the others.
pub struct Selection(pub *mut obs_abort_selection);

impl Selection {
    pub fn new() -> Selection {
        Selection(unsafe { lib().obs_abort_selection_new() })
    }

    pub fn prefix(self, prefix: &str) -> Selection {
        let code = unsafe { lib().obs_abort_selection_set_prefix(self.0, c(prefix).as_ptr()) };
        self.ok(code)
    }

    pub fn older_than(self, seconds: u64) -> Selection {
        let code = unsafe { lib().obs_abort_selection_set_older_than_seconds(self.0, seconds) };
        self.ok(code)
    }

    pub fn initiated_before(self, unix_seconds: i64) -> Selection {
        let code = unsafe { lib().obs_abort_selection_set_initiated_before(self.0, unix_seconds) };
        self.ok(code)
    }

    pub fn idle(self, seconds: u64) -> Selection {
        let code = unsafe { lib().obs_abort_selection_set_idle_seconds(self.0, seconds) };
        self.ok(code)
    }

    pub fn measure(self) -> Selection {
        let code = unsafe { lib().obs_abort_selection_set_measure(self.0, 1) };
        self.ok(code)
    }

    fn ok(self, code: i32) -> Selection {
        assert_eq!(code, 0, "a setter");
        self
    }
}

impl Drop for Selection {
    fn drop(&mut self) {
        unsafe { lib().obs_abort_selection_free(self.0) };
    }
}

/// A filter in Rust; `true` keeps the upload.
pub type Filter<'a> = &'a mut dyn FnMut(&Outcome) -> bool;

unsafe extern "C" fn filter_thunk(candidate: *const outcome, userdata: *mut c_void) -> i32 {
    let filter = unsafe { &mut *userdata.cast::<Filter<'_>>() };
    i32::from(filter(&unsafe { Outcome::read(candidate) }))
}

/// Gets a bucket and its location; `true` stops.
pub type BucketCallback<'a> = &'a mut dyn FnMut(&str, Option<&str>) -> bool;

unsafe extern "C" fn bucket_thunk(
    name: *const c_char,
    location: *const c_char,
    userdata: *mut c_void,
) -> i32 {
    let each = unsafe { &mut *userdata.cast::<BucketCallback<'_>>() };
    let name = unsafe { borrowed(name) }.expect("a name");
    let location = unsafe { borrowed(location) };
    i32::from(each(&name, location.as_deref()))
}

impl Client {
    pub fn sweep(
        &self,
        call: Option<&Call>,
        bucket: &str,
        selection: &Selection,
        flags: u32,
        mut progress: Progress<'_>,
    ) -> Ending {
        let bucket = c(bucket);
        let call = call.map_or(null(), |call| call.0.cast_const());
        let (mut report, mut error) = (null_mut(), null_mut());
        let code = unsafe {
            lib().obs_abort_sweep(
                self.0,
                call,
                bucket.as_ptr(),
                selection.0,
                flags,
                Some(progress_thunk),
                (&raw mut progress).cast(),
                &raw mut report,
                &raw mut error,
            )
        };
        Ending { code, error: unsafe { owned(error) }, report: unsafe { Report::take(report) } }
    }

    /// The same with a filter, which is taken out of the selection afterwards.
    pub fn filtered_sweep(
        &self,
        call: Option<&Call>,
        bucket: &str,
        selection: &Selection,
        flags: u32,
        mut filter: Filter<'_>,
        progress: Progress<'_>,
    ) -> Ending {
        let userdata = (&raw mut filter).cast();
        let set = |thunk, userdata| unsafe {
            assert_eq!(lib().obs_abort_selection_set_filter(selection.0, thunk, userdata), 0);
        };
        set(Some(filter_thunk), userdata);
        let ending = self.sweep(call, bucket, selection, flags, progress);
        set(None, null_mut());
        ending
    }

    /// The code and the error string of a list of buckets.
    pub fn buckets(&self, call: Option<&Call>, mut each: BucketCallback<'_>) -> (i32, Option<String>) {
        let call = call.map_or(null(), |call| call.0.cast_const());
        let mut error = null_mut();
        let code = unsafe {
            let userdata = (&raw mut each).cast();
            lib().obs_abort_buckets(self.0, call, Some(bucket_thunk), userdata, &raw mut error)
        };
        let error = unsafe { owned(error) };
        assert_eq!(code == 0, error.is_none(), "an error string exactly if there is an error");
        (code, error)
    }
}
