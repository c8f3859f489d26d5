//! A way to a server of PostgreSQL that is cut where it hurts: at the COMMIT. Or everywhere, or blocked.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use strongroom::db::Server;

use crate::support::postgres::Cluster;

/// When the connection is cut that the next COMMIT goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The server never hears of it.
    Before,
    /// The server does it, and nobody hears of that.
    After,
}

/// Passes everything on, on a port of its own.
pub(super) struct Way {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    orders: Mutex<Orders>,
    /// Everything passes through it, in both directions.
    gate: Mutex<()>,
    /// Whoever is connected, by number.
    clients: Mutex<BTreeMap<u64, TcpStream>>,
}

#[derive(Default)]
struct Orders {
    cut: Option<Cut>,
    /// How many connections are refused after that.
    refused: u32,
    /// How many were, in all.
    turned_away: u64,
}

impl Way {
    /// A way to a new database of a cluster, and the database as it is reached over it.
    pub(super) fn to(cluster: &Cluster, name: &'static str) -> (Server, Self) {
        drop(cluster.database(name));
        let url = cluster.url(name);
        let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
        let way = Self::open(port.parse().unwrap());
        let url = url.replace(port, &way.port.to_string());
        let server = Server::at(&url, Some(cluster.password().as_bytes()), None).unwrap();
        (server, way)
    }

    fn open(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let to_all = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming()) {
                let client = client.unwrap();
                {
                    let mut orders = to_all.orders.lock().unwrap();
                    if orders.cut.is_none() && orders.refused > 0 {
                        orders.refused -= 1;
                        orders.turned_away += 1;
                        continue;
                    }
                }
                // Where there is no server, whoever comes is turned away.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) {
                    pass(number, client, server, &to_all);
                }
            }
        });
        Self { port, shared }
    }

    /// The next COMMIT is cut so, and then so many connections are refused.
    pub(super) fn cut_next(&self, cut: Cut, refused: u32) {
        let mut orders = self.shared.orders.lock().unwrap();
        (orders.cut, orders.refused) = (Some(cut), refused);
    }

    /// How many connections were refused, in all.
    pub(super) fn turned_away(&self) -> u64 {
        self.shared.orders.lock().unwrap().turned_away
    }

    /// Nobody is refused any more.
    pub(super) fn refuse_nobody(&self) {
        self.shared.orders.lock().unwrap().refused = 0;
    }

    /// Whether the COMMIT that was to be cut came by.
    pub(super) fn has_cut(&self) -> bool {
        self.shared.orders.lock().unwrap().cut.is_none()
    }

    /// Whether what was ordered has been done.
    pub(super) fn is_done(&self) -> bool {
        let orders = self.shared.orders.lock().unwrap();
        orders.cut.is_none() && orders.refused == 0
    }

    /// Cuts every connection there is.
    pub(super) fn cut_all(&self) {
        for client in self.shared.clients.lock().unwrap().values() {
            // One that ended by itself is cut already.
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// From now on nothing passes for so long, and then everything does.
    pub(super) fn block(&self, time: Duration) {
        let shared = Arc::clone(&self.shared);
        let (begun, begins) = channel();
        thread::spawn(move || {
            let _closed = shared.gate.lock().unwrap();
            let (_never, passes) = channel::<()>();
            begun.send(()).unwrap();
            let _ = passes.recv_timeout(time);
        });
        begins.recv().unwrap();
    }
}

fn pass(number: u64, client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    let (mut from_server, mut to_client) =
        (server.try_clone().unwrap(), client.try_clone().unwrap());
    shared.clients.lock().unwrap().insert(number, client.try_clone().unwrap());
    let is_cut = Arc::new(Mutex::new(false));
    let is_cut_here = Arc::clone(&is_cut);
    let (here, there) = (Arc::clone(shared), Arc::clone(shared));
    thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while let Ok(count @ 1..) = from_server.read(&mut buffer) {
            drop(here.gate.lock().unwrap());
            if *is_cut_here.lock().unwrap() {
                // Answers to what came before are read on: closed over them, the server would be told of a
                // connection that broke, and not read the COMMIT.
                let _ = to_client.shutdown(Shutdown::Both);
            } else if to_client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut from_client, mut to_server) = (client, server);
    thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while let Ok(count @ 1..) = from_client.read(&mut buffer) {
            drop(there.gate.lock().unwrap());
            let is_commit = buffer[..count].windows(6).any(|it| it == b"COMMIT");
            let cut = if is_commit { there.orders.lock().unwrap().cut.take() } else { None };
            *is_cut.lock().unwrap() |= cut == Some(Cut::After);
            if cut == Some(Cut::Before) || to_server.write_all(&buffer[..count]).is_err() {
                let _ = from_client.shutdown(Shutdown::Both);
                break;
            }
        }
        there.clients.lock().unwrap().remove(&number);
        let _ = to_server.shutdown(Shutdown::Write);
    });
}
