//! What every target does before it begins.

use std::path::Path;

use strongroom_crypto::fuzz::Target;

/// Where `STRONGROOM_SEEDS` names a folder, writes the seeds of this target into it, named by their
/// hash, and ends.
pub fn begin(name: &str) {
    let Some(folder) = std::env::var_os("STRONGROOM_SEEDS") else { return };
    let written = write_seeds(name, Path::new(&folder));
    std::process::exit(i32::from(written.is_err()));
}

fn write_seeds(name: &str, folder: &Path) -> std::io::Result<()> {
    let targets: [&[Target]; 3] = [
        strongroom_crypto::fuzz::TARGETS,
        strongroom_tlog::fuzz::TARGETS,
        strongroom::fuzz::TARGETS,
    ];
    std::fs::create_dir_all(folder)?;
    for (_, _, seeds) in targets.concat().iter().filter(|(known, _, _)| *known == name) {
        for seed in seeds() {
            let hash = strongroom_crypto::sha256(&[&seed]);
            let file: String = hash.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
            std::fs::write(folder.join(file), seed)?;
        }
    }
    Ok(())
}
