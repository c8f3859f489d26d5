//! What an import tells: problems by line and column, never with a value, and what to do next.

use std::fs::{File, OpenOptions};
use std::io::{LineWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::Totals;
use super::plan::Plan;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// Collects problems while an import runs.
pub(super) struct Report {
    /// Field and the columns it comes from.
    columns: Vec<(String, String)>,
    shown: Vec<String>,
    count: u64,
    file: Option<LineWriter<File>>,
    /// Columns of the file that the plan does not name.
    pub(super) left_behind: usize,
    /// Customers that the export this file comes from could not open.
    pub(super) unreadable: u64,
    /// Customers whose records stay behind.
    pub(super) with_records: u64,
    /// Rows of a dry run.
    pub(super) rows_tried: u64,
}

impl Report {
    pub(super) fn new(plan: &Plan, problems: Option<&Path>) -> Result<Self, Failure> {
        let open = |path: &Path| {
            // Appended to: an import that goes on has more to say, and nothing is overwritten.
            OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(|cause| {
                let sentence = format!("`{}` cannot be written: {cause}", path.display());
                Failure::new("input_output", sentence)
            })
        };
        let file = problems.map(open).transpose()?.map(LineWriter::new);
        let mut columns: Vec<(String, String)> = Vec::new();
        for column in &plan.columns {
            match columns.iter_mut().find(|(field, _)| *field == column.field) {
                Some((_, names)) => {
                    names.push_str("`, `");
                    names.push_str(&column.column);
                }
                None => columns.push((column.field.clone(), column.column.clone())),
            }
        }
        Ok(Self {
            columns,
            shown: Vec::new(),
            count: 0,
            file,
            left_behind: 0,
            unreadable: 0,
            with_records: 0,
            rows_tried: 0,
        })
    }

    /// Adds the problems of one answer.
    pub(super) fn add(&mut self, view: &Value) -> Result<(), Failure> {
        let problems = view.get("problems").and_then(Value::as_array);
        for problem in problems.map(Vec::as_slice).unwrap_or_default() {
            let line = problem.get("line").and_then(Value::as_u64).unwrap_or_default();
            let detail = problem.get("detail").and_then(Value::as_str).unwrap_or_default();
            let text = format!("line {line}: {}", self.with_columns(detail));
            self.count += 1;
            if let Some(file) = &mut self.file {
                writeln!(file, "{text}")?;
            }
            if self.shown.len() < SHOWN_MAX {
                self.shown.push(text);
            }
        }
        Ok(())
    }

    pub(super) fn tell_dry_run(&self, output: &Output) -> Result<(), Failure> {
        if output.is_json() {
            return output.value(&json!({
                "rows": self.rows_tried,
                "problems": self.shown,
                "problems_not_shown": self.not_shown(),
            }));
        }
        self.tell_problems(output)?;
        let fine = self.rows_tried.saturating_sub(self.count);
        output.line(&format!(
            "{} rows would make a customer each, {} would not. Nothing was changed.\n\
             Twins that stand far apart in the file are noticed by the import alone.",
            grouped(fine),
            grouped(self.count)
        ))?;
        self.tell_left_behind(output)
    }

    pub(super) fn tell(
        &self,
        totals: &Totals,
        file: &Path,
        output: &Output,
    ) -> Result<(), Failure> {
        if output.is_json() {
            return output.value(&json!({
                "id": totals.id,
                "rows": totals.rows,
                "rows_done": totals.rows_done,
                "created": totals.created,
                "skipped": totals.skipped,
                "refused": totals.refused,
                "problems": self.shown,
                "problems_not_shown": self.not_shown(),
                "receipt": totals.receipt,
            }));
        }
        self.tell_problems(output)?;
        let earlier = (totals.skipped + totals.refused).saturating_sub(self.count);
        if earlier > 0 {
            output.line(&format!(
                "{} problems were told by the runs before this one.\n",
                grouped(earlier)
            ))?;
        }
        output.line(&format!("All {} rows are done:", grouped(totals.rows)))?;
        let row = |count: u64, what: &str| vec![format!("{:>12}", grouped(count)), what.to_owned()];
        output.rows(&[
            row(totals.created, "customers made"),
            row(totals.skipped, "skipped: another customer has their unique value"),
            row(totals.refused, "refused"),
        ])?;
        if totals.refused > 0 {
            output.line(
                "Correct refused rows in a file of their own: rows without a unique value would be \
                 made again\nwith a changed copy of the whole file.",
            )?;
        }
        self.tell_left_behind(output)?;
        match &totals.receipt {
            Some(receipt) => output.line(&format!("Receipt: {receipt}"))?,
            None => output.line("Nothing was left to do; this file was imported before.")?,
        }
        output.line(&format!(
            "\nThe originals are still in `{}`, and where that came from: the old program, its\n\
             backups, mails, the folder of downloads. Delete them there once you have looked at the \
             result.",
            file.display()
        ))
    }

    fn tell_problems(&self, output: &Output) -> Result<(), Failure> {
        for problem in &self.shown {
            output.line(problem)?;
        }
        if self.not_shown() > 0 {
            let hint = if self.file.is_some() { "" } else { "; `--problems FILE` lists all" };
            output.line(&format!("… and {} more{hint}", grouped(self.not_shown())))?;
        }
        if self.count > 0 { output.line("") } else { Ok(()) }
    }

    fn tell_left_behind(&self, output: &Output) -> Result<(), Failure> {
        if self.unreadable > 0 {
            output.line(&format!(
                "{} customers are named in the file but were unreadable when it was written.",
                grouped(self.unreadable)
            ))?;
        }
        if self.with_records > 0 {
            output.line(&format!(
                "{} customers have records in the file (invoices, orders, messages), which stay \
                 behind: send them\nto `POST /v1/customers/{{id}}/records`.",
                grouped(self.with_records)
            ))?;
        }
        match self.left_behind {
            0 => Ok(()),
            1 => output.line("1 column of the file is not mapped and stays behind."),
            count => {
                output.line(&format!("{count} columns of the file are not mapped and stay behind."))
            }
        }
    }

    fn not_shown(&self) -> u64 {
        self.count.saturating_sub(self.shown.len() as u64)
    }

    /// Names the column beside its field: people look into the file by column.
    fn with_columns(&self, detail: &str) -> String {
        let mut text = detail.to_owned();
        for (field, columns) in &self.columns {
            let named = format!("{field} (column `{columns}`): ");
            if let Some(rest) = text.strip_prefix(&format!("{field}: ")) {
                text = format!("{named}{rest}");
            }
            text = text.replace(&format!("; {field}: "), &format!("; {named}"));
            text = text.replace(
                &format!("this `{field}`"),
                &format!("this `{field}` (column `{columns}`)"),
            );
        }
        text
    }
}

/// `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As many as a person reads; the rest is counted.
const SHOWN_MAX: usize = 20;
