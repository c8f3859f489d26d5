//! Behind a proxy: what it may say is believed from it alone, and grants nothing.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use strongroom::ctx::SystemClock;
use strongroom::web::{Front, HostName, Listen, serve};

use super::{Tool, echo};
use crate::support::free_port;

fn front(proxies: &[&str]) -> Front {
    let proxies = proxies.iter().map(|it| it.parse::<IpAddr>().unwrap()).collect();
    Front { proxies, hosts: vec![HostName::parse("vault.example").unwrap()] }
}

fn open(listen: Listen) {
    tokio::spawn(serve(listen, echo(Arc::new(SystemClock::new())), std::future::pending()));
}

fn curl(arguments: &[&str]) -> String {
    let told = Command::new("curl").args(["-sS", "-m", "30"]).args(arguments).output().unwrap();
    String::from_utf8(told.stdout).unwrap()
}

async fn ask(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
    let asked = tokio::task::spawn_blocking(move || {
        curl(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    });
    asked.await.unwrap()
}

/// The number of a group this process is in, so that it may give a socket to it.
fn own_group() -> String {
    let told = Command::new("id").arg("-g").output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_caller_s_address_is_believed_from_a_listed_proxy_alone() {
    let listen = Listen::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let address = listen.address().unwrap();
    open(listen.behind(front(&["127.0.0.2", "10.9.9.9"])));
    let url = format!("http://{address}/x");
    let host = ["-H", "Host: vault.example"];
    let cases = [
        // Who is not listed is who it is, whatever it says.
        ("127.0.0.1", &["-H", "X-Forwarded-For: 203.0.113.7"][..], "127.0.0.1"),
        ("127.0.0.3", &["-H", "X-Forwarded-For: 203.0.113.7"], "127.0.0.3"),
        ("127.0.0.2", &["-H", "X-Forwarded-For: 203.0.113.7"], "203.0.113.7"),
        // What stands to the left was written by the caller.
        ("127.0.0.2", &["-H", "X-Forwarded-For: 10.0.0.1, 203.0.113.7"], "203.0.113.7"),
        (
            "127.0.0.2",
            &["-H", "X-Forwarded-For: 10.0.0.1", "-H", "X-Forwarded-For: 203.0.113.7"],
            "203.0.113.7",
        ),
        // A second proxy of ours in between.
        ("127.0.0.2", &["-H", "X-Forwarded-For: 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("127.0.0.2", &["-H", "X-Forwarded-For: 203.0.113.7, nonsense"], "127.0.0.2"),
        (
            "127.0.0.2",
            &["-H", "Forwarded: for=203.0.113.7", "-H", "X-Real-IP: 203.0.113.7"],
            "127.0.0.2",
        ),
    ];
    for (from, headers, seen) in cases {
        let told = ask(&[&["--interface", from, &url][..], &host, headers].concat()).await;
        assert_eq!(told, format!("Some({seen})"), "{from} {headers:?}");
    }
}

#[tokio::test]
async fn behind_a_proxy_a_request_for_another_host_is_refused() {
    let listen = Listen::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let address = listen.address().unwrap();
    open(listen.behind(front(&["127.0.0.1"])));
    let url = format!("http://{address}/x");
    assert!(ask(&[&url, "-H", "Host: vault.example"]).await.starts_with("Some"));
    assert!(ask(&[&url, "-H", "Host: Vault.Example:443"]).await.starts_with("Some"));
    assert!(
        ask(&[&url, "--http2-prior-knowledge", "-H", "Host: vault.example"])
            .await
            .starts_with("Some")
    );
    for host in
        ["Host: evil.example", "Host:", "Host: 127.0.0.1", "Host: vault.example.evil.example"]
    {
        let told = ask(&[&url, "-H", host]).await;
        assert!(told.contains("wrong_host") && !told.contains("evil"), "{host}: {told}");
    }
    let told = ask(&[&url, "--http2-prior-knowledge", "-H", "Host: evil.example"]).await;
    assert!(told.contains("wrong_host"), "{told}");
}

#[tokio::test]
async fn the_socket_is_its_group_s_and_replaces_only_a_dead_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let bind = || Listen::bind_socket(&path, &own_group(), front(&[]));
    let listen = bind().unwrap();
    let facts = fs::metadata(&path).unwrap();
    assert!(facts.file_type().is_socket());
    assert_eq!(facts.permissions().mode() & 0o777, 0o660);
    let taken = bind().map(drop).unwrap_err();
    assert!(taken.detail.contains("served by another process"), "{}", taken.detail);
    drop(listen);
    assert!(!path.exists(), "it goes with its server");

    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    drop(bind().expect("one nobody listens on is replaced"));
    fs::write(&path, "mine").unwrap();
    assert!(bind().map(drop).unwrap_err().detail.contains("is no socket"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let unknown = Listen::bind_socket(&folder.path().join("b"), "no-such-group", front(&[]));
    assert!(unknown.map(drop).unwrap_err().detail.contains("no group `no-such-group`"));
}

/// nginx in front, its configuration as docs/operating.md shows it.
fn nginx(folder: &Path, port: u16, upstream: &str) -> Option<Tool> {
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "daemon off; master_process off; pid {}; error_log {} warn;\n\
         events {{}}\n\
         http {{\n\
           access_log off; client_body_temp_path {b}; proxy_temp_path {b}; fastcgi_temp_path {b};\n\
           uwsgi_temp_path {b}; scgi_temp_path {b};\n\
           server {{\n\
             listen 127.0.0.1:{port}; server_name vault.example;\n\
             location / {{\n\
               proxy_pass {upstream};\n\
               proxy_set_header Host $host;\n\
               proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
             }}\n\
           }}\n\
         }}\n",
        at("pid"),
        at("error.log"),
        b = at("body"),
    );
    let config = folder.join("nginx.conf");
    fs::write(&config, text).unwrap();
    let mut tool = Tool::start("nginx", "nginx-light", |command| {
        command
            .arg("-e")
            .arg(folder.join("error.log"))
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&config);
    })?;
    tool.wait_for(([127, 0, 0, 1], port).into());
    Some(tool)
}

#[tokio::test]
async fn nginx_in_front_of_a_socket_and_of_a_port() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let by_socket = Listen::bind_socket(&path, &own_group(), front(&[])).unwrap();
    let by_port = Listen::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
    let address = by_port.address().unwrap();
    open(by_socket);
    open(by_port.behind(front(&["127.0.0.1"])));
    for upstream in [format!("http://unix:{}:", path.display()), format!("http://{address}")] {
        let port = free_port();
        let Some(_nginx) = nginx(folder.path(), port, &upstream) else { return };
        let url = format!("http://127.0.0.1:{port}/x");
        let spoofed = ["-H", "X-Forwarded-For: 203.0.113.7", "-H", "Host: vault.example"];
        let told = ask(&[&["--interface", "127.0.0.4", &url][..], &spoofed].concat()).await;
        assert_eq!(told, "Some(127.0.0.4)", "{upstream}");
        let told = ask(&[&url, "-H", "Host: evil.example"]).await;
        assert!(told.contains("wrong_host"), "{upstream}: {told}");
    }
}
