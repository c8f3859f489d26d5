//! `strongroom doctor`: looks at the installation and this machine, and says what it saw.
//!
//! What must never happen here: a check that could not look counted as passed, or a value of a
//! customer looked at.

mod checks;
mod reach;

use serde_json::{Value, json};

use crate::app::App;
use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::serve;
use crate::cli::transport::{Call, Transport};
use crate::cli::upkeep::{tell_findings, wrapped};
use crate::config::Config;

/// What one check saw.
pub(super) struct Check {
    name: &'static str,
    verdict: Verdict,
    /// What was seen, one sentence without a final period.
    saw: String,
    /// What could happen to customers.
    risk: &'static str,
    /// The command that mends it, or that looks where this could not.
    mend: String,
}

/// Whether all is well, as far as it could be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fail,
    /// Worth a decision: it is so in many places that have good reasons.
    Finding,
    Pass,
    Unknown,
}

impl Check {
    fn pass(name: &'static str, saw: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Pass, saw: saw.into(), risk: "", mend: String::new() }
    }

    fn fail(
        name: &'static str,
        saw: impl Into<String>,
        risk: &'static str,
        mend: impl Into<String>,
    ) -> Self {
        Self { name, verdict: Verdict::Fail, saw: saw.into(), risk, mend: mend.into() }
    }

    fn unknown(name: &'static str, saw: impl Into<String>, look: impl Into<String>) -> Self {
        let verdict = Verdict::Unknown;
        Self { name, verdict, saw: saw.into(), risk: "", mend: look.into() }
    }

    fn as_json(&self) -> Value {
        json!({
            "check": self.name,
            "verdict": self.verdict.as_str(),
            "saw": self.saw,
            "risk": self.risk,
            "mend": self.mend,
        })
    }

