//! Restoring: both backups and what unseals them make an installation, in an empty data folder.
//!
//! Everything happens in a folder inside it that nobody opens, in this order: rows and small keys;
//! every register that can be reached; only then the data keys, without those a register names; the
//! new incarnation of the log; the indexes. The last step gives the files their names, keys.db last,
//! without which nothing opens. Broken off anywhere, it begins anew.

mod agree;
mod stage;

use std::path::PathBuf;
use std::sync::Arc;

use strongroom_crypto::Random;
use zeroize::Zeroizing;

use crate::access::{self, Book, Rights};
use crate::backup::model::{Kind, Manifest, Step};
use crate::backup::verbs::read::{self, Opened, by_seal, pick};
use crate::ctx::{Actor, Ctx, SystemGrant, Time};
use crate::db::{Connection, DATA, migrate};
use crate::error::Error;
use crate::findings::{self, Finding, FindingKind};
use crate::id::Id;
use crate::keys::{self, Keyring, Places, Seal};
use crate::ledger::{self, LogFacts, Opening};
use crate::vault::{self, Rebuild, Rebuilt, Replay};
use crate::{outlets, policy, staff, webhooks};

pub use agree::Agreement;
pub(in crate::backup) use stage::Stage;

/// What to restore, and where to.
pub struct RestoreInput {
    /// The data backup, or a folder in which the newest is taken.
    pub data: PathBuf,
    /// The key backup, or a folder in which the newest is taken.
    pub keys: PathBuf,
    /// More key backups, of which only the register is used.
    pub registers: Vec<PathBuf>,
    /// The empty data folder, and what opens the installation from then on.
    pub places: Places,
    /// What opens the backups, where it is something else: another key file, or two recovery shares. What
    /// opens the installation afterwards is then made anew.
    pub unseal: Option<Seal>,
    /// The day the newest register was made, as `2026-11-21`, where it does not reach far enough.
    pub register_as_of: Option<String>,
    /// The secrets of the API keys of two people who agree to that.
    pub agreed_by: Vec<Zeroizing<String>>,
    /// Whether customers whose key is in neither backup are taken over as they are.
    pub missing_keys: MissingKeys,
    /// Whether it is only looked at what would come back.
    pub outcome: Outcome,
}

impl RestoreInput {
    /// The data folder, and what opens the backups.
    fn unsealing(&self) -> Places {
        let data_folder = self.places.data_folder.clone();
        Places::in_folder(data_folder, self.unseal.as_ref().unwrap_or(&self.places.seal).clone())
    }
}

/// What to do about customers whose keys are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKeys {
    /// Keep their rows, sealed; their keys may turn up.
    Keep,
    /// Restore nothing.
    Refuse,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The installation.
    Keep,
    /// Nothing: a preview.
    Discard,
}

/// What was restored, or would be.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Of the data.
    pub data: Manifest,
    /// Of the keys.
    pub keys: Manifest,
    /// The time nobody knows about.
    pub window: Window,
    /// Customers, indexes, what is gone, what cannot be opened.
    pub rebuilt: Rebuilt,
    /// Keys the registers name, which were left out.
    pub keys_left_out: u64,
    /// API keys that wait to be switched on.
    pub keys_off: u64,
    /// Legal holds that stand.
    pub holds: u64,
    /// The newest policy.
    pub policy_version: u32,
    /// Entries of the log that are known to be lost.
    pub entries_lost: u64,
    /// Who agreed to the window.
    pub agreement: Agreement,
    /// The name the log signs under now; none in a preview.
    pub origin: Option<String>,
}

/// The time between the newest register and now: who was erased, whose key was revoked, what was read
/// in it, is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When the data was copied.
    pub data: Time,
    /// When the newest register was.
    pub register: Time,
    /// Now.
    pub until: Time,
}

impl Window {
    /// Whether the register reaches over the data, to a day ago at least.
    fn is_short(&self) -> bool {
        let age_ms = self.until.as_ms().saturating_sub(self.register.as_ms());
        self.register >= self.data && age_ms <= REGISTER_AGE_MS_MAX
    }
}

