//! The keyring: what its keys are bound to, and what it refuses.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use strongroom_crypto::{Cell, CryptoError, SystemRandom};

use super::verbs::each_long_lived;
use super::*;
use crate::ctx::{Clock, Ctx, SystemClock, SystemGrant};

struct House {
    places: Places,
    keyring: Arc<Keyring>,
    _folder: tempfile::TempDir,
}

const FIRST: [u8; 16] = [1; 16];
const SECOND: [u8; 16] = [2; 16];
const COMPARTMENT: [u8; 16] = [7; 16];
const NOW: Time = Time::from_ms(1_795_255_200_000);

impl House {
    fn open() -> Self {
        Self::with(Arc::new(SystemRandom))
    }

    fn with(random: Arc<dyn Random>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_folder = folder.path().join("data");
        std::fs::create_dir(&data_folder).unwrap();
        let places = Places::in_folder(data_folder, Seal::KeyFile(folder.path().join("seal.key")));
        create(&places, Arc::new(SystemRandom)).unwrap();
        let keyring = Arc::new(open(&places, random).unwrap());
        Self { places, keyring, _folder: folder }
    }

    /// A record of the first customer, its key durable.
    fn record(&self) -> (KeyHandle, Vec<u8>) {
        let block = self.keyring.new_block().unwrap();
        let (handle, new) = self.keyring.new_data_key(block, &FIRST, &COMPARTMENT).unwrap();
        self.keyring.put_pending(&[new], None, NOW).unwrap();
        let sealed = handle.seal(&SystemRandom, 1, &[Cell { field: 3, value: b"value" }]).unwrap();
        (handle, sealed)
    }

    async fn find(&self, customer: &[u8; 16], compartment: &[u8; 16], sealed: &[u8]) -> String {
        let mut snapshot = self.keyring.snapshot().await.unwrap();
        match self.keyring.find(&mut snapshot, customer, compartment, sealed).await {
            Ok(Found::Key(_)) => "key".to_owned(),
            Ok(Found::Missing) => "missing".to_owned(),
            Err(error) => error.code.to_owned(),
        }
    }
}

fn key_file_of(places: &Places) -> &Path {
    match &places.seal {
        Seal::KeyFile(path) => path,
        _ => panic!("it has no key file"),
    }
}

fn permit(fields: &[u8]) -> SystemGrant {
    let ctx = Ctx::system("test", NOW, Arc::new(SystemRandom)).unwrap();
    SystemGrant::issue(&ctx, fields.to_vec()).unwrap()
}

#[tokio::test]
async fn a_data_key_unwraps_only_for_its_customer_and_compartment() {
    let house = House::open();
    let (_, sealed) = house.record();
    assert_eq!(house.find(&FIRST, &COMPARTMENT, &sealed).await, "key");
    assert_eq!(house.find(&SECOND, &COMPARTMENT, &sealed).await, "tampered");
    assert_eq!(house.find(&FIRST, &CORE, &sealed).await, "tampered");
    assert_eq!(house.find(&FIRST, &COMPARTMENT, &sealed[..20]).await, "tampered");
    assert_eq!(house.find(&FIRST, &COMPARTMENT, b"").await, "tampered");
}

