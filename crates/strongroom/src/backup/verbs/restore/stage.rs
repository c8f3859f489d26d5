//! The folder in which a restore is built.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_crypto::Random;

use crate::backup::model::{MIRRORED_TABLES, REBUILT_TABLES, Step};
use crate::backup::verbs::make::sync_folder;
use crate::backup::verbs::read::{self, Opened};
use crate::db::{
    Connection, DATA, Durability, RESERVE, TableShape, Value, insert_row, list_tables, migrate,
    migrate_to,
};
use crate::error::Error;
use crate::keys::{self, Anchor, DEK_TABLE, Keyring, Places, Seal};
use crate::ledger::{self, LogFacts};
use crate::vault::Replay;

/// The folder, inside the data folder it will become.
pub(in crate::backup) struct Stage {
    target: PathBuf,
    folder: PathBuf,
}

impl Stage {
    /// Only where nothing is: a restore never replaces an installation.
    pub(in crate::backup) fn prepare(target: &Path) -> Result<Self, Error> {
        let stage = Self { target: target.to_owned(), folder: target.join(RESTORING) };
        stage.take_back()?;
        for found in fs::read_dir(target).map_err(cannot)?.flatten() {
            let name = found.file_name();
            if name != "lock" && name != RESERVE && name != RESTORING {
                let detail = format!(
                    "the data folder holds `{}` already; a restore needs an empty one and replaces \
                     nothing",
                    name.to_string_lossy()
                );
                return Err(Error::conflict("data_folder_not_empty", detail));
            }
        }
        Self::at(target, target.join(RESTORING))
    }

    /// In a folder of one's own, for a rehearsal.
    pub(in crate::backup) fn at(target: &Path, folder: PathBuf) -> Result<Self, Error> {
        let stage = Self { target: target.to_owned(), folder };
        stage.clear();
        DirBuilder::new().recursive(true).mode(0o700).create(stage.small()).map_err(cannot)?;
        Ok(stage)
    }

    pub(in crate::backup) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    fn small(&self) -> PathBuf {
        self.folder.join("small")
    }

    /// Everything of the data backup: its log becomes an archive, the rest strongroom.db.
    pub(in crate::backup) fn load_data(
        &self,
        data: &Opened,
        told: &mut dyn FnMut(Step),
    ) -> Result<Connection, Error> {
        let schema = data.manifest.schema;
        let mut main = Loader::open(&self.folder.join("strongroom.db"), schema)?;
        let mut log = Loader::open(&self.folder.join(archive_of(data)), schema)?;
        let of = Some(data.manifest.rows());
        let mut done = 0;
        main.db.begin()?;
        log.db.begin()?;
        read::load(data, "data", |table, row| {
            done += 1;
            if done % TELL_EVERY_ROWS == 0 {
                told(Step { what: "rows restored", done, of });
            }
            match table.name.as_str() {
                "installation" => {
                    log.put(table, &row)?;
                    main.put(table, &row)
                }
                name if name.starts_with("ledger_") => log.put(table, &row),
                // Whatever a backup says, an index is made from the cores alone.
                name if REBUILT_TABLES.contains(&name) => Ok(()),
                _ => main.put(table, &row),
            }
        })?;
        main.db.commit()?;
        log.db.commit()?;
        let older = data.manifest.parts.iter().map(|part| part.holds.as_str());
        let older: std::collections::BTreeSet<&str> = older.filter(|it| *it != "data").collect();
        for holds in older {
            let number = ledger::number_of(&format!("/{}", holds.trim_start_matches("ledger-")));
            let path = self.folder.join(ledger::archive_name(number));
            let mut old = Loader::open(&path, schema)?;
            old.db.begin()?;
            read::load(data, holds, |table, row| old.put(table, &row))?;
            old.db.commit()?;
            old.close(&path)?;
        }
        log.close(&self.folder.join(archive_of(data)))?;
        Ok(main.db)
    }

