//! `strongroom demo`: a small shop in a minute, gone again at the end.

mod lines;
mod people;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;

use clap::Args;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::App;
use crate::cli::failure::Failure;
use crate::cli::import::{self, Column, Plan};
use crate::cli::init::{self, write_new};
use crate::cli::key::{self, Wanted};
use crate::cli::output::{Output, warn};
use crate::cli::serve::{self, Stop};
use crate::cli::transport::{Call, Transport};
use crate::config::Config;
use crate::outlets::Connections;
use crate::web::Listen;
use crate::webhooks::Couriers;

use lines::Shown;

/// Try it: a small shop with 1,000 made-up customers, served on this machine, gone at the end
///
/// Example: strongroom demo
#[derive(Args)]
pub(super) struct Demo {
    /// The port on the loopback; 8720, or a free one if that is taken
    #[arg(long)]
    port: Option<u16>,
    /// Make the shop in `--dir`, keep it, and do not serve it
    #[arg(long, requires = "dir", conflicts_with = "port")]
    once: bool,
    /// Where `--once` makes it; an empty folder or none yet
    #[arg(long, value_name = "DIR", requires = "once")]
    dir: Option<PathBuf>,
}

impl Demo {
    pub(super) async fn run(&self, output: &Output) -> Result<(), Failure> {
        match &self.dir {
            Some(dir) => keep(dir, output).await,
            None => self.play(output).await,
        }
    }

    /// In a temporary folder, until told to stop; the folder goes however this ends.
    async fn play(&self, output: &Output) -> Result<(), Failure> {
        let mut stop = pin!(Stop::watch()?.asked());
        let listen = bind(self.port)?;
        let folder = tempfile::Builder::new().prefix("strongroom-demo-").tempdir()?;
        let played = async {
            let (app, shop) = tokio::select! {
                made = make(folder.path()) => made?,
                () = &mut stop => return Ok(()),
            };
            let address = address_of(&listen)?;
            lines::tell(&Shown::of(&shop, address), folder.path(), output)?;
            let outward = (Connections::none(), Couriers::none());
            serve::attend(&app, listen, None, outward, &mut stop).await
        };
        let played = played.await;
        clear(folder)?;
        played?;
        output.words("\nStopped. The shop and everything in it are gone.")
    }
}

/// What the demo made.
struct Shop {
    shop_key: String,
    desk_key: String,
    /// The customer whom the printed lines are about.
    customer: String,
}

/// Makes the shop in a folder and leaves it there.
async fn keep(dir: &Path, output: &Output) -> Result<(), Failure> {
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        let sentence = format!(
            "`{}` is not empty; nothing was changed. Name an empty folder or one that is not there",
            dir.display()
        );
        return Err(Failure::new("not_empty", sentence));
    }
    let (app, shop) = make(dir).await?;
    drop(app);
    write_new(&dir.join("shop.key"), &format!("{}\n", shop.shop_key))?;
    write_new(&dir.join("desk.key"), &format!("{}\n", shop.desk_key))?;
    let config = Config::read(&dir.join("strongroom.toml"))?;
    lines::tell_kept(&Shown::of(&shop, config.listen), dir, output)
}

/// The installation, its policy, a thousand customers through the import, two keys, one customer.
async fn make(dir: &Path) -> Result<(App, Shop), Failure> {
    let made = init::make(dir)?;
    let app = serve::open(&Config::read(&made.config)?).await?;
    let mut operator = Transport::over(&app, None)?;
    let policy = json!({ "policy": fs::read_to_string(&made.policy)? });
    operator.call(Call::post("/v1/policy").json(&policy)).await?;
    import_people(&app, &mut operator, dir).await?;
    let support = ["support".to_owned()];
    let both = ["support".to_owned(), "delivery".to_owned()];
    let shop = key::make(
        &mut operator,
        Wanted { name: "Web shop", role: "shop", purposes: &both, people: false, days: 90 },
    )
    .await?;
    let desk = key::make(
        &mut operator,
        Wanted { name: "Front desk", role: "desk", purposes: &support, people: false, days: 90 },
    )
    .await?;
    let call = Call::put(people::GUEST_PATH).json(&people::guest());
    let guest = Transport::over(&app, Some(&shop.secret))?.call(call).await?.json()?;
    let customer = guest.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((app, Shop { shop_key: shop.secret, desk_key: desk.secret, customer }))
}

/// As a shop would bring its old list in, with a key that is revoked afterwards.
async fn import_people(app: &App, operator: &mut Transport, dir: &Path) -> Result<(), Failure> {
    let file = dir.join("customers.csv");
    write_new(&file, &people::csv())?;
    let columns = people::MAP.iter().map(|text| Column::parse(text));
    let columns = columns.collect::<Result<_, _>>().map_err(Failure::usage)?;
    let plan = Plan {
        columns,
        relations: vec!["enquiry".to_owned(), "purchase".to_owned()],
        date_column: None,
        delimiter: b',',
        chunk_rows: 500,
        format: import::Format::Csv,
        encoding: import::Encoding::Auto,
        identity: None,
    };
    let key = key::make(
        operator,
        Wanted { name: "Import", role: "importer", purposes: &[], people: false, days: 1 },
    )
    .await?;
    let mut importer = Transport::over(app, Some(&key.secret))?;
    let totals = import::take_quietly(&mut importer, &file, &plan).await?;
    operator.call(Call::delete(format!("/v1/keys/{}", key.id))).await?;
    fs::remove_file(&file)?;
    if totals.created == people::COUNT {
        return Ok(());
    }
    Err(Failure::new("demo", "not every made-up customer came in; please report this"))
}

fn bind(port: Option<u16>) -> Result<Listen, Failure> {
    let at = |port| Listen::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), None);
    if let Some(port) = port {
        return Ok(at(port)?);
    }
    if let Ok(listen) = at(PORT) {
        return Ok(listen);
    }
    let listen = at(0)?;
    let port = address_of(&listen)?.port();
    warn(&format!("Port {PORT} is taken, so this uses {port}, which is free."));
    Ok(listen)
}

fn address_of(listen: &Listen) -> Result<SocketAddr, Failure> {
    listen.address().ok_or_else(|| Failure::new("cannot_listen", "the demo needs a port"))
}

/// Tries twice: what was still being written may have put a file into the folder meanwhile.
fn clear(folder: TempDir) -> Result<(), Failure> {
    let path = folder.path().to_owned();
    if folder.close().is_ok() || fs::remove_dir_all(&path).is_ok() || !path.exists() {
        return Ok(());
    }
    let sentence =
        format!("the folder `{}` could not be removed; please remove it", path.display());
    Err(Failure::new("not_removed", sentence))
}

/// Where a server listens when nobody says otherwise.
const PORT: u16 = 8720;