#[tokio::test]
async fn a_destroyed_key_is_missing_and_destroying_it_again_is_harmless() {
    let house = House::open();
    let (handle, sealed) = house.record();
    let destruction = Destruction::issue(vec![handle.dek(), [9; 16]]);
    assert_eq!(house.keyring.which_exist(destruction.deks()).unwrap(), [handle.dek()]);
    assert_eq!(house.keyring.destroy_forever(destruction).await.unwrap(), 1);
    let again = Destruction::issue(vec![handle.dek()]);
    assert_eq!(house.keyring.destroy_forever(again).await.unwrap(), 0);
    assert_eq!(house.find(&FIRST, &COMPARTMENT, &sealed).await, "missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_in_the_way_of_a_destruction_keeps_no_other_key_waiting() {
    let house = House::open();
    let (handle, sealed) = house.record();
    let path = house.places.data_folder.join("keys.db");
    let mut reader = house.keyring.snapshot().await.unwrap();
    house.keyring.find(&mut reader, &FIRST, &COMPARTMENT, &sealed).await.unwrap();
    let (clock, keyring) = (SystemClock::new(), Arc::clone(&house.keyring));
    let destruction = Destruction::issue(vec![handle.dek()]);
    let destroying = tokio::spawn(async move { keyring.destroy_forever(destruction).await });
    while !house.keyring.which_exist(&[handle.dek()]).unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    // Long enough that the cut is tried meanwhile.
    while clock.monotonic_ms() < 300 {
        house.record();
        tokio::task::yield_now().await;
    }
    assert!(clock.monotonic_ms() < 3_000, "other keys waited for the reader");
    assert!(!destroying.is_finished(), "it is not gone from the log yet");
    drop(reader);
    assert_eq!(destroying.await.unwrap().unwrap(), 1);
    let log = std::fs::metadata(path.with_extension("db-wal")).unwrap();
    assert_eq!(log.len(), 0, "nothing of the key is left in the log");
}

#[test]
fn only_fields_that_a_permit_names_are_opened() {
    let house = House::open();
    let (handle, sealed) = house.record();
    let (none, one) = (permit(&[]), permit(&[3]));
    let opened = handle.open_fields(Permit::System(&one), 1, &sealed, &[3]).unwrap();
    assert_eq!(opened[0].1.expose(), b"value");
    for (grant, fields) in [(&none, &[3][..]), (&one, &[3, 4]), (&one, &[4])] {
        let refused = handle.open_fields(Permit::System(grant), 1, &sealed, fields);
        assert_eq!(refused.map(|_| ()).unwrap_err().code, "internal");
    }
    let version = handle.open_fields(Permit::System(&one), 2, &sealed, &[3]);
    assert_eq!(version.map(|_| ()).unwrap_err().code, "tampered");
    assert_eq!(handle.open_core(1, &sealed).map(|_| ()).unwrap_err().code, "internal");
}

#[test]
fn a_sealed_keyring_does_nothing() {
    let house = House::open();
    let block = house.keyring.new_block().unwrap();
    house.keyring.seal();
    assert!(house.keyring.is_sealed());
    let keyring = &house.keyring;
    for refused in [
        keyring.new_data_key(block, &FIRST, &CORE).map(|_| ()),
        keyring.mac_row("api_key", b"").map(|_| ()),
        keyring.is_row_intact("api_key", b"", &[0; 32]).map(|_| ()),
        keyring.index(0, "ada@mail.example").map(|_| ()),
        keyring.subject_index(&FIRST).map(|_| ()),
        keyring.network_tag("2026-11", "192.0.2.1").map(|_| ()),
        keyring.seal_set(0, &Plain::copy_of(b"")).map(|_| ()),
        keyring.with_signing_keys(|_, _| ()),
    ] {
        assert_eq!(refused.unwrap_err().code, "sealed");
    }
}

#[test]
fn macs_hashes_and_sets_are_bound_to_their_place() {
    let house = House::open();
    let keyring = &house.keyring;
    let mac = keyring.mac_row("api_key", b"row").unwrap();
    assert!(keyring.is_row_intact("api_key", b"row", &mac).unwrap());
    for (table, columns) in [("legal_hold", &b"row"[..]), ("api_key", b"rox"), ("api_ke", b"yrow")]
    {
        assert!(!keyring.is_row_intact(table, columns, &mac).unwrap(), "{table}");
    }
    for short in 0..32 {
        assert!(!keyring.is_row_intact("api_key", b"row", &mac[..short]).unwrap());
    }
    let (email, phone) = (keyring.index(1, "same").unwrap(), keyring.index(2, "same").unwrap());
    assert_ne!(email, phone, "one value in two fields has two hashes");
    let set = keyring.seal_set(5, &Plain::copy_of(b"members")).unwrap();
    assert_eq!(keyring.open_set(5, &set).unwrap().expose(), b"members");
    assert_eq!(keyring.open_set(6, &set).map(|_| ()).unwrap_err().code, "tampered");
}

#[test]
fn a_network_is_known_again_within_its_month_only_also_after_a_restart() {
    let house = House::open();
    let tag = |keyring: &Keyring, month: &str| keyring.network_tag(month, "192.0.2.1").unwrap();
    let november = tag(&house.keyring, "2026-11");
    assert_ne!(november, tag(&house.keyring, "2026-12"));
    let again = open(&house.places, Arc::new(SystemRandom)).unwrap();
    assert_eq!(november, tag(&again, "2026-11"));
}

/// Always the same byte: a generator that was never seeded.
struct Constant;

impl Random for Constant {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        out.fill(7);
        Ok(())
    }
}

