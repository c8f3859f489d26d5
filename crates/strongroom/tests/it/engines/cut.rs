//! A way to a server of PostgreSQL that is cut where it hurts: at the COMMIT.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

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
    pub(super) port: u16,
    orders: Arc<Mutex<Orders>>,
}

#[derive(Default)]
struct Orders {
    cut: Option<Cut>,
    /// How many connections are refused after that.
    refused: u32,
}

impl Way {
    pub(super) fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let orders = Arc::new(Mutex::new(Orders::default()));
        let shared = Arc::clone(&orders);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                {
                    let mut orders = shared.lock().unwrap();
                    if orders.cut.is_none() && orders.refused > 0 {
                        orders.refused -= 1;
                        continue;
                    }
                }
                let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
                pass(client, server, &shared);
            }
        });
        Self { port, orders }
    }

    /// The next COMMIT is cut so, and then so many connections are refused.
    pub(super) fn cut_next(&self, cut: Cut, refused: u32) {
        *self.orders.lock().unwrap() = Orders { cut: Some(cut), refused };
    }

    /// Whether what was ordered has been done.
    pub(super) fn is_done(&self) -> bool {
        let orders = self.orders.lock().unwrap();
        orders.cut.is_none() && orders.refused == 0
    }
}

fn pass(client: TcpStream, server: TcpStream, orders: &Arc<Mutex<Orders>>) {
    let (mut from_server, mut to_client) =
        (server.try_clone().unwrap(), client.try_clone().unwrap());
    let is_cut = Arc::new(Mutex::new(false));
    let is_cut_here = Arc::clone(&is_cut);
    thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while let Ok(count @ 1..) = from_server.read(&mut buffer) {
            if *is_cut_here.lock().unwrap() || to_client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut from_client, mut to_server, orders) = (client, server, Arc::clone(orders));
    thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while let Ok(count @ 1..) = from_client.read(&mut buffer) {
            let is_commit = buffer[..count].windows(6).any(|it| it == b"COMMIT");
            let cut = if is_commit { orders.lock().unwrap().cut.take() } else { None };
            *is_cut.lock().unwrap() |= cut == Some(Cut::After);
            if cut == Some(Cut::Before) || to_server.write_all(&buffer[..count]).is_err() {
                let _ = from_client.shutdown(Shutdown::Both);
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
    });
}
