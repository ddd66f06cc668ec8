//! What a measurement comes to: rows, their medians and budgets, and the ways to print them.
//!
//! A row keeps every sample, so that median, spread and ratio are computed in one place. Filled
//! by the measurements, printed by the command line. A budget judges the median of the row, or
//! the ratio to its limit, never a single lucky round. It does not measure anything.

use serde::Serialize;
use std::fmt::Write as _;

/// Why a measurement gives no figure.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An answer was not what the database says, or did not come.
    #[error("wrong: {0}")]
    Wrong(String),
    /// The measurement itself could not be carried out.
    #[error("broken: {0}")]
    Broken(String),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Broken(format!("database: {error}"))
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Broken(format!("JSON: {error}"))
    }
}

impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Broken(format!("a task ended: {error}"))
    }
}

/// An answer that is not what it should be.
pub fn wrong<T>(what: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Wrong(what.into()))
}

/// A measurement that cannot be carried out.
pub fn broken<T>(what: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Broken(what.into()))
}

/// What a row has to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// The value may not be above this.
    AtMost(f64),
    /// The value divided by its limit may not be below this.
    RatioAtLeast(f64),
}

/// One figure of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// Stable, in kebab case.
    pub name: String,
    /// Of the value and of the limit.
    pub unit: &'static str,
    /// One for each round.
    pub samples: Vec<f64>,
    /// The limit server's, one for each round.
    pub limits: Vec<f64>,
    /// The product's CPU per operation in microseconds, one for each round.
    pub cpu: Vec<f64>,
    /// What it has to keep, if anything.
    pub budget: Option<Budget>,
    /// What else is worth knowing.
    pub note: String,
}

/// A row for programs.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    value: f64,
    unit: &'a str,
    limit: Option<f64>,
    ratio: Option<f64>,
    budget: Option<f64>,
    holds: Option<bool>,
    spread: [f64; 2],
    cpu_us: Option<f64>,
    note: &'a str,
}

impl Row {
    /// A row without limit, CPU and budget.
    pub fn new(name: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Self {
        let (limits, cpu) = (Vec::new(), Vec::new());
        Self { name: name.into(), unit, samples, limits, cpu, budget: None, note: String::new() }
    }

    /// Adds what the limit server reached.
    #[must_use]
    pub fn limits(mut self, limits: Vec<f64>) -> Self {
        self.limits = limits;
        self
    }

    /// Adds the CPU per operation.
    #[must_use]
    pub fn cpu(mut self, cpu: Vec<f64>) -> Self {
        self.cpu = cpu;
        self
    }

    /// Adds what has to hold.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The median of the rounds.
    pub fn value(&self) -> f64 {
        median(&self.samples)
    }

    /// The limit server's median.
    pub fn limit(&self) -> Option<f64> {
        (!self.limits.is_empty()).then(|| median(&self.limits))
    }

    /// Value by limit.
    pub fn ratio(&self) -> Option<f64> {
        self.limit().filter(|limit| *limit > 0.0).map(|limit| self.value() / limit)
    }

    /// Whether the budget holds; nothing without one.
    pub fn holds(&self) -> Option<bool> {
        match self.budget? {
            Budget::AtMost(most) => Some(self.value() <= most),
            Budget::RatioAtLeast(least) => Some(self.ratio()? >= least),
        }
    }

    fn budget_text(&self) -> String {
        match self.budget {
            None => String::new(),
            Some(Budget::AtMost(most)) => format!("<= {}", figure(most)),
            Some(Budget::RatioAtLeast(least)) => format!("ratio >= {}", figure(least)),
        }
    }

    fn cells(&self) -> [String; 9] {
        let (low, high) = spread(&self.samples);
        let optional = |value: Option<f64>| value.map(figure).unwrap_or_default();
        [
            self.name.clone(),
            figure(self.value()),
            self.unit.to_owned(),
            format!("{}..{}", figure(low), figure(high)),
            optional((!self.cpu.is_empty()).then(|| median(&self.cpu))),
            optional(self.limit()),
            self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.budget_text(),
            self.holds().map(yes_or_no).unwrap_or_default().to_owned(),
        ]
    }

    fn entry(&self) -> Entry<'_> {
        let (low, high) = spread(&self.samples);
        Entry {
            name: &self.name,
            value: self.value(),
            unit: self.unit,
            limit: self.limit(),
            ratio: self.ratio(),
            budget: self.budget.map(|budget| match budget {
                Budget::AtMost(figure) | Budget::RatioAtLeast(figure) => figure,
            }),
            holds: self.holds(),
            spread: [low, high],
            cpu_us: (!self.cpu.is_empty()).then(|| median(&self.cpu)),
            note: &self.note,
        }
    }
}

fn yes_or_no(holds: bool) -> &'static str {
    if holds { "yes" } else { "NO" }
}

