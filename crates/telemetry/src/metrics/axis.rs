//! The values that one label can have: known beforehand, so that nothing from outside makes a new series.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What stands for every value that is not known.
pub(super) const OTHER: &str = "_OTHER";

/// A list of label values. It only grows, up to its capacity, so that a position stays valid for ever and
/// readers need no lock.
pub(super) struct Axis {
    /// Filled from the front.
    values: Box<[OnceLock<Arc<str>>]>,
    growing: Mutex<()>,
}

impl Axis {
    /// Exactly these values.
    pub(super) fn exact<'a>(values: impl IntoIterator<Item = &'a str>) -> Arc<Axis> {
        let values = values.into_iter().map(|value| OnceLock::from(Arc::from(value))).collect();
        Arc::new(Axis { values, growing: Mutex::default() })
    }

    /// [`OTHER`] at position 0, and room for further values.
    pub(super) fn open(capacity: usize) -> Arc<Axis> {
        let room = std::iter::repeat_with(OnceLock::new).take(capacity);
        let values = std::iter::once(OnceLock::from(Arc::from(OTHER))).chain(room).collect();
        Arc::new(Axis { values, growing: Mutex::default() })
    }

    /// Adds values that are new; those beyond the capacity count as [`OTHER`]. How many those are.
    pub(super) fn learn<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> usize {
        let _one_at_a_time = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut beyond = 0;
        for value in values {
            if self.known().any(|known| **known == *value) {
                continue;
            }
            match self.values.iter().find(|place| place.get().is_none()) {
                Some(place) => _ = place.set(Arc::from(value)),
                None => beyond += 1,
            }
        }
        beyond
    }

    /// The position of a value; 0, which is [`OTHER`] on an open axis, if it is unknown.
    pub(super) fn position(&self, value: &str) -> usize {
        self.known().position(|known| **known == *value).unwrap_or(0)
    }

    pub(super) fn capacity(&self) -> usize {
        self.values.len()
    }

    pub(super) fn value(&self, position: usize) -> &str {
        self.values.get(position).and_then(OnceLock::get).map_or(OTHER, |value| value)
    }

    fn known(&self) -> impl Iterator<Item = &Arc<str>> {
        self.values.iter().map_while(OnceLock::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_axis_is_bounded_and_keeps_its_positions() {
        let axis = Axis::open(2);
        assert_eq!(axis.learn(["a", "b", "a"]), 0);
        assert_eq!(axis.learn(["b", "c"]), 1);
        assert_eq!([axis.position("a"), axis.position("b"), axis.position("c")], [1, 2, 0]);
        assert_eq!(axis.value(0), OTHER);
        assert_eq!(axis.value(2), "b");
    }
}
