//! The whole measurement in a few seconds: every row is there, and nothing names a place on it.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_smoke_run_measures_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    let output = Command::new(env!("CARGO_BIN_EXE_strongroom-bench"))
        .args(["all", "--smoke", "--json"])
        .arg(&json)
        .args(["--folder"])
        .arg(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");

    let table = String::from_utf8(output.stdout).unwrap();
    let text = std::fs::read_to_string(&json).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ROWS);
    for row in rows {
        let name = row["name"].as_str().unwrap();
        // Once among the ratios, once among the absolute figures.
        assert_eq!(table.matches(&format!("| {name} ")).count(), 2, "{name} in\n{table}");
        assert!(row["ratio"]["median"].as_f64().unwrap() > 0.0, "{row}");
        for side in ["ours", "theirs"] {
            assert!(row[side][0]["operations"].as_u64().unwrap() > 0, "{row}");
            let has_latency = ![SEALING, ERASURE].contains(&name);
            assert!(!has_latency || row[side][0]["p99_us"].as_f64().unwrap() > 0.0, "{row}");
        }
        assert!(row["ours"][0]["server_cpu_us"].as_f64().unwrap() > 0.0, "{row}");
    }
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);

    let place = folder.path().to_str().unwrap();
    for place in [place, env!("CARGO_MANIFEST_DIR")] {
        assert!(!table.contains(place) && !text.contains(place), "the report names `{place}`");
    }
}

/// Many of these are timed in one go.
const SEALING: &str = "sealing a record of 10 fields";
const ERASURE: &str = "erasure, asked for and done";

const ROWS: [&str; 11] = [
    "audited read, 1 client",
    "audited read, 64 clients",
    "audited read, 256 clients",
    "look-up + read, 64 clients",
    "one read at a time, latency",
    "create, 64 clients",
    "change of a field, 64 clients",
    "audited read in process, 64 at once",
    "one read at a time in process, latency",
    SEALING,
    ERASURE,
];
