//! Markers that come back.

/// Finds out whether markers come back to one that was seen before, without a list of them: one is remembered, and
/// replaced after twice as many steps each time (Brent's cycle detection). The first is the default: the beginning.
#[derive(Debug)]
pub struct CycleDetector<T> {
    remembered: T,
    steps: u64,
    limit: u64,
}

impl<T: Default> Default for CycleDetector<T> {
    fn default() -> CycleDetector<T> {
        CycleDetector { remembered: T::default(), steps: 0, limit: 1 }
    }
}

impl<T: Clone + PartialEq> CycleDetector<T> {
    /// Takes the next marker. Returns whether it comes back.
    pub fn closes_cycle(&mut self, next: &T) -> bool {
        if *next == self.remembered {
            return true;
        }
        self.steps += 1;
        if self.steps == self.limit {
            *self = CycleDetector { remembered: next.clone(), steps: 0, limit: self.limit * 2 };
        }
        false
    }
}
