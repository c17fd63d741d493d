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
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::{self, Answers};
use super::inbox::{Inbox, Posts};
use super::names::Names;
use super::room::{Room, Seat};
use super::routes::{Pages, Routes, Serves, Shared};
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
    /// Texts of `/metrics` and answers of the API in memory at the same time; the next request waits
    /// for one to be sent.
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
    doors: Vec<Door>,
    /// Names by which the status page and the API may be asked for.
    hosts: Vec<String>,
    limits: Limits,
}

/// A bound socket, and what is behind it.
#[derive(Debug)]
struct Door {
    listener: TcpListener,
    serves: Serves,
}

impl Server {
    /// Takes all of the addresses, or none.
    ///
    /// # Errors
    /// [`ServerError::Bind`] with the first address that cannot be had.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Server, ServerError> {
        let bound = addresses
            .iter()
            .map(|&address| door(address, Serves::METRICS));
        Ok(Server {
            doors: bound.collect::<Result<_, _>>()?,
            hosts: Vec::new(),
            limits: Limits::default(),
        })
    }

    /// With the status page at these addresses, whether `/metrics` is there or not. Beside addresses
    /// and `localhost` it may be asked for by the names of `hosts`.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn with_status(
        mut self,
        addresses: &[SocketAddr],
        hosts: Vec<String>,
    ) -> Result<Server, ServerError> {
        for &address in addresses {
            let same = |door: &&mut Door| {
                address.port() != 0 && door.listener.local_addr().ok() == Some(address)
            };
            match self.doors.iter_mut().find(same) {
                Some(door) => door.serves.status = true,
                None => self.doors.push(door(address, Serves::STATUS)?),
            }
        }
        self.hosts = hosts;
        Ok(self)
    }

    /// With other limits than the usual ones.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Server {
        Server { limits, ..self }
    }

    /// The addresses of `/metrics`, with the ports that the system chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.serving(|serves| serves.metrics)
    }

    /// Where the status page is to be seen, as browsers take it.
    pub fn pages_at(&self, web: Option<&WebConfig>) -> Vec<String> {
        let encrypted = web.is_some_and(WebConfig::encrypts);
        let scheme = if encrypted { "https" } else { "http" };
        let addresses = self.serving(|serves| serves.status).into_iter();
        addresses
            .map(|address| format!("{scheme}://{address}/"))
            .collect()
    }

    fn serving(&self, which: impl Fn(Serves) -> bool) -> Vec<SocketAddr> {
        let doors = self.doors.iter().filter(|door| which(door.serves));
        doors
            .filter_map(|door| door.listener.local_addr().ok())
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
        let shared = Shared {
            permits: Arc::new(Semaphore::new(self.limits.pages)),
            page: self.pages_at(web.as_deref()).into_iter().next(),
            web: web.clone(),
            pages,
        };
        let hosts = self.hosts.clone();
        let routes = move |serves: Serves, address| {
            Routes::new(&shared, serves, Names::at(address, serves.status, &hosts))
        };
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
        let posts = Posts::new(inbox);
        self.answer(move |_, _| posts.clone(), web.map(Arc::new), stop)
            .await
    }

    /// Answers at every door, with what `behind` has for it.
    async fn answer<A: Answers>(
        self,
        behind: impl Fn(Serves, SocketAddr) -> A,
        web: Option<Arc<WebConfig>>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ServerError> {
        let room = Room::new(self.limits.clone());
        let mut accepting = JoinSet::new();
        for Door { listener, serves } in self.doors {
            let address = listener.local_addr().map_err(ServerError::Register)?;
            let listener =
                tokio::net::TcpListener::from_std(listener).map_err(ServerError::Register)?;
            let served = Served {
                answers: behind(serves, address),
                web: web.clone(),
                room: Arc::clone(&room),
                stop: stop.clone(),
            };
            accepting.spawn(accept(listener, served));
        }
        // An error says that the sender is gone, and with it the process' reason to go on.
        stop.wait_for(|stop| *stop).await.ok();
        while accepting.join_next().await.is_some() {}
        Ok(())
    }
}

fn door(address: SocketAddr, serves: Serves) -> Result<Door, ServerError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    match bound {
        Ok(listener) => Ok(Door { listener, serves }),
        Err(error) => Err(ServerError::Bind { address, error }),
    }
}

/// What the connections of a listener share.
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
