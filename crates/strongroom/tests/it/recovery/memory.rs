//! Keys in memory: locked, and out of reach of other processes and of core dumps.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::Shop;
use crate::support::server::configure;

/// Somebody without rights: who may do everything may read everything, and that is not what is tested.
const NOBODY: &str = "65534";

/// A command of that user, or of ours where we are nobody special either.
fn command(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(program);
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Whether another process of the same user can open the memory of this one.
fn can_read(id: u32) -> bool {
    let open = format!("exec 3</proc/{id}/mem");
    let told = command(Path::new("/bin/sh")).arg("-c").arg(open).stderr(Stdio::null()).status();
    told.unwrap().success()
}

/// The line of a file in `/proc` that begins so.
fn line(id: u32, file: &str, start: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap();
    text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned()
}

/// A process that ends with the test, however that ends.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Started and at work, as its first line says.
fn start(command: &mut Command, first: &str) -> Ending {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Ending(piped.spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with(first)), "`{first}` did not come");
    child
}

/// The program, served by that user, and answering.
fn serve(folder: &Path) -> Ending {
    let program = folder.join("strongroom");
    std::fs::copy(env!("CARGO_BIN_EXE_strongroom"), &program).unwrap();
    let config = configure(folder, "strongroom.toml", "");
    if is_root() {
        let owner = format!("{NOBODY}:{NOBODY}");
        assert!(Command::new("chown").arg("-R").arg(owner).arg(folder).status().unwrap().success());
    }
    let mut serve = command(&program);
    serve.args(["serve", "--config"]).arg(&config).current_dir(folder);
    start(&mut serve, "Strongroom answers at")
}

#[tokio::test]
async fn core_dump_and_proc_mem_are_denied_and_long_lived_keys_are_locked() {
    let mut shop = Shop::open_today().await;
    shop.stop();
    let mut server = serve(shop.folder.path());
    let id = server.0.id();

    assert!(!can_read(id), "another process of the same user opened /proc/{id}/mem");
    let mut waits = command(Path::new("/bin/sh"));
    let other = start(waits.args(["-c", "echo waits; read line"]), "waits");
    assert!(can_read(other.0.id()), "this test cannot see what it looks for");

    let locked = line(id, "status", "VmLck");
    let kib: u64 = locked.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib >= 4, "no page is locked: {locked}");

    let core = line(id, "limits", "Max core file size");
    // The hard one too: the soft one may have been 0 before.
    let limits: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(limits, ["0", "0"], "{core}");
    let aborted = Command::new("kill").args(["-s", "ABRT", &id.to_string()]).status();
    assert!(aborted.unwrap().success());
    let ended = server.0.wait().unwrap();
    let dumped = std::os::unix::process::ExitStatusExt::core_dumped(&ended);
    assert!(!dumped && !ended.success(), "{ended:?}");
}
