//! Freed memory: wiped, so that no secret stays behind in it.
//!
//! Requests, responses, and what is parsed from them hold secrets. So do buffers that grow and leave their old copy
//! behind, and the buffers of rustls and of the HTTP client for the metadata service, which nothing else can reach.
//! Wiping every block when it is freed covers all of them, whoever allocates it.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, which wipes each block that it frees.
pub struct WipingAllocator;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

// SAFETY: `System` upholds the contract. The default `realloc` is made of `alloc` and `dealloc`: it never moves a block
// without wiping it.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    // Inlined at each of its callers, it adds 20 KB to the library.
    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block has this size, and nobody uses it any more.
        unsafe {
            block.write_bytes(0, layout.size());
            // Without it, the compiler drops writes to memory that is freed next.
            zeroize::optimization_barrier(&*block);
            System.dealloc(block, layout);
        }
    }
}

/// Overwrites what calls that have returned left on the stack of this thread, which must be one of the library's own: on
/// a stack of the caller's there may be no room.
#[allow(clippy::large_stack_arrays)] // the stack is what it is about
#[inline(never)]
pub fn wipe_stack() {
    let left = [0_u8; 128 * 1024];
    // Without it, the compiler drops writes to memory that is not read.
    zeroize::optimization_barrier(&left);
}
