use std::fmt;

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelProblem {
    /// The file or overlay that says it.
    pub file: String,
    /// Where in it: `entity`, `entity.field`, `entity.rules.id`; the line and column where it could not be read.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl fmt::Display for ModelProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}: {}; {}", self.file, self.path, self.what, self.advice)
    }
}

/// Everything that is wrong with a set of definitions: at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(problems))]
pub struct ModelProblems {
    /// In the order in which the files were read.
    pub problems: Vec<ModelProblem>,
}

fn list(problems: &[ModelProblem]) -> String {
    problems.iter().map(ModelProblem::to_string).collect::<Vec<_>>().join("\n")
}
