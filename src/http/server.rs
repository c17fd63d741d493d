//! The sockets: bound before anything else begins, accepted from until the process stops.
//!
//! A port that is taken is an error of the start, told with its address. Afterwards nothing that
//! happens here ends the process: a failed accept is tried again after a pause, and descriptors run
//! out for new clients only.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::{self, Answers};
use super::inbox::{Inbox, Posts};
use super::room::{Room, Seat};
use super::routes::{Pages, Routes};
use super::tls;
use super::web_config::WebConfig;

/// What a client may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until a head is complete, and until a TLS handshake is done.
    pub head: Duration,
    /// For the whole body of what is posted, where bodies are taken.
    pub body: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
    /// Without a byte taken by the client while there are some to send.
    pub write: Duration,
    /// For making and sending one answer as a whole.
    pub answer: Duration,
    /// For the answers in the making when the server stops.
    pub stop: Duration,
    /// Before the next attempt when a connection cannot be accepted.
    pub pause: Duration,
    /// Bytes of a head; not below 8 KiB.
    pub head_bytes: usize,
    /// Texts of `/metrics` and answers of the API in memory at the same time; the next request waits for one to be sent.
    pub pages: usize,
    /// Connections at the same time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head: Duration::from_secs(5),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            stop: Duration::from_secs(1),
            pause: Duration::from_millis(100),
            head_bytes: 16 << 10,
            pages: 16,
            connections: 64,
        }
    }
}

/// Why nobody can be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, or not ours.
    #[error("cannot listen on `{address}`")]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The runtime does not take the socket.
    #[error("cannot wait for connections")]
    Register(#[source] io::Error),
}

/// Bound sockets. Clients can connect from here on; they are answered once [`Server::serve`] runs.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    limits: Limits,
}

impl Server {
    /// Takes all of the addresses, or none.
    ///
    /// # Errors
    /// [`ServerError::Bind`] with the first address that cannot be had.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Server, ServerError> {
        let bound = addresses.iter().map(|&address| {
            listener(address).map_err(|error| ServerError::Bind { address, error })
        });
        Ok(Server {
            listeners: bound.collect::<Result<_, _>>()?,
            limits: Limits::default(),
        })
    }

    /// With other limits than the usual ones.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Server {
        Server { limits, ..self }
    }

    /// The addresses with the ports that the system chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter();
        addresses
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// Serves until `stop` holds true or its sender is gone; then answers in the making are finished
    /// for a moment, and all sockets are closed. To be called inside a runtime.
    ///
    /// # Errors
    /// [`ServerError::Register`], at once.
    pub async fn serve(
        self,
        pages: Arc<dyn Pages>,
        web: Option<WebConfig>,
        stop: watch::Receiver<bool>,
    ) -> Result<(), ServerError> {
        let web = web.map(Arc::new);
        let routes = Routes::new(pages, web.clone(), self.limits.pages);
        self.answer(routes, web, stop).await
    }

    /// As [`Server::serve`], for who posts.
    ///
    /// # Errors
    /// [`ServerError::Register`], at once.
    pub async fn receive(
        self,
        inbox: Arc<dyn Inbox>,
        web: Option<WebConfig>,
        stop: watch::Receiver<bool>,
    ) -> Result<(), ServerError> {
        let web = web.map(Arc::new);
        self.answer(Posts::new(inbox), web, stop).await
    }

    async fn answer<A: Answers>(
        self,
        answers: A,
        web: Option<Arc<WebConfig>>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ServerError> {
        let served = Served {
            answers,
            web,
            room: Room::new(self.limits.clone()),
            stop: stop.clone(),
        };
        let mut accepting = JoinSet::new();
        for listener in self.listeners {
            let listener =
                tokio::net::TcpListener::from_std(listener).map_err(ServerError::Register)?;
            accepting.spawn(accept(listener, served.clone()));
        }
        // An error says that the sender is gone, and with it the process' reason to go on.
        stop.wait_for(|stop| *stop).await.ok();
        while accepting.join_next().await.is_some() {}
        Ok(())
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What all listeners share.
#[derive(Clone)]
struct Served<A> {
    answers: A,
    web: Option<Arc<WebConfig>>,
    room: Arc<Room>,
    stop: watch::Receiver<bool>,
}

/// Accepts until the stop. Connections live in `guests` and end with it at the latest.
async fn accept<A: Answers>(listener: tokio::net::TcpListener, served: Served<A>) {
    let mut guests = JoinSet::new();
    let mut stop = served.stop.clone();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            // Keeps finished tasks from piling up.
            Some(_) = guests.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("HTTP connections are accepted again");
                }
                if let Some(seat) = served.room.seat(peer.ip()) {
                    guests.spawn(welcome(stream, seat, served.clone()));
                }
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(error = %error, "cannot accept HTTP connections: {error}");
                }
                served.room.make_room();
                sleep(served.room.limits().pause).await;
            }
        }
    }
    drop(listener);
    let leaving = async { while guests.join_next().await.is_some() {} };
    // Who is not done in time is cut off with the set.
    timeout(served.room.limits().stop, leaving).await.ok();
}

/// The connection failed before it was accepted: there is nothing to wait for.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// One client, through its handshake when the file asks for one. The seat is free afterwards.
async fn welcome<A: Answers>(stream: TcpStream, seat: Seat, served: Served<A>) {
    let limits = served.room.limits().clone();
    let guest = Arc::clone(&seat.guest);
    let accepted = tokio::select! {
        accepted = timeout(limits.head, tls::accept(stream, served.web.as_ref())) => accepted,
        () = guest.leave.notified() => return,
    };
    match accepted {
        Ok(Ok(tls::Stream::Plain(stream))) => {
            connection::serve(stream, guest, limits, served.answers, served.stop).await;
        }
        Ok(Ok(tls::Stream::Encrypted(stream))) => {
            connection::serve(*stream, guest, limits, served.answers, served.stop).await;
        }
        // Too slow, or no TLS.
        Ok(Err(_)) | Err(_) => {}
    }
}
