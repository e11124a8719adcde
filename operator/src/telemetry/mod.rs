//! What the operator tells about itself: whether it lives, and its measurements.

mod listen;
mod metrics;

pub use self::listen::{Pulse, listen};
pub use self::metrics::{Metrics, Outcome};
