use serde::{Deserialize, Serialize};

use super::Label;

/// The stages that records of an entity pass through, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pipeline {
    /// At least one; keys are unique.
    pub stages: Vec<Stage>,
}

impl Pipeline {
    /// The stage of that key.
    #[must_use]
    pub fn stage(&self, key: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.key == key)
    }
}

/// One stage of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What a record's stage field holds.
    pub key: String,
    /// What the stage is; nothing infers it from the probability.
    pub kind: StageKind,
    /// Whole percent.
    pub probability: u8,
    /// Forecast category: `pipeline`, `best_case`, `commit`, `closed` or `omitted`.
    pub category: String,
    /// Fields that a change into this stage requires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Its name.
    pub labels: Label,
}

/// What a stage means for the deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Not decided.
    Open,
    /// Ended well.
    Won,
    /// Ended badly.
    Lost,
}

impl StageKind {
    /// As expressions and the wire spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}
