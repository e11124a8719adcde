//! What the server tells about itself: log, traces, measurements.

pub mod metrics;
