use crate::model::Label;

/// One thing that a change does not satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The field's name, or a path below it: `phones[1].e164`.
    pub field: String,
    /// Stable and machine-readable: `type`, `range`, `option`, `format`, `too-long`, `stage`, `required`, `rule`,
    /// `expression`.
    pub code: &'static str,
    /// What is wrong and what to do about it.
    pub message: Label,
}

/// Everything that a change does not satisfy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The change is not made.
    pub errors: Vec<Finding>,
    /// The change is made and the person told.
    pub warnings: Vec<Finding>,
}

impl Findings {
    /// Whether the change may be made.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty()
    }
}
