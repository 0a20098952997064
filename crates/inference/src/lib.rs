//! What a text is: built-in classifiers and PII recognisers.
