//! Maps of imports, kept by name.

use crate::access::{self, Desk};
use crate::ctx::{Ctx, Entry, EntryKind, Receipt};
use crate::error::Error;
use crate::policy::Right;
use crate::vault::store;

/// Keeps a map under a name, in place of the one that had it.
pub async fn save_map(desk: &Desk, ctx: &Ctx, name: &str, map: String) -> Result<Receipt, Error> {
    refuse_bad_name(name)?;
    let grant = access::permit(desk, ctx, Right::Import)?;
    {
        let mut data = desk.data.snapshot().await?;
        let is_new = store::find_map(&mut data, &desk.keyring, name).await.ok().flatten().is_none();
        if is_new && store::count_maps(&mut data).await? >= MAPS_MAX {
            let detail = "1,000 maps are kept; save it under the name of one that is not needed";
            return Err(Error::unprocessable("maps_used_up", detail));
        }
    }
    let entry = Entry::new(ctx, EntryKind::Import, "import.map.save");
    let write = store::put_map(&desk.keyring, name, map)?;
    access::commit(desk, grant.change(entry).write(write)).await
}

/// A map by its name.
pub async fn read_map(desk: &Desk, ctx: &Ctx, name: &str) -> Result<(String, Receipt), Error> {
    refuse_bad_name(name)?;
    let grant = access::permit(desk, ctx, Right::Import)?;
    let map = {
        let mut data = desk.data.snapshot().await?;
        store::find_map(&mut data, &desk.keyring, name).await?.ok_or_else(Error::not_found)?
    };
    let entry = Entry::new(ctx, EntryKind::Import, "import.map.read");
    let receipt = access::commit(desk, grant.change(entry)).await?;
    Ok((map, receipt))
}

fn refuse_bad_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty() && name.len() <= NAME_SIZE_MAX && name.chars().all(plain) {
        return Ok(());
    }
    let detail = "the name of a map is 1 to 40 lower-case letters, digits and `-`";
    Err(Error::unprocessable("bad_name", detail))
}

const NAME_SIZE_MAX: usize = 40;

/// A shop has a handful of sources.
const MAPS_MAX: i64 = 1_000;
