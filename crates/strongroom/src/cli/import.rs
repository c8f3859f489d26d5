//! `strongroom import`: the old customer list comes in, each row exactly once.
//!
//! The file is named by its hash and read in order; the server keeps how many rows are done. Run
//! again after any interruption, it goes on there. What must never happen here: a cell of the file
//! in a message. Its first line counts as cells, too: it may be a customer where a head was expected.

mod lines;
mod plan;
mod progress;
mod report;
mod rows;
mod sheet;
mod source;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, warn};
use crate::cli::transport::{Call, Transport};
use crate::vault::CHUNK_ROWS_MAX;
use crate::web::CHUNK_SIZE_BYTES_MAX;

use plan::Mapping;
pub(super) use plan::{Column, Format, Plan};
pub(super) use progress::Progress;
use report::Report;
use rows::{Row, Rows};
pub(super) use source::Encoding;

/// Import customers from a CSV or NDJSON file, with an API key whose role may import
///
/// What `strongroom export` wrote is read back as it is, also encrypted (`--identity`). The customer
/// exports of Shopify and WooCommerce have their maps built in (`--map shopify`).
///
/// Interrupted, it goes on where it stopped when the same command is run again. Rows without a unique
/// value (as without an e-mail address) are made; rows whose unique value another customer has are
/// skipped and listed.
///
/// Example: strongroom import old.csv --map name=Name --map email=E-Mail --map address.lines=Street --map address.city=Town --relation purchase --relation-date-column "Last order" --key-file importer.key
#[derive(Args)]
pub(super) struct Import {
    /// The file; a table has the names of its columns in its first line
    file: PathBuf,
    /// Which column is which field; or `shopify`, `woocommerce` or the name of a map that was kept.
    /// Several columns of one field are joined. `reference.shop=Number` is what your shop calls the
    /// customer: rows whose reference is there already are skipped
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = Mapping::parse)]
    map: Vec<Mapping>,
    /// Keep the map under this name; `--map NAME` takes it again
    #[arg(long, value_name = "NAME", value_parser = plan::name)]
    save_map: Option<String>,
    /// A field of a built-in or kept map that stays behind
    #[arg(long, value_name = "FIELD")]
    without: Vec<String>,
    /// Why these customers are known, as the policy names it; several times for several
    #[arg(long, value_name = "RELATION")]
    relation: Vec<String>,
    /// A table, or one JSON object a line; what the name of the file says, if left out
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// How the letters of the file are written
    #[arg(long, value_enum, default_value = "auto")]
    encoding: Encoding,
    /// The file with the secret key (age) that opens an encrypted file
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The column that says when the relation last happened, like 2024-05-31; without it, today
    #[arg(long, value_name = "COLUMN")]
    relation_date_column: Option<String>,
    /// What stands between two cells
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = plan::delimiter)]
    delimiter: u8,
    /// Say what would become of the rows, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Rows sent at a time; fewer where they would be more than 4 MiB
    #[arg(long, value_name = "ROWS", default_value_t = 4_000,
        value_parser = clap::value_parser!(u16).range(1..=CHUNK_ROWS_MAX as i64))]
    chunk: u16,
    /// Write every problem to this file, not the first 20 only
    #[arg(long, value_name = "FILE")]
    problems: Option<PathBuf>,
}

/// The rows of a file or what is wrong with them, and its hash; or why it cannot be read.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) type ReadFile = Result<(Vec<Result<String, String>>, [u8; 32]), String>;

/// Reads a file from memory, `step` bytes at once, for the fuzzer: as `csv` or `ndjson`, in an encoding
/// named as on the command line.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn read_file(bytes: &[u8], step: usize, format: &str, encoding: &str) -> ReadFile {
    use clap::ValueEnum;
    let column = |text: &str| Column::parse(text);
    let plan = Plan {
        columns: vec![
            column("name=Name")?,
            column("email=E-Mail")?,
            column("address.lines=Street")?,
            column("address.city=Town")?,
            column("reference.shop=Number")?,
        ],
        relations: vec!["enquiry".to_owned()],
        date_column: Some("Last".to_owned()),
        delimiter: b',',
        chunk_rows: 1,
        format: Format::from_str(format, false)?,
        encoding: Encoding::from_str(encoding, false)?,
        identity: None,
    };
    rows::read_bytes(bytes.to_vec(), step, &plan)
}

impl Import {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let mut plan = Plan {
            columns: Mapping::columns(&self.map, &self.without),
            format: self.format.unwrap_or_else(|| format_of(&self.file)),
            encoding: self.encoding,
            identity: self.identity.clone(),
            relations: self.relation.clone(),
            date_column: self.relation_date_column.clone(),
            delimiter: self.delimiter,
            chunk_rows: usize::from(self.chunk),
        };
        let kept = self.map.iter().any(|map| matches!(map, Mapping::Saved(_)));
        if !kept {
            refuse_without_map(&plan)?;
        }
        let mut transport = Transport::open(common).await?;
        for map in &self.map {
            let Mapping::Saved(name) = map else { continue };
            let answer = transport.call(Call::get(format!("/v1/imports/maps/{name}"))).await?;
            plan.take_map(&answer.json()?, &self.without);
        }
        refuse_without_map(&plan)?;
        if let Some(name) = &self.save_map {
            let call = Call::put(format!("/v1/imports/maps/{name}")).json(&plan.to_map());
            transport.call(call).await?;
        }
        let mut report = Report::new(&plan, self.problems.as_deref())?;
        if self.dry_run {
            try_all(&mut transport, &self.file, &plan, &mut report).await?;
            return report.tell_dry_run(output);
        }
        let progress = Progress::for_people("rows");
        let totals = take_all(&mut transport, &self.file, &plan, &mut report, progress).await?;
        report.tell(&totals, &self.file, output)
    }
}

