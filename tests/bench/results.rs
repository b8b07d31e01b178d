use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::options::Subject;
use crate::statistics::{greatest, least, median};

/// One number that a measure gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) more_is_better: bool,
}

/// The figures of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// In the order in which they were first seen.
    rows: Vec<Row>,
    failures: Vec<String>,
}

/// A figure of all subjects.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) figure: Figure,
    pub(crate) subjects: BTreeMap<Subject, Rounds>,
}

/// A figure of one subject, a value for each round.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Figure {
    pub(crate) fn more(name: &str, unit: &'static str) -> Self {
        Self { name: name.to_owned(), unit, more_is_better: true }
    }

    pub(crate) fn less(name: &str, unit: &'static str) -> Self {
        Self { name: name.to_owned(), unit, more_is_better: false }
    }
}

impl Results {
    pub(crate) fn add(&mut self, subject: Subject, figure: Figure, value: f64) {
        let index = self.rows.iter().position(|row| row.figure == figure).unwrap_or_else(|| {
            self.rows.push(Row { figure, subjects: BTreeMap::new() });
            self.rows.len() - 1
        });
        self.rows[index].subjects.entry(subject).or_default().0.push(value);
    }

    /// What was to be measured and was not.
    pub(crate) fn add_failure(&mut self, what: String) {
        self.failures.push(what);
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(crate) fn to_json(&self) -> Value {
        let figures: Vec<_> = self.rows.iter().map(Row::to_json).collect();
        json!({ "figures": figures, "failures": self.failures })
    }
}

impl Row {
    pub(crate) fn median(&self, subject: Subject) -> Option<f64> {
        self.subjects.get(&subject).map(Rounds::median)
    }

    fn to_json(&self) -> Value {
        let subjects: serde_json::Map<_, _> =
            self.subjects.iter().map(|(subject, rounds)| (subject.to_string(), rounds.to_json())).collect();
        let Figure { name, unit, more_is_better } = &self.figure;
        json!({ "name": name, "unit": unit, "more_is_better": more_is_better, "subjects": subjects })
    }
}

impl Rounds {
    pub(crate) fn median(&self) -> f64 {
        median(&self.0)
    }

    pub(crate) fn least(&self) -> f64 {
        least(&self.0)
    }

    pub(crate) fn greatest(&self) -> f64 {
        greatest(&self.0)
    }

    fn to_json(&self) -> Value {
        json!({ "rounds": self.0, "median": self.median(), "min": self.least(), "max": self.greatest() })
    }
}
