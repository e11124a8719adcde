//! A server on its addresses: started, and stopped so that no request is cut off.

pub mod data_folder;
mod operator_socket;
mod tls;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::SocketAddr as UnixAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum_server::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use self::data_folder::{DataFolder, socket_path};
use crate::app::App;
use crate::entitlement::{self, Following};
use crate::platform::clock::Clock;
use crate::platform::config::Config;
use crate::platform::entropy::Entropy;

/// A server that takes requests. Dropping it without [`Running::stop`] cuts requests off.
pub struct Running {
    app: App,
    address: SocketAddr,
    telemetry_address: Option<SocketAddr>,
    is_tls: bool,
    following: Following,
    listeners: Listeners,
    // Last: the folder is free for another server when all else has ended.
    folder: DataFolder,
}

/// Starts a server: locks and opens its data folder, then listens on its addresses and on its socket.
///
/// # Errors
/// When the folder is in use or unusable, an address is taken, or certificate and key are not what they should be.
pub async fn start(config: Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> anyhow::Result<Running> {
    let tls = config.tls.as_ref().map(tls::load).transpose()?;
    let is_tls = tls.is_some();
    let folder = DataFolder::lock(&config.data_dir)?;
    // Before the data is opened: a taken address should cost nothing.
    let main = listen(config.listen, "listen")?;
    let telemetry = config.telemetry.listen.map(|address| listen(address, "telemetry.listen")).transpose()?;
    let address = main.local_addr()?;
    let telemetry_address = telemetry.as_ref().map(TcpListener::local_addr).transpose()?;
    let app = App::open(config.clone(), clock, entropy).await?;

    let following = entitlement::follow(&app);
    let mut listeners = Listeners::new(&config);
    let router = crate::app::router(&app);
    listeners.serve_socket(&folder, router.clone())?;
    match tls {
        Some(tls) => listeners.serve_tls(main, tls, router)?,
        None => listeners.serve_plain(main, router)?,
    }
    if let Some(telemetry) = telemetry {
        listeners.serve_plain(telemetry, crate::app::telemetry_router(&app))?;
    }
    Ok(Running { app, address, telemetry_address, is_tls, following, listeners, folder })
}

impl Running {
    /// The address that it listens on, with the port that it got where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of `telemetry.listen`.
    #[must_use]
    pub fn telemetry_address(&self) -> Option<SocketAddr> {
        self.telemetry_address
    }

    /// The base of every address that it answers at.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The server itself.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Takes no more connections, lets running requests finish within the configured time, closes the data.
    ///
    /// # Errors
    /// When a listener failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self { app, listeners, folder, following, .. } = self;
        drop(following);
        // Streams have no end of their own that could be waited for.
        app.live_feed().close();
        let served = listeners.stop().await;
        app.close().await;
        let _ = std::fs::remove_file(socket_path(folder.path()));
        served
    }

    /// Runs until the process is asked to stop (SIGTERM, SIGINT) or a listener fails, then stops; a second signal ends
    /// the process at once.
    ///
    /// # Errors
    /// When a listener failed.
    pub async fn until_signal(mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let ended = tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            ended = self.listeners.first_end() => ended,
        };
        tracing::info!("stopping: running requests may finish");
        tokio::select! {
            stopped = self.stop() => ended.and(stopped),
            _ = terminate.recv() => Err(anyhow::anyhow!("stopped at once by a second signal")),
            _ = interrupt.recv() => Err(anyhow::anyhow!("stopped at once by a second signal")),
        }
    }
}

fn listen(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("could not listen on {address}: choose another address with {key}, or free this one"))
}

/// What takes connections.
struct Listeners {
    tasks: JoinSet<std::io::Result<()>>,
    tcp: Vec<Handle<SocketAddr>>,
    unix: Option<Handle<UnixAddr>>,
    config: Config,
}

impl Listeners {
    fn new(config: &Config) -> Self {
        Self { tasks: JoinSet::new(), tcp: Vec::new(), unix: None, config: config.clone() }
    }

    fn serve_plain(&mut self, listener: TcpListener, router: Router) -> anyhow::Result<()> {
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
        server.http_builder().http1().header_read_timeout(self.config.http.header_timeout);
        self.tasks.spawn(server.serve(router.into_make_service_with_connect_info::<SocketAddr>()));
        self.tcp.push(handle);
        Ok(())
    }

    fn serve_tls(
        &mut self,
        listener: TcpListener,
        tls: axum_server::tls_rustls::RustlsConfig,
        router: Router,
    ) -> anyhow::Result<()> {
        let handle = Handle::new();
        let mut server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
        server.http_builder().http1().header_read_timeout(self.config.http.header_timeout);
        self.tasks.spawn(server.serve(router.into_make_service_with_connect_info::<SocketAddr>()));
        self.tcp.push(handle);
        Ok(())
    }

    fn serve_socket(&mut self, folder: &DataFolder, router: Router) -> anyhow::Result<()> {
        let (listener, check) = operator_socket::listen(&socket_path(folder.path()))?;
        let handle = Handle::new();
        let server = axum_server::from_unix(listener)?.acceptor(check).handle(handle.clone());
        self.tasks.spawn(server.serve(router.into_make_service()));
        self.unix = Some(handle);
        Ok(())
    }

    /// Waits for a listener that ends by itself, which none should.
    async fn first_end(&mut self) -> anyhow::Result<()> {
        match self.tasks.join_next().await {
            Some(ended) => ended?.context("a listener failed"),
            None => Ok(()),
        }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        let deadline = Some(self.config.http.shutdown_timeout);
        for handle in &self.tcp {
            handle.graceful_shutdown(deadline);
        }
        if let Some(handle) = &self.unix {
            handle.graceful_shutdown(deadline);
        }
        while !self.tasks.is_empty() {
            self.first_end().await?;
        }
        Ok(())
    }
}