/// Restores an installation into an empty data folder that the caller has locked.
pub fn restore(
    input: &RestoreInput,
    now: Time,
    random: &Arc<dyn Random>,
    mut told: impl FnMut(Step),
) -> Result<Restored, Error> {
    let unsealing = input.unsealing();
    let unseal = || by_seal(&unsealing);
    let data = read::open(&pick(&input.data, Kind::Data)?, Kind::Data, unseal())?;
    let keys = read::open(&pick(&input.keys, Kind::Keys)?, Kind::Keys, unseal())?;
    let mut registers = Vec::new();
    for path in &input.registers {
        registers.push(read::open(&pick(path, Kind::Keys)?, Kind::Keys, unseal())?);
    }
    refuse_strangers(&data, &keys, &registers)?;
    let window = window(&data, std::iter::once(&keys).chain(&registers), now);
    refuse_old_register(&window, input.register_as_of.as_deref())?;
    let stage = Stage::prepare(&input.places.data_folder)?;
    let restored = build(input, &stage, (&data, &keys, &registers), window, random, &mut told);
    let restored = restored.and_then(|restored| {
        if input.outcome == Outcome::Keep {
            seal_anew(input, &stage, random.as_ref())?;
            stage.publish()?;
        }
        Ok(restored)
    });
    stage.clear();
    restored
}

fn build(
    input: &RestoreInput,
    stage: &Stage,
    (data, keys, registers): (&Opened, &Opened, &[Opened]),
    window: Window,
    random: &Arc<dyn Random>,
    told: &mut dyn FnMut(Step),
) -> Result<Restored, Error> {
    let mut db = stage.load_data(data, told)?;
    let unsealing = input.unsealing();
    let keyring = Arc::new(stage.open_small_keys(keys, &unsealing.seal, random)?);
    ledger::pair(&mut db, &keyring.installation())?;
    let before = stage.verify_log(data, &keyring)?;
    let rights = Rights::default();
    let mut book = Book::new(Arc::clone(&keyring), rights.clone(), vault::register_macs);
    migrate(&mut db, DATA)?;
    book.load(&mut db, before.stamp)?;
    if !book.is_intact() {
        let detail = "rows that confer or limit rights were changed by other hands before this backup \
                      was made; restore an older one";
        return Err(Error::unprocessable("rights_altered", detail));
    }
    let ctx = operator(window.until, random)?;
    let replayed = replay(stage, &mut db, &keyring, &ctx, (keys, registers))?;
    let number = highest(std::iter::once(data).chain([keys]).chain(registers)) + 1;
    let stamp = book.restamp(&mut db, before.stamp)?;
    book.load(&mut db, stamp)?;
    let agreement = agree::two_people(input, &rights, &keyring, &ctx, &window)?;
    let lost = lost_entries(&before, std::iter::once(keys).chain(registers));
    let opening = Opening { before: &before, lost, number, stamp, agreed: &agreement.as_words() };
    let opened = match input.outcome {
        Outcome::Discard => None,
        Outcome::Keep => Some(ledger::open_incarnation(&mut db, &keyring, random, &ctx, &opening)?),
    };
    drop((book, keyring));
    let left_out = stage.load_keys(keys, &replayed.replay, opened.as_ref(), number, told)?;
    let places = Places::in_folder(stage.folder(), unsealing.seal);
    let keyring = keys::open(&places, Arc::clone(random))?;
    let grant = to_hash_anew(&ctx)?;
    let task = Rebuild {
        keyring: &keyring,
        random: random.as_ref(),
        replay: &replayed.replay,
        hashing: Some(&grant),
        sample: None,
    };
    let of = Some(data.manifest.data_keys);
    let rebuilt = vault::rebuild_indexes(&mut db, &task, |done| {
        told(Step { what: "customers opened and indexed", done, of });
    })?;
    drop(keyring);
    refuse_unopened(input, &rebuilt)?;
    let detail = advice(&window, &replayed, &agreement);
    let finding = Finding { kind: FindingKind::Restored, detail, customer: None };
    db.execute(&findings::raise_within(&finding, window.until))?;
    stage.settle(db)?;
    Ok(Restored {
        data: data.manifest.clone(),
        keys: keys.manifest.clone(),
        window,
        rebuilt,
        keys_left_out: left_out,
        keys_off: replayed.keys_off,
        holds: replayed.holds,
        policy_version: replayed.policy_version,
        entries_lost: lost,
        agreement,
        origin: opened.map(|(origin, _)| origin),
    })
}