    /// The restored log, verified whole, and the same as the manifest names.
    pub(in crate::backup) fn verify_log(
        &self,
        data: &Opened,
        keyring: &Keyring,
    ) -> Result<LogFacts, Error> {
        let mut db = Connection::open(&self.folder.join(archive_of(data)), Durability::ReadOnly)?;
        let facts = ledger::facts(&mut db, keyring)?.ok_or_else(|| not_the_log("it is empty"))?;
        if facts.checkpoint.as_ref() != data.manifest.checkpoint {
            return Err(not_the_log("it is not the one that the manifest names"));
        }
        let verified = ledger::verify_archive(&mut db, keyring, &facts.origin, |_, _| {})?;
        match verified.flaws.first() {
            None => Ok(facts),
            Some(flaw) => Err(not_the_log(&flaw.what)),
        }
    }

    /// The keys of the installation without any customer's: enough to verify rows.
    pub(in crate::backup) fn open_small_keys(
        &self,
        keys: &Opened,
        seal: &Seal,
        random: &Arc<dyn Random>,
    ) -> Result<Keyring, Error> {
        let path = self.small().join("keys.db");
        let mut loader = Loader::over(keys::empty_store(&path, keys.manifest.keys_schema)?)?;
        read::load(keys, "keys", |table, row| match table.name.as_str() {
            DEK_TABLE => Ok(()),
            _ => loader.put(table, &row),
        })?;
        drop(loader);
        let places = Places::in_folder(self.small(), seal.clone());
        keys::open(&places, Arc::clone(random))
    }

    /// What a key backup mirrors, in tables of its own.
    pub(in crate::backup) fn load_mirror(&self, opened: &Opened) -> Result<Connection, Error> {
        let path = self.small().join(format!("mirror-{}.db", opened.manifest.backup));
        let _ = fs::remove_file(&path);
        let mut loader = Loader::open(&path, opened.manifest.schema)?;
        loader.db.begin()?;
        read::load(opened, "mirror", |table, row| {
            match MIRRORED_TABLES.contains(&table.name.as_str()) {
                true => loader.put(table, &row),
                false => Ok(()),
            }
        })?;
        loader.db.commit()?;
        migrate(&mut loader.db, DATA)?;
        Ok(loader.db)
    }

    /// Every data key but those a register names, under the anchor of the new incarnation. Gives how
    /// many were left out.
    pub(in crate::backup) fn load_keys(
        &self,
        keys: &Opened,
        replay: &Replay,
        opened: Option<&(String, Anchor)>,
        number: u64,
        told: &mut dyn FnMut(Step),
    ) -> Result<u64, Error> {
        let path = self.folder.join("keys.db");
        let mut loader = Loader::over(keys::empty_store(&path, keys.manifest.keys_schema)?)?;
        let (mut left_out, mut done) = (0, 0);
        let of = Some(keys.manifest.data_keys);
        loader.db.begin()?;
        read::load(keys, "keys", |table, row| {
            done += 1;
            if done % TELL_EVERY_ROWS == 0 {
                told(Step { what: "keys restored", done, of });
            }
            let dek = match row.first() {
                Some(Value::Bytes(dek)) if table.name == DEK_TABLE => dek.as_slice(),
                _ => return loader.put(table, &row),
            };
            if replay.is_gone(dek) {
                left_out += 1;
                return Ok(());
            }
            loader.put(table, &row)
        })?;
        loader.db.commit()?;
        match opened {
            Some((origin, anchor)) => {
                keys::settle(&mut loader.db, &path, (number, origin), anchor)?;
            }
            None => loader.db.settle(&path)?,
        }
        Ok(left_out)
    }

    /// strongroom.db is whole and on the disk.
    pub(in crate::backup) fn settle(&self, mut db: Connection) -> Result<(), Error> {
        db.settle(&self.folder.join("strongroom.db"))
    }

