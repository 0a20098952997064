//! What a text is: its domain, whether it attacks the model, and which personal data it holds.
//!
//! This is the built-in first tier: linear models over hashed n-grams and recognisers with checksums, all compiled
//! in. It is not a place for I/O, clocks, threads or configuration: every public function is a pure function of its
//! arguments, runs on the calling thread, and takes time linear in the length of the text.
//!
//! ```
//! use inference::domain::{Domain, DomainClassifier};
//! let (domain, probability) = DomainClassifier::built_in().classify("What is the derivative of x^3?").best();
//! assert_eq!(domain, Domain::Math);
//! assert!(probability > 0.6);
//! ```

pub mod domain;
pub mod features;
pub mod jailbreak;
pub mod leave;
pub mod linear;
pub mod normalise;
pub mod pii;
pub mod ports;
