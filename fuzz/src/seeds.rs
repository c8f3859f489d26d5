//! Writes the inputs that the fuzzer begins with: `seeds FOLDER` puts those of each target into
//! FOLDER/TARGET, named by their hash, and prints the names of all targets.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "corpus".to_owned());
    let targets = strongroom_crypto::fuzz::TARGETS
        .iter()
        .chain(strongroom_tlog::fuzz::TARGETS)
        .chain(strongroom::fuzz::TARGETS);
    for (name, _, seeds) in targets {
        println!("{name}");
        let folder = Path::new(&folder).join(name);
        std::fs::create_dir_all(&folder)?;
        for seed in seeds() {
            let hash = strongroom_crypto::sha256(&[&seed]);
            let file: String = hash.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
            std::fs::write(folder.join(file), seed)?;
        }
    }
    Ok(())
}
