//! Records at the terminal: a tree for people, or JSON for programs.
//!
//! Rendering is pure: [`tree()`] and [`json()`] give text, and [`Terminal`] writes it on a thread of its own.

mod facts;
mod json;
mod tree;

use std::io::Write;
use std::sync::Arc;

pub use json::{Layout, json};
use trace::{Record, Text};
pub(crate) use tree::model;
pub use tree::{Colour, Show, Style, branches, tree};

use crate::{Delivery, Destination, Resource, View};

/// The form of a record at the terminal.
#[derive(Clone, Debug)]
pub enum Form {
    /// The span tree with findings, for people.
    Tree(Style),
    /// One object per span.
    Json {
        /// On one line, or indented.
        layout: Layout,
        /// Who we are: on every span.
        resource: Resource,
        /// What is shown of each record.
        view: View,
    },
}

/// Writes records as text.
pub struct Terminal<W> {
    form: Form,
    writer: W,
    reported: bool,
}

impl<W: Write + Send + 'static> Terminal<W> {
    /// Writes to `writer`, whose slowness or failure only this destination feels.
    pub fn new(form: Form, writer: W) -> Terminal<W> {
        Terminal { form, writer, reported: false }
    }

    fn write(&mut self, batch: &[Arc<Record>]) -> std::io::Result<()> {
        for record in batch {
            let text = match &self.form {
                Form::Tree(style) => tree(record, *style) + "\n",
                Form::Json { layout, resource, view } => json(record, resource, *view, *layout),
            };
            self.writer.write_all(text.as_bytes())?;
        }
        self.writer.flush()
    }
}

impl<W: Write + Send + 'static> Destination for Terminal<W> {
    async fn deliver(&mut self, batch: &[Arc<Record>]) -> Delivery {
        let Err(error) = self.write(batch) else { return Delivery::Delivered };
        if !self.reported {
            // A closed pipe stays closed: one line is enough.
            self.reported = true;
            let what = Text::from_outside(&error.to_string());
            tracing::warn!(exporter = "stdout", "Failed to export spans: {what}");
        }
        Delivery::Failed
    }
}
