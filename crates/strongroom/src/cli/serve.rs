//! `strongroom serve`: the server, until it is told to stop.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use strongroom_crypto::SystemRandom;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::access::Desk;
use crate::app::{App, Surroundings};
use crate::backup::Settings;
use crate::cli::Common;
use crate::cli::backup;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::road::{Road, Watch};
use crate::cli::seal;
use crate::config::Config;
use crate::ctx::SystemClock;
use crate::error::Error;
use crate::outlets::Connections;
use crate::web::{self, Listen, Numbers};
use crate::webhooks::Couriers;
use crate::witness::{self, Watching, Witness};
use crate::{jobs, metrics, outlets, policy, router, webhooks};

/// Serve the API until told to stop (Ctrl-C, or SIGTERM)
///
/// Example: strongroom serve --config /srv/strongroom/strongroom.toml
#[derive(Args)]
pub(super) struct Serve {
    /// Write the bound address to this file once requests are answered
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
}

impl Serve {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        if common.server.is_some() || common.key_file.is_some() {
            return Err(Failure::usage("`serve` takes neither `--server` nor `--key-file`"));
        }
        let config = Config::read(&common.config)?;
        let stop = Stop::watch()?;
        let road = Road::open(&config).await?;
        let witness = Witness::read(&config)?.map(Arc::new);
        let app = open_watched(&config, witness.as_deref()).await?;
        compare_policy(app.desk()?.as_ref(), &config.policy);
        let (listen, place) = road.listen(&config)?;
        let watched = match road.listen_for_metrics(&config)? {
            Some(watch) => {
                output.words(&format!("Metrics are at {}.", watch.place))?;
                Some(Watched::begin(&app, watch)?)
            }
            None => None,
        };
        if let Some(path) = &self.port_file {
            write_port_file(path, place.split("://").last().unwrap_or(&place))?;
        }
        output.words(&format!("Strongroom answers at {place}; Ctrl-C stops it."))?;
        let connections = Connections::read(&config)?;
        let backups = Some(backup::settings(&config));
        let keeping = road.keep(&app.desk()?);
        let desk = app.desk()?;
        let watching = witness.map(|witness| Watching::begin(&desk, &witness));
        drop(desk);
        let outward = (connections, Couriers::read(&config)?);
        attend(&app, listen, backups, outward, stop.asked()).await?;
        keeping.end().await;
        if let Some(watching) = watching {
            watching.end().await;
        }
        if let Some(watched) = watched {
            watched.end().await;
        }
        drop(app);
        output.words("Stopped; everything that was answered is on disk.")
    }
}

/// Opens the installation that a configuration names.
pub(super) async fn open(config: &Config) -> Result<App, Failure> {
    open_watched(config, Witness::read(config)?.as_ref()).await
}

async fn open_watched(config: &Config, witness: Option<&Witness>) -> Result<App, Failure> {
    let places = seal::places(config)?;
    let clock = Arc::new(SystemClock::new());
    let (server, random) = (config.server()?, Arc::new(SystemRandom));
    let surroundings = Surroundings { places, server, clock, random };
    let app = App::open_watched(surroundings, witness).await?;
    if witness.is_none() {
        witness::tell_none(app.desk()?.as_ref()).await?;
    }
    Ok(app)
}

/// Serves an open installation with its periodic jobs until `stop` completes.
pub(super) async fn attend(
    app: &App,
    listen: Listen,
    backups: Option<Settings>,
    (connections, couriers): (Connections, Couriers),
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let desk = app.desk()?;
    let (connections, couriers) = (Arc::new(connections), Arc::new(couriers));
    let led = Arc::clone(&desk);
    let begin = move || {
        let mut jobs = JoinSet::new();
        let desk = || Arc::clone(&led);
        jobs.spawn(jobs::run(desk()));
        jobs.spawn(jobs::run_rotations(desk()));
        jobs.spawn(outlets::attend(desk(), Arc::clone(&connections)));
        jobs.spawn(webhooks::attend(desk(), Arc::clone(&couriers)));
        if let Some(settings) = &backups {
            jobs.spawn(jobs::run_backups(desk(), settings.clone()));
            jobs.spawn(jobs::run_copies(desk(), settings.clone()));
        }
        jobs
    };
    let (end, ended) = oneshot::channel();
    let leading = tokio::spawn(jobs::lead(Arc::clone(&desk), begin, ended));
    let words = tokio::spawn(jobs::run_words(Arc::clone(&desk)));
    let here = tokio::spawn(jobs::run_here(Arc::clone(&desk)));
    web::serve(listen, router::router(&desk), stop).await;
    drop(end);
    // Only a job that has let the desk go lets the installation close.
    let _ = leading.await;
    for job in [words, here] {
        job.abort();
        let _ = job.await;
    }
    Ok(())
}

/// The listener for metrics while it is served.
struct Watched {
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Watched {
    fn begin(app: &App, watch: Watch) -> Result<Self, Error> {
        let desk = app.desk()?;
        let numbers = move || -> Numbers {
            let desk = Arc::clone(&desk);
            Box::pin(async move { metrics::scrape(&desk).await })
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let router = web::metrics_router(watch.token.as_ref(), numbers);
        let served = web::serve_metrics(watch.listen, router, async {
            // A sender that is gone means the same.
            let _ = stopped.await;
        });
        Ok(Self { stop, served: tokio::spawn(served) })
    }

    /// Only a listener that has let the desk go lets the installation close.
    async fn end(self) {
        drop(self.stop);
        let _ = self.served.await;
    }
}

/// The wish of the system or a person that this process ends.
pub(super) struct Stop {
    signals: [Signal; 3],
}

impl Stop {
    /// From now on such a wish is heard instead of ending the process where it stands.
    pub(super) fn watch() -> Result<Self, Failure> {
        let signals = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ];
        Ok(Self { signals })
    }

    /// Completes when one has come.
    pub(super) async fn asked(mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// The applied policy counts; that the file says otherwise is worth a line, not a refusal.
fn compare_policy(desk: &Desk, path: &Path) {
    let Ok(authority) = desk.rights.now() else { return };
    let Some(applied) = authority.applied.as_deref() else {
        tracing::warn!(
            "no policy is applied yet, so nothing is kept or shown; stop, run `strongroom policy apply`, and serve again"
        );
        return;
    };
    let version = applied.version;
    let file = fs::read_to_string(path).ok().and_then(|text| policy::read(&text).ok());
    match file {
        Some(file) if file == applied.policy => {}
        Some(_) => tracing::warn!(
            version,
            "the policy file differs from the applied policy, which counts; `strongroom policy apply` applies the file"
        ),
        None => tracing::warn!(
            version,
            "the policy file cannot be read as a policy; the applied one counts. `strongroom policy check` says what is wrong"
        ),
    }
}

/// Whole or not at all: who waits for the file must not read half an address.
pub(super) fn write_port_file(path: &Path, address: &str) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    fs::write(&beside, format!("{address}\n")).and_then(|()| fs::rename(&beside, path)).map_err(
        |cause| {
            let sentence = format!("the port file `{}` cannot be written: {cause}", path.display());
            Failure::new("input_output", sentence)
        },
    )
}
