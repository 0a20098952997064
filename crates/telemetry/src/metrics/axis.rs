//! The values that one label can have: known beforehand, so that nothing from outside makes a new series.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// What stands for every value that is not known.
pub(super) const OTHER: &str = "_OTHER";

/// A list of label values. It only grows, up to its capacity, so that a position stays valid for ever.
pub(super) struct Axis {
    values: ArcSwap<Vec<Arc<str>>>,
    capacity: usize,
}

impl Axis {
    /// Exactly these values.
    pub(super) fn exact<'a>(values: impl IntoIterator<Item = &'a str>) -> Arc<Axis> {
        let values: Vec<Arc<str>> = values.into_iter().map(Arc::from).collect();
        let capacity = values.len();
        Arc::new(Axis { values: ArcSwap::from_pointee(values), capacity })
    }

    /// [`OTHER`] at position 0, and room for further values.
    pub(super) fn open(capacity: usize) -> Arc<Axis> {
        let values = vec![Arc::from(OTHER)];
        Arc::new(Axis { values: ArcSwap::from_pointee(values), capacity: capacity + 1 })
    }

    /// Adds values that are new; those beyond the capacity count as [`OTHER`]. How many those are.
    pub(super) fn learn<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> usize {
        let mut beyond = 0;
        let mut known = Vec::clone(&self.values.load());
        for value in values {
            if known.iter().any(|other| **other == *value) {
                continue;
            }
            if known.len() < self.capacity {
                known.push(Arc::from(value));
            } else {
                beyond += 1;
            }
        }
        self.values.store(Arc::new(known));
        beyond
    }

    /// The position of a value; 0, which is [`OTHER`] on an open axis, if it is unknown.
    pub(super) fn position(&self, value: &str) -> usize {
        self.values.load().iter().position(|known| **known == *value).unwrap_or(0)
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn value(&self, position: usize) -> Arc<str> {
        self.values.load().get(position).map_or_else(|| Arc::from(OTHER), Arc::clone)
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
        assert_eq!(&*axis.value(0), OTHER);
        assert_eq!(&*axis.value(2), "b");
    }
}
