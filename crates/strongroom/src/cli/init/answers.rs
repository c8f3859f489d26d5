//! What an installation is to be: from flags, or asked on a terminal, each question with a default and
//! why it is asked.

mod witness;

use std::io::BufRead;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::web::HostName;

/// The answers, where they are given as flags.
#[derive(Args, Default)]
pub(in crate::cli) struct Flags {
    /// What the business is called
    #[arg(long, value_name = "NAME", value_parser = business)]
    business: Option<String>,
    /// Where its days begin and end, like Europe/London
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<String>,
    /// Which policy to begin with
    #[arg(long, value_enum)]
    template: Option<Template>,
    /// How it is reached
    #[arg(long, value_enum)]
    reach: Option<Reach>,
    /// The name or address it is reached by; several by repeating it
    #[arg(long, value_name = "HOST", value_parser = HostName::parse, requires = "reach")]
    host: Vec<HostName>,
    /// With `--reach public`: agree to the terms of the public authority, Let's Encrypt
    #[arg(long)]
    agree_to_terms: bool,
    /// The folder backups go to
    #[arg(long, value_name = "DIR", value_parser = folder)]
    backups: Option<PathBuf>,
    #[command(flatten)]
    witness: witness::WitnessFlags,
    /// Ask nothing, also on a terminal
    #[arg(long)]
    no_questions: bool,
}

/// What an installation is to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answers {
    /// None leaves the example's.
    pub(super) business: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) template: Template,
    pub(super) road: RoadTo,
    pub(super) backups: PathBuf,
    /// None leaves a finding.
    pub(super) witness: Option<witness::Chosen>,
}

/// A policy to begin with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// Sells and delivers
    #[default]
    Shop,
    /// Sees clients by appointment
    Practice,
    /// Works on projects for clients
    Agency,
    /// Has members
    Club,
}

/// How an installation is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Reach {
    /// From this machine only
    #[default]
    Local,
    /// From the office network, with an authority of your own
    Office,
    /// By a public name, with a certificate of a public authority (ACME)
    Public,
    /// Through a proxy on this machine, which ends TLS
    Proxy,
}

/// The same with what it needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RoadTo {
    Local,
    Office(Vec<HostName>),
    Public(Vec<HostName>),
    Proxy(Vec<HostName>),
}

impl Template {
    /// The policy, whole.
    pub(super) fn policy(self) -> &'static str {
        match self {
            Self::Agency => include_str!("../../../../../examples/agency/policy.toml"),
            Self::Club => include_str!("../../../../../examples/club/policy.toml"),
            Self::Practice => include_str!("../../../../../examples/practice/policy.toml"),
            Self::Shop => include_str!("../../../../../examples/shop/policy.toml"),
        }
    }

    /// A role and a purpose that a first program of such a business has.
    pub(super) fn first_key(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Agency => ("Team", "team", "support"),
            Self::Club => ("Secretary", "secretary", "support"),
            Self::Practice => ("Calendar", "calendar", "support"),
            Self::Shop => ("Shop", "shop", "support"),
        }
    }
}

impl Flags {
    /// Whether questions may be asked.
    pub(super) fn may_ask(&self) -> bool {
        !self.no_questions
    }

    /// Without a question: what is not given takes its default.
    pub(super) fn answers(&self) -> Result<Answers, Failure> {
        Ok(Answers {
            business: self.business.clone(),
            timezone: self.timezone.clone(),
            template: self.template.unwrap_or_default(),
            road: self.road(self.reach.unwrap_or_default(), self.host.clone())?,
            backups: self.backups.clone().unwrap_or_else(|| PathBuf::from(BACKUPS)),
            witness: self.witness.answer()?,
        })
    }

    /// Asks for what is not given.
    pub(super) fn ask(
        &self,
        input: &mut impl BufRead,
        output: &Output,
    ) -> Result<Answers, Failure> {
        output.line("Six questions; Enter takes what stands in [brackets].")?;
        let mut asking = Asking { input, output };
        let business = match &self.business {
            Some(business) => business.clone(),
            None => asking.ask(&BUSINESS, "My business", business)?,
        };
        let timezone = match &self.timezone {
            Some(timezone) => timezone.clone(),
            None => asking.ask(&ZONE, &own_zone(), zone)?,
        };
        let template = match self.template {
            Some(template) => template,
            None => asking.ask(&TEMPLATE, "shop", choice)?,
        };
        let reach = match self.reach {
            Some(reach) => reach,
            None => asking.ask(&REACH, "local", choice)?,
        };
        let mut hosts = self.host.clone();
        if reach != Reach::Local && hosts.is_empty() {
            hosts = vec![asking.ask(&HOST, &own_name(), HostName::parse)?];
        }
        let agreed = reach != Reach::Public || self.agree_to_terms || asking.agree()?;
        let road = Self { agree_to_terms: agreed, ..Self::default() }.road(reach, hosts)?;
        let backups = match &self.backups {
            Some(backups) => backups.clone(),
            None => asking.ask(&BACKUP, BACKUPS, folder)?,
        };
        let witness = self.witness.ask(&mut asking)?;
        output.line("")?;
        let (business, timezone) = (Some(business), Some(timezone));
        Ok(Answers { business, timezone, template, road, backups, witness })
    }

