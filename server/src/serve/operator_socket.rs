//! The Unix socket in the data folder: who may open it is the operator of this machine and acts as administrator.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use axum::Extension;
use axum_server::accept::Accept;
use tokio::net::UnixStream;
use tower::Layer;

use crate::platform::auth::LocalOperator;

/// Listens, in place of a socket that a killed server left behind: the caller holds the folder's lock.
pub(super) fn listen(path: &Path) -> io::Result<(UnixListener, PeerCheck)> {
    if std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("could not make the socket {}: {error} (a path may have about 100 bytes)", path.display()),
        )
    })?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let own_user = std::fs::metadata(path)?.uid();
    Ok((listener, PeerCheck { own_user }))
}

/// Lets in connections of the server's own user and of root; their requests carry [`LocalOperator`].
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerCheck {
    own_user: u32,
}

impl<S> Accept<UnixStream, S> for PeerCheck {
    type Stream = UnixStream;
    type Service = <Extension<LocalOperator> as Layer<S>>::Service;
    type Future = std::future::Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: UnixStream, service: S) -> Self::Future {
        let checked = stream.peer_cred().and_then(|peer| {
            if peer.uid() == self.own_user || peer.uid() == 0 {
                Ok((stream, Extension(LocalOperator::new()).layer(service)))
            } else {
                tracing::warn!(peer.uid = peer.uid(), "another user was turned away at the operator's socket");
                Err(io::ErrorKind::PermissionDenied.into())
            }
        });
        std::future::ready(checked)
    }
}
