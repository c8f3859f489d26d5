//! A Unix socket that its owner and one group may use: the group of the proxy in front.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::error::Error;

/// An open socket; its file goes when it is dropped.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Makes it with mode 660. A socket nobody listens on any more is replaced, anything else is not.
    pub(super) fn bind(path: &Path, group: &str) -> Result<Self, Error> {
        let cannot = |cause: std::io::Error| {
            let detail = format!("cannot listen on `{}`: {cause}", path.display());
            Error::unavailable("cannot_listen", detail).caused_by(cause)
        };
        let group = group_id(group)?;
        refuse_taken(path)?;
        let parent = path.parent().unwrap_or(Path::new("."));
        // Made where nobody else can reach it, and moved once its mode is right: until then the
        // process's umask would say who may connect.
        let nursery = tempfile::Builder::new().prefix(".strongroom-").tempdir_in(parent);
        let nursery = nursery.map_err(cannot)?;
        let young = nursery.path().join("s");
        let listener = UnixListener::bind(&young).map_err(cannot)?;
        chown(&young, None, Some(group)).map_err(|cause| {
            let detail = format!(
                "cannot give the socket `{}` to its group: {cause}; the user that serves must be a \
                 member of it",
                path.display()
            );
            Error::unavailable("cannot_listen", detail).caused_by(cause)
        })?;
        fs::set_permissions(&young, Permissions::from_mode(0o660)).map_err(cannot)?;
        fs::rename(&young, path).map_err(cannot)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    pub(super) async fn accept(&self) -> std::io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that stays is replaced by the next start.
        let _ = fs::remove_file(&self.path);
    }
}

fn refuse_taken(path: &Path) -> Result<(), Error> {
    let Ok(facts) = fs::symlink_metadata(path) else { return Ok(()) };
    let is_answered = || std::os::unix::net::UnixStream::connect(path).is_ok();
    let problem = if !facts.file_type().is_socket() {
        "is there and is no socket; it was left alone, name another path in `proxy.socket`"
    } else if is_answered() {
        "is served by another process; stop it, or name another path in `proxy.socket`"
    } else {
        return Ok(());
    };
    Err(Error::unavailable("cannot_listen", format!("`{}` {problem}", path.display())))
}

/// The number of a group, from `/etc/group` where it is named.
fn group_id(group: &str) -> Result<u32, Error> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let mut text = String::new();
    let read = File::open("/etc/group")
        .and_then(|file| file.take(GROUPS_SIZE_BYTES_MAX).read_to_string(&mut text));
    let id = read.ok().and_then(|_| {
        text.lines().find_map(|line| {
            let mut parts = line.split(':');
            (parts.next() == Some(group)).then(|| parts.nth(1)?.parse().ok()).flatten()
        })
    });
    id.ok_or_else(|| {
        let detail = format!(
            "`/etc/group` knows no group `{group}`; name the proxy's in `proxy.group`, by name or \
             number"
        );
        Error::unprocessable("bad_config", detail)
    })
}

/// A group file of ten thousand groups.
const GROUPS_SIZE_BYTES_MAX: u64 = 1024 * 1024;
