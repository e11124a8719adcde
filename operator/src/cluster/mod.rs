//! What every controller stands on.

pub mod api;
pub mod capabilities;
pub mod clock;
pub mod conditions;
pub mod definitions;
mod digest;
pub mod entropy;
pub mod events;
pub mod fence;
pub mod index;
mod kind;
pub mod labels;
pub mod leader;
pub mod names;
pub mod owned;
mod patch;
pub mod queue;
pub mod retry;
pub mod seen;
pub mod shards;
pub mod watch;

pub use self::digest::digest;
pub use self::kind::Kind;
pub use self::patch::merge_patch;
