//! Markers that come back.

/// Finds out whether markers come back to one that was seen before, without a list of them: one is remembered, and
/// replaced after twice as many steps each time (Brent's algorithm). The first is the default: the beginning.
#[derive(Debug)]
pub struct CircleDetector<T> {
    remembered: T,
    steps: u64,
    limit: u64,
}

impl<T: Default> Default for CircleDetector<T> {
    fn default() -> CircleDetector<T> {
        CircleDetector { remembered: T::default(), steps: 0, limit: 1 }
    }
}

impl<T: Clone + PartialEq> CircleDetector<T> {
    /// Takes the next marker. Returns whether it comes back.
    pub fn closes(&mut self, next: &T) -> bool {
        if *next == self.remembered {
            return true;
        }
        self.steps += 1;
        if self.steps == self.limit {
            *self = CircleDetector { remembered: next.clone(), steps: 0, limit: self.limit * 2 };
        }
        false
    }
}
