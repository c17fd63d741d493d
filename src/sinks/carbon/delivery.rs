//! One delivery to a carbon, and whether the carbon has read it.
//!
//! TCP says when the other *kernel* has bytes, not when the program has read them, and carbon's
//! protocols have no answer. What they have is an end: a carbon that reads the end of its input has
//! read all before it, and only then closes. So a delivery connects, writes everything, shuts down its
//! writing side and waits for the other end to close; that end is the acknowledgement. Relays and
//! balancers that end a connection on behalf of another weaken it to "the relay has it".
//!
//! An end counts only when it can be an answer to ours. Whatever ends the other side's stream while we
//! write, or before our end has reached it, is a failure:
//!
//! * the reading side is watched while writing, and a moment longer ([`HESITATION`]): a carbon
//!   that dies in mid stream is then seen to close before our end was sent;
//! * directly before the shutdown the socket is asked once more, by a call that does not go through what
//!   the runtime last heard of it;
//! * after the other end's close the socket must be closed on both sides without an error
//!   ([`confirmed`]): an end that crossed ours, or came before a reset, acknowledges nothing.
//!
//! **A failure does not unsend.** Dropping the socket leaves what its peer's kernel has queued readable,
//! even behind a reset and even before the connection was accepted: a carbon that stood still may
//! read it minutes later and put old values over newer ones. A delivery that failed, or whose future
//! was dropped, is therefore in doubt, not undone; the store sends its windows again.
//!
//! UDP has no acknowledgement: what was sent counts as delivered, unless this host says that
//! nobody listens.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Protocol;
use super::error::{Cause, DeliveryError, Phase};

/// Time between the last byte and our end in which the other end may be seen to give up. Once a
/// minute it costs nothing.
const HESITATION: Duration = Duration::from_millis(100);

/// Most bytes that the other end may send before it is taken for something else. Carbon sends none.
const MOST_ANSWER: usize = 64 * 1024;

/// Where and how to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host:port`; looked up for each delivery, so that a name may move.
    pub address: String,
    /// How points travel.
    pub protocol: Protocol,
    /// For the lookup, and for each of the addresses that it gives.
    pub connect_timeout: Duration,
    /// For all writing together.
    pub write_timeout: Duration,
    /// From our end to the other's.
    pub ack_timeout: Duration,
}

/// What is sent, as [`Encoder`](super::Encoder) made it: written one after the other over TCP, a
/// datagram each over UDP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload(pub Vec<Vec<u8>>);

impl Payload {
    /// Length of all parts.
    pub fn bytes(&self) -> u64 {
        let lengths = self.0.iter().map(|part| u64::try_from(part.len()));
        lengths.map(Result::unwrap_or_default).sum()
    }
}

/// A delivery that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Bytes sent.
    pub bytes: u64,
    /// Where the name led.
    pub peer: SocketAddr,
    /// The other end has read everything; false over UDP, where nobody can know.
    pub acknowledged: bool,
}

impl Target {
    /// A failure of a delivery to here; a phase of `None` means that it was stopped from outside.
    pub(super) fn error(
        &self,
        phase: Option<Phase>,
        peer: Option<SocketAddr>,
        cause: Cause,
    ) -> DeliveryError {
        DeliveryError {
            address: self.address.clone(),
            peer,
            phase,
            cause,
        }
    }
}

