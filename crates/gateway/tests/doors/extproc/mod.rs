//! Envoy's door, message by message.

mod envoy;
mod modes;
mod order;
mod services;
mod tls;