#[test]
fn with_a_constant_random_source_no_data_key_is_ever_put_twice() {
    let house = House::with(Arc::new(Constant));
    let block = house.keyring.new_block().unwrap();
    let (_, first) = house.keyring.new_data_key(block, &FIRST, &CORE).unwrap();
    let (_, second) = house.keyring.new_data_key(block, &SECOND, &CORE).unwrap();
    house.keyring.put_pending(&[first], None, NOW).unwrap();
    assert!(house.keyring.put_pending(&[second], None, NOW).is_err());
    // Nor does it show the key: what the source gave is mixed with a secret.
    let (handle, _) = house.keyring.new_data_key(block, &FIRST, &COMPARTMENT).unwrap();
    assert_ne!(handle.key.expose_bytes(), &[7; 32]);
}

#[test]
fn a_key_file_that_others_can_read_or_that_lies_among_the_data_is_refused() {
    let house = House::open();
    let House { places, .. } = &house;
    let code = |places: &Places| match open(places, Arc::new(SystemRandom)) {
        Ok(_) => "",
        Err(error) => error.code,
    };
    let set_mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(key_file_of(places), permissions).unwrap();
    };
    assert_eq!(code(places), "");
    for mode in [0o440, 0o404, 0o444, 0o410] {
        set_mode(mode);
        assert_eq!(code(places), "key_file_open_to_others", "{mode:o}");
    }
    set_mode(0o600);
    let data_folder = places.data_folder.clone();
    let inside =
        Places::in_folder(data_folder.clone(), Seal::KeyFile(data_folder.join("seal.key")));
    std::fs::copy(key_file_of(places), key_file_of(&inside)).unwrap();
    assert_eq!(code(&inside), "key_file_among_data");
    let text = std::fs::read_to_string(key_file_of(places)).unwrap();
    for wrong in [
        "",
        "secret",
        text.trim_end(),
        &text.to_uppercase(),
        &text.repeat(9),
        text.get(1..).unwrap(),
    ] {
        std::fs::write(key_file_of(places), wrong).unwrap();
        assert_eq!(code(places), "key_file_malformed", "{}", wrong.len());
    }
    let (first, key) = text.split_once('\n').unwrap();
    let other = format!("{first}\n{}", key.replace(['0', '1', '2', '3'], "4"));
    std::fs::write(key_file_of(places), other).unwrap();
    assert_eq!(code(places), "wrong_key_file");
}

#[test]
fn a_key_file_is_never_replaced() {
    let house = House::open();
    let before = std::fs::read(key_file_of(&house.places)).unwrap();
    assert!(create(&house.places, Arc::new(SystemRandom)).is_err());
    assert_eq!(std::fs::read(key_file_of(&house.places)).unwrap(), before);
    let mode = std::fs::metadata(key_file_of(&house.places)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
}

/// Whether the system keeps the page of a key out of swap, as it says itself.
fn is_kept_from_swap(key: &SecretKey) -> bool {
    let at = key.expose_bytes().as_ptr().addr();
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut is_here = false;
    for line in smaps.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let hex = |digits: &str| usize::from_str_radix(digits, 16).ok();
        if let Some((Some(first), Some(end))) = range.map(|(first, end)| (hex(first), hex(end))) {
            is_here = (first..end).contains(&at);
        } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| is_here) {
            return flags.split(' ').any(|flag| flag == "lo");
        }
    }
    panic!("no range of memory holds the key");
}