/// Brings `payload` to the target. Dropping the future closes the socket; see above for what that
/// does not undo.
///
/// # Errors
/// Whatever leaves it open whether all was read.
pub async fn deliver(target: &Target, payload: &Payload) -> Result<Delivered, DeliveryError> {
    let addresses = resolve(target)
        .await
        .map_err(|cause| target.error(Some(Phase::Resolve), None, cause))?;
    let (acknowledged, peer) = if target.protocol == Protocol::Udp {
        (false, send_datagrams(target, &addresses, payload).await?)
    } else {
        let (stream, peer) = connect(target, &addresses).await?;
        let spoken = converse(target, stream, payload).await;
        spoken.map_err(|(phase, cause)| target.error(Some(phase), Some(peer), cause))?;
        (true, peer)
    };
    Ok(Delivered {
        bytes: payload.bytes(),
        peer,
        acknowledged,
    })
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Cause> {
    let lookup = tokio::net::lookup_host(target.address.as_str());
    let addresses: Vec<_> = within(target.connect_timeout, lookup).await?.collect();
    if addresses.is_empty() {
        return Err(Cause::NoAddress);
    }
    Ok(addresses)
}

/// The first address that answers.
async fn connect(
    target: &Target,
    addresses: &[SocketAddr],
) -> Result<(TcpStream, SocketAddr), DeliveryError> {
    let mut last = target.error(Some(Phase::Connect), None, Cause::NoAddress);
    for &address in addresses {
        let stream = within(target.connect_timeout, TcpStream::connect(address)).await;
        match stream.and_then(prepared) {
            Ok(stream) => return Ok((stream, address)),
            Err(cause) => last = target.error(Some(Phase::Connect), Some(address), cause),
        }
    }
    Err(last)
}

/// Refuses a connection to itself and lets an early close take back what has not left this host.
///
/// A closed port of this host in the ephemeral range can be given to the very connection that looks
/// for it; such a connection reads what it writes and would acknowledge itself.
fn prepared(stream: TcpStream) -> Result<TcpStream, Cause> {
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(Cause::Itself);
    }
    // Closed early, the socket resets instead of leaving its own queue to the kernel, which would go
    // on delivering for minutes what has been given up.
    stream.set_zero_linger()?;
    Ok(stream)
}

/// Writes all, says that nothing follows, waits for the other end to say the same.
async fn converse(
    target: &Target,
    mut stream: TcpStream,
    payload: &Payload,
) -> Result<(), (Phase, Cause)> {
    let writing = |cause| (Phase::Write, cause);
    let mut answer = Answer::default();
    write_watched(target, &mut stream, payload, &mut answer)
        .await
        .map_err(writing)?;
    answer.look(&stream).map_err(writing)?;
    stream.shutdown().await.map_err(|e| writing(e.into()))?;
    let acknowledging = |cause| (Phase::Acknowledge, cause);
    let ended = timeout(target.ack_timeout, answer.end(&mut stream)).await;
    ended
        .unwrap_or(Err(Cause::Timeout(target.ack_timeout)))
        .and_then(|()| confirmed(&stream))
        .map_err(acknowledging)
}

/// Writes all and hesitates; an end of the other side in that time is a failure.
async fn write_watched(
    target: &Target,
    stream: &mut TcpStream,
    payload: &Payload,
    answer: &mut Answer,
) -> Result<(), Cause> {
    let (mut reading, mut writing) = stream.split();
    let write = async {
        for part in &payload.0 {
            writing.write_all(part).await?;
        }
        writing.flush().await
    };
    let write = async {
        within(target.write_timeout, write).await?;
        tokio::time::sleep(HESITATION).await;
        Ok(())
    };
    tokio::select! {
        biased;
        ended = answer.end(&mut reading) => Err(ended.err().unwrap_or(Cause::Closed)),
        written = write => written,
    }
}

/// What the other end sent, counted and forgotten.
#[derive(Default)]
struct Answer {
    bytes: usize,
}