/// Where an import stands, as the server counts.
#[derive(Default)]
pub(super) struct Totals {
    id: String,
    /// Rows of the file.
    rows: u64,
    rows_done: u64,
    pub(super) created: u64,
    skipped: u64,
    refused: u64,
    receipt: Option<String>,
}

/// A table says nothing about itself.
fn refuse_without_map(plan: &Plan) -> Result<(), Failure> {
    if plan.format != Format::Csv || !(plan.columns.is_empty() || plan.relations.is_empty()) {
        return Ok(());
    }
    let sentence = "a table needs `--map FIELD=COLUMN` and `--relation`, which say what its columns \
                    are and why these customers are known";
    Err(Failure::usage(sentence))
}

/// By the last word of its name that says something.
fn format_of(file: &Path) -> Format {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".age").unwrap_or(name);
    let is_lines = [".ndjson", ".jsonl"].iter().any(|end| name.ends_with(end));
    if is_lines { Format::Ndjson } else { Format::Csv }
}

/// Imports a file without a word; for whoever made the file.
pub(super) async fn take_quietly(
    transport: &mut Transport,
    file: &Path,
    plan: &Plan,
) -> Result<Totals, Failure> {
    take_all(transport, file, plan, &mut Report::new(plan, None)?, Progress::Quiet).await
}

async fn take_all(
    transport: &mut Transport,
    file: &Path,
    plan: &Plan,
    report: &mut Report,
    mut progress: Progress,
) -> Result<Totals, Failure> {
    let looked = rows::look_through(file, plan)?;
    report.left_behind = looked.unmapped;
    report.unreadable = looked.unreadable;
    report.with_records = looked.with_records;
    let hex = |hash: [u8; 32]| data_encoding::HEXLOWER.encode(&hash);
    let body = json!({ "file_sha256": hex(looked.sha256), "map_sha256": hex(plan.sha256()) });
    let begun = transport.call(Call::post("/v1/imports").json(&body)).await?.json()?;
    let mut totals = Totals { rows: looked.rows, ..Totals::default() };
    totals.read(&begun);
    if totals.rows_done > 0 && !matches!(progress, Progress::Quiet) {
        warn(&format!("Going on after row {}.", report::grouped(totals.rows_done)));
    }
    progress.begin(totals.rows_done, totals.rows);
    let mut sheet = Rows::open(file, plan)?;
    sheet.skip_rows(totals.rows_done)?;
    let path = format!("/v1/imports/{}/rows", totals.id);
    loop {
        let rows = next_chunk(&mut sheet, plan)?;
        if rows.is_empty() {
            break;
        }
        let body = chunk_body(Some(totals.rows_done), &rows);
        let answer = transport.call(Call::post(path.as_str()).bytes(body)).await;
        let answer = answer.map_err(|failure| {
            failure.and(". Run the same command again to go on; nothing is taken twice")
        })?;
        let view = answer.json()?;
        totals.receipt = answer.receipt().map(str::to_owned);
        totals.read(&view);
        report.add(&view)?;
        progress.at(totals.rows_done);
    }
    progress.end();
    if sheet.sha256() != looked.sha256 {
        let sentence = "the file was changed while it was imported, so rows may be missing or mixed; \
                        look at what came in, and leave a file alone while it is imported";
        return Err(Failure::new("file_changed", sentence));
    }
    Ok(totals)
}

async fn try_all(
    transport: &mut Transport,
    file: &Path,
    plan: &Plan,
    report: &mut Report,
) -> Result<(), Failure> {
    let looked = rows::look_through(file, plan)?;
    report.left_behind = looked.unmapped;
    report.unreadable = looked.unreadable;
    report.with_records = looked.with_records;
    let mut progress = Progress::for_people("rows");
    progress.begin(0, looked.rows);
    let mut sheet = Rows::open(file, plan)?;
    let mut done = 0;
    loop {
        let rows = next_chunk(&mut sheet, plan)?;
        if rows.is_empty() {
            break;
        }
        let call = Call::post("/v1/imports/dry-run").bytes(chunk_body(None, &rows));
        report.add(&transport.call(call).await?.json()?)?;
        done += rows.len() as u64;
        progress.at(done);
    }
    progress.end();
    report.rows_tried = done;
    Ok(())
}

/// The next rows that fit into one call; none at the end.
fn next_chunk(sheet: &mut Rows<'_>, plan: &Plan) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::with_capacity(plan.chunk_rows);
    let mut size_bytes = ENVELOPE_SIZE_BYTES;
    while rows.len() < plan.chunk_rows {
        let Some(row) = sheet.next_row()? else { break };
        size_bytes += row.json.len() + 1;
        if size_bytes > CHUNK_SIZE_BYTES_MAX && !rows.is_empty() {
            sheet.put_back(row);
            break;
        }
        rows.push(row);
    }
    Ok(rows)
}

fn chunk_body(first: Option<u64>, rows: &[Row]) -> Vec<u8> {
    let first = first.map_or_else(String::new, |first| format!("\"first\":{first},"));
    let mut body = format!("{{{first}\"rows\":[").into_bytes();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        body.extend_from_slice(row.json.as_bytes());
    }
    body.extend_from_slice(b"]}");
    body
}

impl Totals {
    fn read(&mut self, view: &Value) {
        let number = |name: &str| view.get(name).and_then(Value::as_u64).unwrap_or_default();
        self.rows_done = number("rows_done");
        self.created = number("created");
        self.skipped = number("skipped");
        self.refused = number("refused");
        if let Some(id) = view.get("id").and_then(Value::as_str) {
            id.clone_into(&mut self.id);
        }
    }
}

/// More than the braces, names and the number around the rows take.
const ENVELOPE_SIZE_BYTES: usize = 64;
