//! One connection, from its first byte to its last, watched at its edge.
//!
//! hyper's own time-out for heads begins with the last answer, so it would end a connection that a
//! scraper keeps for the next scrape, and it has none for clients that do not read. So the stream
//! is wrapped: the wrapper tells the [`Guest`] what it sees, and the guest's deadline ends the
//! connection. Everything happens inside one task: who is sent away, leaves no task and no
//! descriptor behind.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::room::Guest;
use super::routes::Permit;
use super::server::Limits;

/// What requests are answered from.
pub(super) trait Answers: Clone + Send + Sync + 'static {
    /// Answers a request, whatever it is. The guest is told what the answer waits for.
    fn answer(
        self,
        request: hyper::Request<Incoming>,
        guest: Arc<Guest>,
    ) -> impl Future<Output = Response> + Send;
}

/// Answers the requests of one client until it leaves, its time is over, or the server stops.
pub(super) async fn serve<S, A>(
    stream: S,
    guest: Arc<Guest>,
    limits: Limits,
    answers: A,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Answers,
{
    let watched = Watched {
        stream,
        guest: Arc::clone(&guest),
    };
    let service = service_fn({
        let guest = Arc::clone(&guest);
        move |request| answer(request, answers.clone(), Arc::clone(&guest))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(limits.head_bytes)
        // A client may close its half once it has asked, as `nc -N` does.
        .half_close(true)
        .serve_connection(TokioIo::new(watched), service);
    let mut connection = pin!(connection);
    let mut over = pin!(overdue(&guest, &limits));
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    let mut stopping = false;
    // Errors are the client's: it sent what is no HTTP, or went away. There is nobody to tell.
    poll_fn(|cx| {
        if !stopping && stopped.as_mut().poll(cx).is_ready() {
            stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // After the connection: what it has just seen moves the deadline.
        over.as_mut().poll(cx)
    })
    .await;
}

/// Ends when the guest has to go. The deadline is read anew at each poll of the task, which is to
/// say after each event of the connection.
async fn overdue(guest: &Guest, limits: &Limits) {
    let mut leave = pin!(guest.leave.notified());
    let mut deadline = guest.deadline(limits);
    let mut sleep = pin!(sleep_until(deadline));
    poll_fn(|cx| {
        let current = guest.deadline(limits);
        if current != deadline {
            deadline = current;
            sleep.as_mut().reset(deadline);
        }
        if leave.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        sleep.as_mut().poll(cx)
    })
    .await;
}

async fn answer<A: Answers>(
    request: hyper::Request<Incoming>,
    answers: A,
    guest: Arc<Guest>,
) -> Result<Response<Answer>, std::convert::Infallible> {
    guest.asked();
    let mut response = answers.answer(request, Arc::clone(&guest)).await;
    // Not in the body: hyper drops that once it holds the last bytes, before they are sent.
    guest.hold(response.extensions_mut().remove::<Permit>());
    Ok(response.map(|body| Answer { body, guest }))
}

/// A body that says when it was handed over.
struct Answer {
    body: Body,
    guest: Arc<Guest>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.guest.finished();
    }
}

/// A stream that tells its guest what happens on it.
struct Watched<S> {
    stream: S,
    guest: Arc<Guest>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.guest.heard();
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn wrote<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match result {
            Poll::Pending => self.guest.stalled(),
            Poll::Ready(_) => self.guest.took(),
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        match result {
            Poll::Ready(_) => self.guest.flushed(),
            Poll::Pending => self.guest.stalled(),
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.wrote(result)
    }
}