impl Answer {
    /// Reads until the other end closes.
    async fn end(&mut self, from: &mut (impl AsyncReadExt + Unpin)) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        loop {
            match from.read(&mut buffer).await? {
                0 => return Ok(()),
                more => self.add(more)?,
            }
        }
    }

    /// Asks the socket itself whether the other end has closed or reset.
    fn look(&mut self, stream: &TcpStream) -> Result<(), Cause> {
        let mut buffer = [0; 1024];
        loop {
            let read = rustix::net::recv(stream, &mut buffer, RecvFlags::DONTWAIT);
            match read.map_err(io::Error::from) {
                Ok((_, 0)) => return Err(Cause::Closed),
                Ok((_, more)) => self.add(more)?,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn add(&mut self, more: usize) -> Result<(), Cause> {
        self.bytes = self.bytes.saturating_add(more);
        if self.bytes > MOST_ANSWER {
            return Err(Cause::Talkative(MOST_ANSWER));
        }
        Ok(())
    }
}

/// Whether the other end's close answers ours. Linux forgets the peer of a connection that both sides
/// have closed and whose ends were both acknowledged. As long as it knows the peer, our end has
/// not arrived: the other one closed on its own, and the last lines may be unread. A reset that came
/// behind the close is found as the socket's error.
fn confirmed(stream: &TcpStream) -> Result<(), Cause> {
    let known = stream.peer_addr().is_ok();
    if let Some(error) = stream.take_error()? {
        return Err(error.into());
    }
    if known && cfg!(target_os = "linux") {
        return Err(Cause::Closed);
    }
    Ok(())
}

/// Sends to the first address that takes all of it.
async fn send_datagrams(
    target: &Target,
    addresses: &[SocketAddr],
    payload: &Payload,
) -> Result<SocketAddr, DeliveryError> {
    let mut last = target.error(Some(Phase::Write), None, Cause::NoAddress);
    for &address in addresses {
        match within(target.write_timeout, datagrams(address, payload)).await {
            Ok(()) => return Ok(address),
            Err(cause) => last = target.error(Some(Phase::Write), Some(address), cause),
        }
    }
    Err(last)
}

async fn datagrams(address: SocketAddr, payload: &Payload) -> io::Result<()> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    for part in &payload.0 {
        socket.send(part).await?;
    }
    socket.take_error()?.map_or(Ok(()), Err)
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, Cause> {
    let done = timeout(limit, work).await;
    Ok(done.map_err(|_| Cause::Timeout(limit))??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    fn anywhere() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn target() -> Target {
        Target {
            address: "carbon".to_owned(),
            protocol: Protocol::Tcp,
            connect_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(20),
            ack_timeout: Duration::from_secs(20),
        }
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_tried() {
        let (closed, nobody) = anywhere();
        drop(closed);
        let (_listener, somebody) = anywhere();
        let (_, peer) = connect(&target(), &[nobody, somebody, nobody])
            .await
            .unwrap();
        assert_eq!(peer, somebody);
        let error = connect(&target(), &[nobody, nobody]).await.unwrap_err();
        assert_eq!(error.peer, Some(nobody));
    }

    #[tokio::test]
    async fn connection_to_itself_is_refused() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let own = socket.local_addr().unwrap();
        let stream = socket.connect(own).await.unwrap();
        assert!(matches!(prepared(stream), Err(Cause::Itself)));
    }

    /// A reset behind a close: reading says "end" nevertheless.
    #[tokio::test]
    async fn end_before_ours_confirms_nothing_even_if_all_was_written() {
        let (listener, address) = anywhere();
        let mut stream = TcpStream::connect(address).await.unwrap();
        drop(listener.accept().unwrap());
        let mut answer = Answer::default();
        answer.end(&mut stream).await.unwrap();
        assert!(matches!(answer.look(&stream), Err(Cause::Closed)));
        stream.write_all(b"a 1 60\n").await.unwrap();
        let shut = stream.shutdown().await;
        let ended = answer.end(&mut stream).await;
        assert!(shut.is_err() || ended.is_err() || confirmed(&stream).is_err());
    }

    #[tokio::test]
    async fn look_sees_an_end_that_the_runtime_has_not_heard_of() {
        let (listener, address) = anywhere();
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut answer = Answer::default();
        answer.look(&stream).unwrap();
        peer.write_all(b"hello").unwrap();
        drop(peer);
        // No await in between: the runtime has had no turn to look at the socket.
        assert!(matches!(answer.look(&stream), Err(Cause::Closed)));
        assert_eq!(answer.bytes, 5);
    }

    #[tokio::test]
    async fn end_that_answers_ours_is_confirmed() {
        let (listener, address) = anywhere();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (peer, _) = listener.accept().unwrap();
        stream.write_all(b"a 1 60\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let reader = std::thread::spawn(move || io::copy(&mut &peer, &mut io::sink()).unwrap());
        Answer::default().end(&mut stream).await.unwrap();
        confirmed(&stream).unwrap();
        assert_eq!(reader.join().unwrap(), 7);
    }
}