const HEADS: [&str; 9] = ["row", "median", "unit", "min..max", "CPU us", "limit", "ratio", "budget", "holds"];
/// Fits the longest row name and most figures; longer ones push the rest to the right.
const WIDTHS: [usize; 9] = [28, 9, 10, 19, 8, 9, 6, 12, 5];

/// The head of the table.
pub fn head() -> String {
    line(&HEADS.map(str::to_owned))
}

/// A row of the table, its remark in a second line.
pub fn text(row: &Row) -> String {
    let mut text = line(&row.cells());
    if !row.note.is_empty() {
        let _never_fails = write!(text, "\n    {}", row.note);
    }
    text
}

fn line(cells: &[String; 9]) -> String {
    let mut text = String::new();
    for (at, (cell, width)) in cells.iter().zip(WIDTHS).enumerate() {
        // Names and units read from the left, figures from the right.
        let _never_fails = match at {
            0 | 2 => write!(text, "{cell:<width$} "),
            _ => write!(text, "{cell:>width$} "),
        };
    }
    text.trim_end().to_owned()
}

/// The table as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = format!("| {} |\n|---|--:|---|--:|--:|--:|--:|--:|---|\n", HEADS.join(" | "));
    for row in rows {
        let _never_fails = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text
}

/// The rows as JSON.
///
/// # Errors
/// [`Failure::Broken`] for a figure that is no number.
pub fn json(rows: &[Row]) -> Result<String, Failure> {
    let entries: Vec<_> = rows.iter().map(Row::entry).collect();
    Ok(serde_json::to_string_pretty(&entries)?)
}

/// How many budgets hold, in a sentence.
pub fn verdict(rows: &[Row]) -> String {
    let judged: Vec<bool> = rows.iter().filter_map(Row::holds).collect();
    let held = judged.iter().filter(|holds| **holds).count();
    format!("{held} of {} budgets hold.", judged.len())
}

/// Two programs beside each other: the median and spread of both, and the change.
pub fn comparison(ours: &Row, theirs: &Row) -> String {
    let side = |samples: &[f64]| {
        let (low, high) = spread(samples);
        format!("{} ({}..{})", figure(median(samples)), figure(low), figure(high))
    };
    let change = |a: &[f64], b: &[f64]| {
        let (a, b) = (median(a), median(b));
        if a > 0.0 { format!("{:+.1} %", (b / a - 1.0) * 100.0) } else { "-".to_owned() }
    };
    let mut text = format!(
        "{:<28} {:<10} A {:<30} B {:<30} B to A {}",
        ours.name,
        ours.unit,
        side(&ours.samples),
        side(&theirs.samples),
        change(&ours.samples, &theirs.samples)
    );
    if !ours.cpu.is_empty() && !theirs.cpu.is_empty() {
        let _never_fails = write!(
            text,
            "\n{:<28} {:<10} A {:<30} B {:<30} B to A {}",
            "",
            "CPU us",
            side(&ours.cpu),
            side(&theirs.cpu),
            change(&ours.cpu, &theirs.cpu)
        );
    }
    text
}

/// As many digits as a person reads.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The middle value; of an even number of values the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(half)) {
        (_, None) => 0.0,
        (1, Some(middle)) => *middle,
        (_, Some(upper)) => f64::midpoint(sorted.get(half - 1).copied().unwrap_or(*upper), *upper),
    }
}

fn spread(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.is_empty() { (0.0, 0.0) } else { (low, high) }
}

/// The value below or at which this share of all values lies (nearest rank).
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is small and positive"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), 50.0);
        assert_eq!(percentile(&values, 0.99), 99.0);
        assert_eq!(percentile(&values, 1.0), 100.0);
        assert_eq!(percentile(&[7.0], 0.01), 7.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn one_lucky_round_moves_no_median() {
        assert_eq!(median(&[1.0, 900.0, 2.0]), 2.0);
        assert_eq!(median(&[1.0, 3.0]), 2.0);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn budgets_judge_value_or_ratio() {
        let row = Row::new("a", "req/s", vec![40.0, 50.0, 60.0]).limits(vec![100.0]);
        assert_eq!(row.ratio(), Some(0.5));
        assert_eq!(row.holds(), None);
        assert_eq!(row.clone().budget(Budget::RatioAtLeast(0.5)).holds(), Some(true));
        assert_eq!(row.clone().budget(Budget::RatioAtLeast(0.6)).holds(), Some(false));
        let rows = [row.clone().budget(Budget::AtMost(49.0)), row.budget(Budget::AtMost(50.0))];
        assert_eq!(verdict(&rows), "1 of 2 budgets hold.");
        assert!(json(&rows).unwrap().contains("\"holds\": false"));
        assert_eq!(markdown(&rows).lines().count(), 4);
    }
}