#[tokio::test]
async fn each_key_that_lives_long_stands_in_a_page_that_is_never_swapped_out() {
    let house = House::open();
    let keyring = &house.keyring;
    let count = |wanted: bool| {
        let mut count = 0;
        let see = |key: &SecretKey| count += usize::from(is_kept_from_swap(key) == wanted);
        each_long_lived(&keyring.keys().unwrap(), see);
        count
    };
    // Keys of other tests may share a page and lock it again: then once more.
    let let_go = || {
        let try_once = || {
            each_long_lived(&keyring.keys().unwrap(), |key| {
                let bytes = key.expose_bytes();
                region::unlock(bytes.as_ptr(), bytes.len()).unwrap();
            });
            count(true) == 0
        };
        assert!((0..100).any(|_| try_once()), "this test cannot see what it looks for");
    };
    assert_eq!(count(false), 0);
    let_go();
    // Whatever reads them again locks them again, those too that fade.
    let rotation = keyring.begin_rotation(RotationKind::WrappingKey, NOW).await.unwrap();
    assert!(keyring.end_pass(&rotation, NOW).await.unwrap().ended.is_some());
    assert!(keyring.keys().unwrap().faded.is_some());
    assert_eq!(count(false), 0);
    let_go();
    keyring.network_tag("2026-11", "192.0.2.1").unwrap();
    assert!(is_kept_from_swap(&keyring.month_key("2026-11").unwrap()));
}

/// Its older wrapping key is destroyed and forgotten only a minute later.
#[tokio::test]
async fn whoever_read_a_key_s_row_before_a_rotation_ended_opens_it_after() {
    let house = House::open();
    let (_, sealed) = house.record();
    let dek = strongroom_crypto::peek_binding(&sealed).unwrap().dek;
    let keyring = &house.keyring;
    let mut before = keyring.snapshot().await.unwrap();
    let found = keyring.find(&mut before, &FIRST, &COMPARTMENT, &sealed).await.unwrap();
    assert!(matches!(found, Found::Key(_)));
    let rotation = keyring.begin_rotation(RotationKind::WrappingKey, NOW).await.unwrap();
    let placed = Placed { customer: FIRST, compartment: COMPARTMENT, dek };
    let rotation = keyring.rewrap(&rotation, &[placed]).unwrap();
    assert_eq!(rotation.rewrapped, 1);
    // The end of it waits for the reader, who sees the row as it was.
    let reading = async {
        let found = keyring.find(&mut before, &FIRST, &COMPARTMENT, &sealed).await;
        drop(before);
        found
    };
    let (ended, found) = tokio::join!(keyring.end_pass(&rotation, NOW), reading);
    assert!(ended.unwrap().ended.is_some());
    assert!(matches!(found.unwrap(), Found::Key(_)));
    assert_eq!(house.find(&FIRST, &COMPARTMENT, &sealed).await, "key");
    keyring.forget_faded(Time::from_ms(NOW.as_ms() + 60_000)).unwrap();
    assert!(keyring.keys().unwrap().faded.is_none());
    assert_eq!(house.find(&FIRST, &COMPARTMENT, &sealed).await, "key");
}

#[test]
fn the_anchor_never_goes_back_and_a_restore_begins_another() {
    let house = House::open();
    let anchor = |size, at_ms| Anchor { size, root: [9; 32], at: Time::from_ms(at_ms) };
    let put = |it: &Anchor| house.keyring.put_pending(&[], Some(it), NOW).unwrap();
    let (newer, older) = (anchor(5, 2_000), anchor(3, 3_000));
    put(&newer);
    put(&older);
    assert_eq!(house.keyring.anchor().unwrap(), Some(newer));
    let path = house.places.data_folder.join("keys.db");
    let mut db = Connection::open(&path, Durability::Durable).unwrap();
    settle(&mut db, &path, (2, "restored"), &older).unwrap();
    assert_eq!(house.keyring.anchor().unwrap(), Some(older));
}