    /// The files get their names, keys.db last: without it nothing opens.
    pub(in crate::backup) fn publish(&self) -> Result<(), Error> {
        let named = self.give_names();
        if named.is_err() {
            self.take_back()?;
        }
        named
    }

    fn give_names(&self) -> Result<(), Error> {
        let _ = fs::remove_dir_all(self.small());
        let mut names = Vec::new();
        for found in fs::read_dir(&self.folder).map_err(cannot)?.flatten() {
            let name = found.file_name().to_string_lossy().into_owned();
            if name.ends_with(".db") {
                // Two connections that close at one moment leave a write-ahead log behind.
                Connection::open(&found.path(), Durability::Durable)?.checkpoint_truncating()?;
                File::open(found.path()).and_then(|it| it.sync_all()).map_err(cannot)?;
                names.push(name);
            }
        }
        names.sort_by_key(|name| name == KEYS);
        let list = self.folder.join(NAMES);
        fs::write(&list, names.join("\n")).map_err(cannot)?;
        File::open(&list).and_then(|it| it.sync_all()).map_err(cannot)?;
        sync_folder(&self.folder)?;
        for name in names {
            fs::rename(self.folder.join(&name), self.target.join(&name)).map_err(cannot)?;
            sync_folder(&self.target)?;
        }
        Ok(())
    }

    /// What a restore that broke off while it gave names had named already: without keys.db nothing has
    /// opened it, and the list says that it was ours.
    fn take_back(&self) -> Result<(), Error> {
        let Ok(names) = fs::read_to_string(self.folder.join(NAMES)) else { return Ok(()) };
        if self.target.join(KEYS).exists() {
            return Ok(());
        }
        for name in names.lines().filter(|name| name.ends_with(".db") && !name.contains('/')) {
            match fs::remove_file(self.target.join(name)) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(cannot(cause));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Nothing stays.
    pub(in crate::backup) fn clear(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Puts rows into tables that this program's own schema knows.
struct Loader {
    db: Connection,
    shapes: HashMap<String, TableShape>,
}

impl Loader {
    fn open(path: &Path, schema: u32) -> Result<Self, Error> {
        let mut db = Connection::open(path, Durability::Scratch)?;
        migrate_to(&mut db, DATA, schema)?;
        Self::over(db)
    }

    fn over(mut db: Connection) -> Result<Self, Error> {
        let shapes = list_tables(&mut db)?.into_iter().map(|it| (it.name.clone(), it)).collect();
        Ok(Self { db, shapes })
    }

    fn put(&mut self, table: &TableShape, row: &[Value]) -> Result<(), Error> {
        let known = self.shapes.get(&table.name).filter(|known| known.columns == table.columns);
        let Some(known) = known else {
            let detail = format!(
                "the backup holds a table `{}` that its version of the schema does not know; use the \
                 program that made it, or a newer one",
                table.name
            );
            return Err(Error::unprocessable("backup_format", detail));
        };
        insert_row(&mut self.db, known, row)
    }

    fn close(mut self, path: &Path) -> Result<(), Error> {
        migrate(&mut self.db, DATA)?;
        self.db.settle(path)
    }
}

/// The file of the log that the data backup was made of.
fn archive_of(data: &Opened) -> String {
    let origin = data.manifest.checkpoint.lines().next().unwrap_or_default();
    ledger::archive_name(ledger::number_of(origin))
}

fn not_the_log(what: &str) -> Error {
    let detail = format!("the ledger in this backup does not verify: {what}; restore an older one");
    Error::unprocessable("ledger_altered", detail)
}

fn cannot(cause: std::io::Error) -> Error {
    let detail = format!("the data folder cannot be used: {}", cause.kind());
    Error::unavailable("data_folder_unusable", detail).caused_by(cause)
}

const RESTORING: &str = "restoring";
const NAMES: &str = "names";
const KEYS: &str = "keys.db";

const TELL_EVERY_ROWS: u64 = 5_000;