    fn road(&self, reach: Reach, hosts: Vec<HostName>) -> Result<RoadTo, Failure> {
        if reach != Reach::Local && hosts.is_empty() {
            let sentence = "by which name or address is it reached? Name it with `--host`";
            return Err(Failure::usage(sentence));
        }
        match reach {
            Reach::Local => Ok(RoadTo::Local),
            Reach::Office => Ok(RoadTo::Office(hosts)),
            Reach::Proxy => Ok(RoadTo::Proxy(hosts)),
            Reach::Public if !self.agree_to_terms => Err(Failure::usage(format!(
                "a public authority signs for who agrees to its terms ({TERMS}): read them, then \
                 say `--agree-to-terms`"
            ))),
            Reach::Public if hosts.iter().any(|it| matches!(it, HostName::Address(_))) => {
                let sentence = "a public authority signs for names, not for addresses";
                Err(Failure::usage(sentence))
            }
            Reach::Public => Ok(RoadTo::Public(hosts)),
        }
    }
}

/// One question.
struct Question {
    text: &'static str,
    /// One sentence.
    why: &'static str,
    choices: &'static [(&'static str, &'static str)],
}

struct Asking<'a, I> {
    input: &'a mut I,
    output: &'a Output,
}

impl<I: BufRead> Asking<'_, I> {
    /// Asks until the answer can be used, a few times.
    fn ask<T>(
        &mut self,
        question: &Question,
        default: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        self.output.line(&format!("\n{}\n   {}", question.text, question.why))?;
        for (name, what) in question.choices {
            self.output.line(&format!("     {name:<9} {what}"))?;
        }
        for _ in 0..TRIES_MAX {
            let line = self.line(&format!("   [{default}] "))?;
            let line = if line.is_empty() { default } else { &line };
            match read(line) {
                Ok(answer) => return Ok(answer),
                Err(problem) => self.output.line(&format!("   {problem}"))?,
            }
        }
        Err(Failure::usage("no answer could be used; the same can be given as flags, see `--help`"))
    }

    /// No default: nobody agrees by pressing Enter.
    fn agree(&mut self) -> Result<bool, Failure> {
        self.output
            .line(&format!("\n   A public authority signs for who agrees to its terms: {TERMS}"))?;
        for _ in 0..TRIES_MAX {
            match self.line("   Do you agree (yes or no)? ")?.as_str() {
                "yes" => return Ok(true),
                "no" => return Ok(false),
                _ => {}
            }
        }
        Ok(false)
    }

    fn line(&mut self, prompt: &str) -> Result<String, Failure> {
        self.output.prompt(prompt)?;
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            let sentence = "the answers ended before the questions did; nothing was made";
            return Err(Failure::usage(sentence));
        }
        Ok(line.trim().to_owned())
    }
}

fn business(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_short = (1..=BUSINESS_SIZE_CHARS_MAX).contains(&text.chars().count());
    if is_short && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("a name has 1 to {BUSINESS_SIZE_CHARS_MAX} characters"))
}

fn zone(text: &str) -> Result<String, String> {
    let known = jiff::tz::TimeZone::get(text);
    let name = known.as_ref().ok().and_then(|zone| zone.iana_name());
    name.map(str::to_owned).ok_or_else(|| {
        format!("`{text}` is no time zone; they are called like Europe/London or America/New_York")
    })
}

fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, true).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|it| Some(it.to_possible_value()?.get_name().to_owned()))
            .collect();
        format!("one of these, please: {}", names.join(", "))
    })
}

/// A folder as it can stand in the configuration.
fn folder(text: &str) -> Result<PathBuf, String> {
    let is_bad = text.trim().is_empty() || text.chars().any(char::is_control);
    if is_bad { Err("name a folder".to_owned()) } else { Ok(PathBuf::from(text.trim())) }
}