/// Where something else opened the backups, what opens the installation from now on is made.
fn seal_anew(input: &RestoreInput, stage: &Stage, random: &dyn Random) -> Result<(), Error> {
    let Some(seal) = &input.unseal else { return Ok(()) };
    let places = Places::in_folder(stage.folder(), seal.clone());
    keys::reseal(&places, &input.places.seal, random)
}

/// Whoever restores unseals, and is the operator.
fn operator(now: Time, random: &Arc<dyn Random>) -> Result<Ctx, Error> {
    let request = Id::time_ordered(now, random.as_ref())?;
    Ok(Ctx {
        actor: Actor::Operator,
        network: None,
        now,
        request,
        rng: Arc::clone(random),
        claim: None,
    })
}

/// The highest number of an incarnation that any of the backups knows.
fn highest<'a>(backups: impl Iterator<Item = &'a Opened>) -> u64 {
    let origin = |opened: &Opened| {
        ledger::number_of(opened.manifest.checkpoint.lines().next().unwrap_or_default())
    };
    backups.map(origin).max().unwrap_or(1)
}

struct Replayed {
    replay: Replay,
    keys_off: u64,
    holds: u64,
    policy_version: u32,
    webhooks_off: u64,
    shares_ended: u64,
    sends_stopped: u64,
    given_up: bool,
}

/// Every register, the oldest first: the newest has the last word.
fn replay(
    stage: &Stage,
    db: &mut Connection,
    keyring: &Keyring,
    ctx: &Ctx,
    (keys, registers): (&Opened, &[Opened]),
) -> Result<Replayed, Error> {
    let mut replayed = Replayed {
        replay: Replay::default(),
        keys_off: 0,
        holds: 0,
        policy_version: 0,
        webhooks_off: 0,
        shares_ended: 0,
        sends_stopped: 0,
        given_up: false,
    };
    let mut mirrors: Vec<&Opened> = std::iter::once(keys).chain(registers).collect();
    mirrors.sort_by_key(|opened| opened.manifest.made_ms);
    db.begin()?;
    for opened in mirrors {
        let mut mirror = stage.load_mirror(opened)?;
        replayed.keys_off = staff::replay(db, &mut mirror, keyring, ctx.now)?;
        replayed.holds = access::replay_holds(db, &mut mirror, keyring)?;
        let (version, given_up) = policy::replay(db, &mut mirror, keyring)?;
        replayed.policy_version = version;
        replayed.given_up |= given_up;
        vault::replay(db, &mut mirror, keyring, &mut replayed.replay)?;
    }
    access::hold_consents(db, keyring, ctx)?;
    replayed.webhooks_off = webhooks::switch_all_off(db, keyring)?;
    (replayed.shares_ended, replayed.sends_stopped) = outlets::end_all(db, keyring, ctx.now)?;
    vault::gather(db, keyring, &mut replayed.replay)?;
    db.commit()?;
    Ok(replayed)
}

/// What the registers' logs had beyond the data's, where they are one log.
fn lost_entries<'a>(before: &LogFacts, mirrors: impl Iterator<Item = &'a Opened>) -> u64 {
    let same = mirrors.filter(|it| it.manifest.checkpoint.lines().next() == Some(&before.origin));
    same.map(|it| it.manifest.entries.saturating_sub(before.size)).max().unwrap_or(0)
}

fn window<'a>(data: &Opened, registers: impl Iterator<Item = &'a Opened>, now: Time) -> Window {
    let newest = registers.map(|it| it.manifest.time()).max();
    let data = data.manifest.time();
    Window { data, register: newest.unwrap_or(data), until: now }
}