    fn tell(&self, output: &Output) -> Result<(), Failure> {
        output.line(&format!("{:<8} {:<12} {}", self.verdict.as_str(), self.name, self.saw))?;
        for line in wrapped(self.risk, 88).iter().filter(|line| !line.is_empty()) {
            output.line(&format!("{:21} {line}", ""))?;
        }
        let word = if self.verdict == Verdict::Unknown { "Look:" } else { "Mend it:" };
        if self.mend.is_empty() {
            return Ok(());
        }
        output.line(&format!("{:21} {word} {}", "", self.mend))
    }
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::Finding => "FINDING",
            Self::Pass => "PASS",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// What a person says is right again.
#[derive(Clone, Copy)]
pub(super) enum Confirmed {
    /// The machine's clock, after it jumped.
    Clock,
    /// Consents that a restore brought back.
    Consents,
}

/// Says that something is right again.
pub(super) async fn confirm(
    what: Confirmed,
    common: &Common,
    output: &Output,
) -> Result<(), Failure> {
    let (path, done) = match what {
        Confirmed::Clock => {
            ("/v1/clock/confirm", "The clock is confirmed; erasures and waiting policies go on.")
        }
        Confirmed::Consents => (
            "/v1/consents/confirm",
            "Consents count again, those that the restore brought back too.",
        ),
    };
    let answer = Transport::open(common).await?.call(Call::post(path)).await?;
    output.done(answer.receipt(), done)
}

/// Looks at everything and says it; a failure if anything failed.
pub(super) async fn run(common: &Common, output: &Output) -> Result<(), Failure> {
    let seen = match &common.server {
        Some(_) => Seen::asked(&mut Transport::open(common).await?, None).await,
        None => look(common).await?,
    };
    seen.tell(output)?;
    if seen.checks.iter().any(|check| check.verdict == Verdict::Fail) {
        return Err(Failure::told());
    }
    Ok(())
}

/// What was seen in all.
struct Seen {
    checks: Vec<Check>,
    /// Of the installation; null where it could not be asked.
    findings: Value,
    /// Why it does not answer.
    problem: Option<String>,
}

/// The installation on this machine: its files, its server if one runs, else the installation itself.
async fn look(common: &Common) -> Result<Seen, Failure> {
    let config = Config::read(&common.config)?;
    let mut checks = checks::of_files(&config);
    checks.push(checks::clock());
    checks.extend(reach::certificate(&config));
    let opened = match &common.key_file {
        // A key is for a server that runs.
        Some(_) => Err(Failure::new("data_folder_in_use", "")),
        None => serve::open(&config).await,
    };
    let mut seen = match opened {
        Ok(app) => {
            checks.push(checks::policy(&app, &config));
            let every = Some(config.backup.every_minutes);
            let mut seen = Seen::asked(&mut Transport::over(&app, None)?, every).await;
            seen.checks.push(Check::unknown(
                "server",
                "no server runs on this data folder, so nobody was asked how it is reached",
                "strongroom serve",
            ));
            seen
        }
        Err(failure) if failure.code() == "data_folder_in_use" => {
            checks.extend(reach::server(&config).await);
            let look = "strongroom doctor --server URL --key-file FILE";
            let saw = "a server holds the installation; its findings and policy need a key";
            checks.push(Check::unknown("findings", saw, look));
            let saw = "a server holds the installation; how old the newest is needs a key";
            checks.push(Check::unknown("backup", saw, look));
            Seen { checks: Vec::new(), findings: Value::Null, problem: None }
        }
        Err(failure) => Seen {
            checks: vec![Check::fail(
                "opens",
                failure.sentence(),
                "Nothing about customers can be looked up until it opens.",
                "as it says",
            )],
            findings: Value::Null,
            problem: Some(failure.code().to_owned()),
        },
    };
    checks.append(&mut seen.checks);
    Ok(Seen { checks, ..seen })
}

impl Seen {
    /// What an installation says of itself; `every_minutes` a backup is due, where that is known.
    async fn asked(transport: &mut Transport, every_minutes: Option<u32>) -> Self {
        let ready = transport.call(Call::get("/readyz")).await;
        let mut checks = vec![match &ready {
            Ok(_) => {
                Check::pass("answers", "unsealed, a policy is applied, the ledger can be written")
            }
            Err(failure) => Check::fail(
                "answers",
                format!("not ready: {}", failure.sentence()),
                "Applications cannot look customers up, and people begin to keep lists of their own.",
                "as it says",
            ),
        }];
        checks.push(match transport.call(Call::get("/v1/backups")).await {
            Ok(answer) => checks::backup(&answer.json().unwrap_or_default(), every_minutes),
            Err(failure) => {
                let saw = format!("how old it is could not be read: {}", failure.sentence());
                Check::unknown("backup", saw, "strongroom backup list")
            }
        });
        let findings = match transport.call(Call::get("/v1/findings")).await {
            Ok(answer) => answer.json().unwrap_or_default(),
            Err(failure) => {
                let saw = format!("they could not be read: {}", failure.sentence());
                checks.push(Check::unknown("findings", saw, "strongroom findings"));
                Value::Null
            }
        };
        let problem = ready.err().map(|failure| failure.code().to_owned());
        Self { checks, findings, problem }
    }

    fn tell(&self, output: &Output) -> Result<(), Failure> {
        if output.is_json() {
            let checks: Vec<Value> = self.checks.iter().map(Check::as_json).collect();
            return output.value(&json!({
                "ready": self.checks.iter().any(|it| it.name == "answers" && it.verdict == Verdict::Pass),
                "problem": self.problem,
                "checks": checks,
                "findings": self.findings.get("findings"),
            }));
        }
        for check in &self.checks {
            check.tell(output)?;
        }
        let count = |verdict| self.checks.iter().filter(|it| it.verdict == verdict).count();
        output.line(&format!(
            "\n{} checks: {} passed, {} failed, {} unknown, {} to decide on. What is unknown did not \
             pass.\n",
            self.checks.len(),
            count(Verdict::Pass),
            count(Verdict::Fail),
            count(Verdict::Unknown),
            count(Verdict::Finding),
        ))?;
        if self.findings.is_null() {
            return Ok(());
        }
        tell_findings(&self.findings, output)
    }
}

/// What a running app says of its applied policy.
fn applied(app: &App) -> Option<std::sync::Arc<crate::policy::Applied>> {
    app.desk().ok()?.rights.now().ok()?.applied.clone()
}
