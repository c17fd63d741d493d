//! TLS before HTTP, when the web-config file asks for it, with the certificates of this moment.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::web_config::WebConfig;

/// A connection that HTTP can be spoken on.
pub(super) enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// Shakes hands, if that is wanted. Files that changed are read before.
pub(super) async fn accept(stream: TcpStream, web: Option<&Arc<WebConfig>>) -> io::Result<Stream> {
    let Some(web) = web.cloned() else {
        return Ok(Stream::Plain(stream));
    };
    let current = spawn_blocking(move || web.current()).await?;
    match &current.tls {
        None => Ok(Stream::Plain(stream)),
        Some(config) => {
            let acceptor = TlsAcceptor::from(Arc::clone(config));
            let encrypted = acceptor.accept(stream).await?;
            Ok(Stream::Encrypted(Box::new(encrypted)))
        }
    }
}
