//! A metric with labels: a table of series over the positions of its axes.
//!
//! Reading a series is arithmetic on positions and needs no lock; series come into being when first used.
//! The number of series is bounded by the capacities of the axes.

use std::sync::{Arc, OnceLock};

use super::axis::Axis;
use super::exposition::{Kind, Labels, Page};

/// One series: something that can be written on a page.
pub(super) trait Series: Send + Sync {
    const KIND: Kind;

    fn write(&self, name: &str, labels: &Labels, page: &mut Page);
}

/// The dimensions of a family: label names and their values.
pub(super) type Dimensions<const N: usize> = [(&'static str, Arc<Axis>); N];

type Row<S> = Box<[OnceLock<Box<S>>]>;

/// See the module. `N` is the number of labels, at least 1.
pub(super) struct Family<S, const N: usize> {
    name: &'static str,
    help: &'static str,
    dimensions: Dimensions<N>,
    make: fn() -> S,
    /// By the first axis; a row holds the series of all the others.
    rows: Box<[OnceLock<Row<S>>]>,
}

impl<S: Series, const N: usize> Family<S, N> {
    pub(super) fn new(
        name: &'static str,
        help: &'static str,
        dimensions: Dimensions<N>,
        make: fn() -> S,
    ) -> Family<S, N> {
        let rows = dimensions.first().map_or(0, |(_, axis)| axis.capacity());
        Family { name, help, dimensions, make, rows: empty(rows) }
    }

    /// The series at these positions; `None` only for positions beyond an axis.
    pub(super) fn at(&self, positions: [usize; N]) -> Option<&S> {
        let (first, others) = positions.split_first()?;
        let mut cell = 0;
        for (position, (_, axis)) in others.iter().zip(self.dimensions.iter().skip(1)) {
            cell = cell * axis.capacity() + position;
        }
        let row = self.rows.get(*first)?.get_or_init(|| empty(self.row_length()));
        Some(row.get(cell)?.get_or_init(|| Box::new((self.make)())))
    }

    /// All series in use, with their positions, in order.
    pub(super) fn series(&self) -> impl Iterator<Item = ([usize; N], &S)> {
        let rows = self.rows.iter().enumerate().filter_map(|(first, row)| Some((first, row.get()?)));
        rows.flat_map(move |(first, row)| {
            row.iter()
                .enumerate()
                .filter_map(move |(cell, series)| Some((self.positions(first, cell), &**series.get()?)))
        })
    }

    /// Labels of a series, those with an empty value left out, as Prometheus treats them.
    pub(super) fn labels(&self, positions: [usize; N]) -> Labels {
        let mut labels = Labels::default();
        for ((name, axis), position) in self.dimensions.iter().zip(positions) {
            labels.push(name, axis.value(position));
        }
        labels
    }

    pub(super) fn write(&self, page: &mut Page) {
        page.head(self.name, self.help, S::KIND);
        for (positions, series) in self.series() {
            series.write(self.name, &self.labels(positions), page);
        }
    }

    fn row_length(&self) -> usize {
        self.dimensions.iter().skip(1).map(|(_, axis)| axis.capacity()).product()
    }

    fn positions(&self, first: usize, cell: usize) -> [usize; N] {
        let mut positions = [0; N];
        let mut rest = cell;
        for (position, (_, axis)) in positions.iter_mut().zip(&self.dimensions).skip(1).rev() {
            *position = rest % axis.capacity();
            rest /= axis.capacity();
        }
        if let Some(position) = positions.first_mut() {
            *position = first;
        }
        positions
    }
}

fn empty<T>(length: usize) -> Box<[OnceLock<T>]> {
    std::iter::repeat_with(OnceLock::new).take(length).collect()
}