/// A register older than the data does not know of erasures the data was copied before; one older than
/// a day leaves a window that somebody has to look at.
fn refuse_old_register(window: &Window, as_of: Option<&str>) -> Result<(), Error> {
    let day: String = window.register.to_rfc3339().chars().take("2026-11-21".len()).collect();
    if (window.is_short() && as_of.is_none()) || as_of == Some(day.as_str()) {
        return Ok(());
    }
    let detail = format!(
        "the newest register of erasures that can be reached was made at {}, the data at {}: who was \
         erased from then until now is not known, and would come back. Name a newer key backup with \
         `--register`; if there is none, say that you know of this window with `--register-as-of {day}`",
        window.register.to_rfc3339(),
        window.data.to_rfc3339()
    );
    Err(Error::unprocessable("register_too_old", detail))
}

fn refuse_strangers(data: &Opened, keys: &Opened, registers: &[Opened]) -> Result<(), Error> {
    let installation = &data.manifest.installation;
    let mut all = std::iter::once(keys).chain(registers);
    let Some(other) = all.find(|it| it.manifest.installation != *installation) else {
        return Ok(());
    };
    let detail = format!(
        "`{}` belongs to another installation than the data backup",
        other.folder.display()
    );
    Err(Error::unprocessable("mismatched_pair", detail))
}

/// Data and keys may each be the older ones: what everybody is found by is opened and hashed anew.
fn to_hash_anew(ctx: &Ctx) -> Result<SystemGrant, Error> {
    let job = Ctx { actor: Actor::System { job: "restore" }, ..ctx.clone() };
    access::system_grant(&job, (0..=u8::MAX).collect())
}

/// Absence is no erasure: nothing of theirs is deleted, and nobody goes on without knowing it.
fn refuse_unopened(input: &RestoreInput, rebuilt: &Rebuilt) -> Result<(), Error> {
    let unopened = rebuilt.missing + rebuilt.tampered;
    if unopened == 0 || input.missing_keys == MissingKeys::Keep || input.outcome == Outcome::Discard
    {
        return Ok(());
    }
    let detail = format!(
        "{} customers have no key in this key backup although no register names them, and {} do not \
         open where they stand ({}). Take a key backup at least as new as the data; if there is none, \
         `--accept-missing-keys` restores everyone else and keeps their rows sealed",
        rebuilt.missing,
        rebuilt.tampered,
        rebuilt.named.join(", ")
    );
    Err(Error::unprocessable("keys_missing", detail))
}

fn advice(window: &Window, replayed: &Replayed, agreement: &Agreement) -> String {
    let alone = match agreement {
        Agreement::Alone => {
            " One person alone decided that this register is good enough: fewer than two API keys may \
             `keys`."
        }
        _ => "",
    };
    let given_up = match replayed.given_up {
        true => " A policy that waited to be applied was given up: apply it again.",
        false => "",
    };
    let webhooks = match replayed.webhooks_off {
        0 => String::new(),
        off => format!(
            " Webhooks are off ({off}): `strongroom webhook on ID`, and have their receivers read their \
             customers again."
        ),
    };
    let outlets = match (replayed.shares_ended, replayed.sends_stopped) {
        (0, 0) => String::new(),
        (shares, sends) => format!(
            " Links of shares are over ({shares}): share again what is still needed. Sends were stopped \
             ({sends}): nobody knows whom they reached after the data was copied, so ask the vendor's own \
             list before you send to the rest."
        ),
    };
    format!(
        "the data was restored from {}; the newest register is from {}, and nobody knows what was done \
         after it. Every API key is off: look at each, then `strongroom key enable ID`. Consents that \
         were withdrawn since {} are not known, so no consent counts: set down again who took theirs \
         back, then `strongroom doctor --confirm-consents`. Erasures, holds and \
         revoked keys of the window have to be done again.{given_up}{webhooks}{outlets}{alone}",
        window.data.to_rfc3339(),
        window.register.to_rfc3339(),
        window.data.to_rfc3339()
    )
}

/// A pair is an hour old; a day leaves time to find a machine.
const REGISTER_AGE_MS_MAX: i64 = 86_400_000;