/// The machine's zone, to be confirmed.
fn own_zone() -> String {
    let zone = jiff::tz::TimeZone::try_system();
    let name = zone.as_ref().ok().and_then(|zone| zone.iana_name());
    name.unwrap_or("Europe/London").to_owned()
}

/// The machine's name, to be confirmed.
fn own_name() -> String {
    let name = std::fs::read_to_string(Path::new("/etc/hostname")).unwrap_or_default();
    HostName::parse(name.trim()).map_or_else(|_| "vault.lan".to_owned(), |name| name.to_string())
}

const BUSINESS: Question = Question {
    text: "1. What is the business called?",
    why: "It stands in the policy, and later in what customers are told.",
    choices: &[],
};
const ZONE: Question = Question {
    text: "2. In which time zone does it work?",
    why: "\"Three years\" ends with a day of the business, and budgets begin with one.",
    choices: &[],
};
const TEMPLATE: Question = Question {
    text: "3. Which policy do you begin with?",
    why: "It says what is kept, why, how long and who may look; it is one file, and yours to change.",
    choices: &[
        ("shop", "sells and delivers"),
        ("practice", "sees clients by appointment"),
        ("agency", "works on projects for clients"),
        ("club", "has members"),
    ],
};
const REACH: Question = Question {
    text: "4. How is it reached?",
    why: "Beyond this machine nothing travels readable, so it needs a certificate; this chooses whose.",
    choices: &[
        ("local", "from programs on this machine only"),
        (
            "office",
            "from the office network; an authority of your own, devices are told to trust it",
        ),
        (
            "public",
            "by a public name; a public authority (Let's Encrypt) signs, port 80 leads here",
        ),
        ("proxy", "through a proxy on this machine (nginx, Caddy), which has the certificate"),
    ],
};
const HOST: Question = Question {
    text: "   By which name or address?",
    why: "The certificate is for this name; who asks for another is refused.",
    choices: &[],
};
const BACKUP: Question = Question {
    text: "5. Which folder do backups go to?",
    why: "Best on another disk or machine: what is beside the data is lost with it.",
    choices: &[],
};

const BACKUPS: &str = "backups";
const TERMS: &str = "https://letsencrypt.org/repository/";
const BUSINESS_SIZE_CHARS_MAX: usize = 100;
/// Whoever mistypes five times wants to look something up first.
const TRIES_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(flags: &Flags, lines: &str) -> Result<Answers, Failure> {
        flags.ask(&mut lines.as_bytes(), &Output::new(false))
    }

    #[test]
    fn enter_takes_the_defaults() {
        let answers = ask(&Flags::default(), "\n\n\n\n\n\n").unwrap();
        assert_eq!((answers.template, answers.road), (Template::Shop, RoadTo::Local));
        assert_eq!(answers.business.unwrap(), "My business");
        assert_eq!(answers.backups, PathBuf::from("backups"));
        assert_eq!(answers.witness, None);
    }

    #[test]
    fn a_wrong_answer_is_asked_again_and_agreement_is_never_assumed() {
        let text = "Bay \"Rowing\"\nMoon/Base\nEurope/Paris\nclubs\nclub\noffice\n*.lan\nvault.lan\n/mnt/b\nhttp://w.lan\nhttps://w.lan\n\nkey\n{KEY}\n".replace("{KEY}", KEY);
        let answers = ask(&Flags::default(), &text).unwrap();
        let witness = answers.witness.unwrap();
        assert_eq!((witness.url.as_str(), witness.key.as_str()), ("https://w.lan", KEY));
        assert_eq!(answers.timezone.unwrap(), "Europe/Paris");
        assert_eq!(answers.template, Template::Club);
        assert_eq!(answers.road, RoadTo::Office(vec![HostName::parse("vault.lan").unwrap()]));

        let public = Flags { reach: Some(Reach::Public), ..Flags::default() };
        for answer in ["no\n", "\n\n\n\n\n", "y\nn\n\nok\nsure\n"] {
            let told = ask(&public, &format!("\n\n\nvault.example\n{answer}\n")).unwrap_err();
            assert!(told.sentence().contains("agrees to its terms"), "{told:?}");
        }
        let agreed = ask(&public, "\n\n\nvault.example\nyes\n\n\n").unwrap();
        assert_eq!(agreed.road, RoadTo::Public(vec![HostName::parse("vault.example").unwrap()]));
        assert!(ask(&Flags::default(), "a\n").unwrap_err().sentence().contains("nothing was made"));
        assert!(ask(&Flags::default(), "a\nb\nb\nb\nb\nb\nb\n").is_err());
    }

    const KEY: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
}
