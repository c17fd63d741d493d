//! Files that are right, wrong and changing; clients with and without certificates and passwords.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{WebConfig, WebConfigError};
use crate::http::Limits;
use crate::http::basic_auth::made::basic;
use crate::http::tests::{Fixed, Running, eventually, exchange, until_end};

const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// A folder with the test certificates and a web.yml.
struct Folder {
    folder: TempDir,
}

impl Folder {
    fn new(text: &str) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        for file in fs::read_dir(certificates()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        let made = Folder { folder };
        made.write(text);
        made
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("web.yml")
    }

    /// Replaces the file as an editor does: a new one under the old name.
    fn write(&self, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path()).unwrap();
    }

    fn open(&self) -> Result<WebConfig, WebConfigError> {
        WebConfig::open(&self.path())
    }

    fn serve(&self) -> Running {
        Running::new(
            &Arc::new(Fixed::new("x")),
            Limits::default(),
            Some(self.open().unwrap()),
        )
    }
}

fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates")
}

fn chain(name: &str) -> Vec<CertificateDer<'static>> {
    let path = certificates().join(name);
    CertificateDer::pem_file_iter(path)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// A TLS client that shows the certificate `name`.
async fn encrypted(server: &Running, name: Option<&str>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for root in chain("authority.pem") {
        roots.add(root).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match name {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let key = certificates().join(format!("{name}.key"));
            let key = PrivateKeyDer::from_pem_file(key).unwrap();
            builder
                .with_client_auth_cert(chain(&format!("{name}.pem")), key)
                .unwrap()
        }
    };
    let stream = server.connect().await;
    let localhost = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(localhost, stream)
        .await
}

/// True when the client gets an answer. With TLS 1.3 a refusal arrives after the handshake.
async fn is_answered(server: &Running, name: Option<&str>) -> bool {
    let Ok(mut stream) = encrypted(server, name).await else {
        return false;
    };
    let request = b"GET /-/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request)
        .await
        .ok();
    until_end(&mut stream).await.ends_with("ready\n")
}

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

#[tokio::test]
async fn encrypted_pages_are_for_those_who_speak_tls() {
    let folder = Folder::new(TLS);
    let server = folder.serve();
    let mut stream = encrypted(&server, None).await.unwrap();
    for _ in 0..2 {
        assert!(exchange(&mut stream, "").await.starts_with("HTTP/1.1 200 "));
    }
    let plain = server.ask("GET /-/ready", "").await;
    assert!(!plain.contains("ready"), "{plain}");
    assert!(is_answered(&server, None).await);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_client_and_a_broken_one_is_not() {
    let folder = Folder::new(TLS);
    let server = folder.serve();
    let shown = async || {
        let stream = encrypted(&server, None).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap().to_vec()
    };
    assert_eq!(shown().await, chain("server.pem"));
    let at = |name: &str| folder.folder.path().join(name);
    // The key of the old certificate does not fit the new one until it is there, too.
    fs::copy(at("renewed.pem"), at("server.pem")).unwrap();
    assert_eq!(shown().await, chain("server.pem"));
    fs::copy(at("renewed.key"), at("server.key")).unwrap();
    assert_eq!(shown().await, chain("renewed.pem"));
    fs::remove_file(at("server.key")).unwrap();
    assert_eq!(shown().await, chain("renewed.pem"));
    folder.write("tls_server_config: {");
    assert_eq!(shown().await, chain("renewed.pem"));
    folder.write("");
    let plain = server.ask("GET /-/ready", "").await;
    assert!(plain.ends_with("ready\n"), "{plain}");
}

#[tokio::test]
async fn clients_show_certificates_when_asked_to() {
    let required = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: authority.pem\n"
    );
    let optional = required.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    for (text, without) in [(required, false), (optional, true)] {
        let folder = Folder::new(&text);
        let server = folder.serve();
        assert!(is_answered(&server, Some("client")).await);
        assert!(!is_answered(&server, Some("stranger")).await);
        assert_eq!(is_answered(&server, None).await, without);
    }
}

#[tokio::test]
async fn passwords_open_every_page_and_nothing_opens_without() {
    let folder = Folder::new(&format!(
        "{TLS}basic_auth_users:\n  anna: {}\n",
        hash("secret")
    ));
    let server = folder.serve();
    let mut stream = encrypted(&server, None).await.unwrap();
    let refused = exchange(&mut stream, "").await;
    assert!(refused.starts_with("HTTP/1.1 401 ") && refused.contains("www-authenticate: Basic "));
    let header = |user, password| format!("authorization: {}\r\n", basic(user, password));
    for wrong in [
        header("anna", "Secret"),
        header("ben", "secret"),
        "authorization: Bearer x\r\n".to_owned(),
    ] {
        assert!(
            exchange(&mut stream, &wrong)
                .await
                .starts_with("HTTP/1.1 401 ")
        );
    }
    let right = header("anna", "secret");
    for _ in 0..2 {
        assert!(
            exchange(&mut stream, &right)
                .await
                .starts_with("HTTP/1.1 200 ")
        );
    }
    // Whoever is taken out of the file is out, on this connection as well.
    folder.write(&format!(
        "{TLS}basic_auth_users:\n  ben: {}\n",
        hash("secret")
    ));
    eventually(async || {
        exchange(&mut stream, &right)
            .await
            .starts_with("HTTP/1.1 401 ")
    })
    .await;
    assert!(
        exchange(&mut stream, &header("ben", "secret"))
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn pages_that_do_not_exist_are_hidden_behind_the_password_as_well() {
    let folder = Folder::new(&format!("basic_auth_users: {{anna: '{}'}}\n", hash("x")));
    let server = folder.serve();
    for line in ["GET /none", "POST /metrics", "GET /-/healthy", "TRACE /"] {
        let answer = server.ask(line, "").await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{line}: {answer}");
    }
}

#[test]
fn an_empty_file_asks_for_nothing() {
    for text in [
        "",
        "\n  \n# nothing yet\n",
        "basic_auth_users:\n",
        "tls_server_config:\nbasic_auth_users: {}\n",
    ] {
        let folder = Folder::new(text);
        let current = folder.open().unwrap().current();
        assert!(current.tls.is_none() && current.users.admit(None), "{text}");
    }
}

/// The message for a file, from the name of the file it is about.
fn mistake(text: &str, secret: &str) -> String {
    let error = Folder::new(text).open().unwrap_err();
    let shown = super::chain(&error);
    assert!(
        !shown.contains("hunter2") && !shown.contains(secret),
        "{shown}"
    );
    shown.rsplit_once('/').unwrap().1.to_owned()
}

#[test]
fn mistakes_in_the_text_are_told_with_their_place_and_without_secrets() {
    let secret = hash("x");
    for (text, expected) in [
        (
            format!("# web\nbasic_auth_user:\n  anna: {secret}\n"),
            "web.yml`:2:1: unknown field `basic_auth_user`",
        ),
        (
            format!("{TLS}  cipher_suites: []\n"),
            "web.yml`:4:3: unknown field `cipher_suites`",
        ),
        ("basic_auth_users: hunter2\n".to_owned(), "web.yml`:1:19: "),
        (
            "basic_auth_users:\n  anna: [hunter2]\n".to_owned(),
            "web.yml`:2:9: ",
        ),
        (
            "basic_auth_users: [hunter2]\n".to_owned(),
            "web.yml`:1:19: ",
        ),
        (
            "\"\\e[31m\": 1\n".to_owned(),
            "web.yml`:1:1: unknown field `\\u{1b}[31m`",
        ),
        (
            "basic_auth_users: {anna: !!int hunter2}\n".to_owned(),
            "web.yml`:1:",
        ),
        (
            "basic_auth_users: {anna: !!binary hunter2}\n".to_owned(),
            "web.yml`:1:",
        ),
        (
            "basic_auth_users: {<<: hunter2}\n".to_owned(),
            "web.yml`:1:",
        ),
        (
            "basic_auth_users: {{hunter2: 1}: 2}\n".to_owned(),
            "web.yml`:1:",
        ),
        ("hunter2\n".to_owned(), "web.yml`:1:1: "),
        (
            "basic_auth_users: {anna: 'hunter2\n".to_owned(),
            "web.yml`:1:",
        ),
        (
            "basic_auth_users: {anna: *hunter2}\n".to_owned(),
            "web.yml`:1:26",
        ),
        (
            "tls_server_config: {cert_file: {hunter2: 1}}\n".to_owned(),
            "web.yml`:1:32",
        ),
        (
            format!("basic_auth_users:\n  anna: {secret}\n  anna: {secret}\n"),
            "web.yml`:3:3: ",
        ),
    ] {
        let shown = mistake(&text, &secret);
        assert!(shown.starts_with(expected), "{text}\n{shown}\n{expected}");
    }
}

#[test]
fn settings_that_cannot_be_had_are_named() {
    for (text, expected) in [
        (
            "basic_auth_users: {anna: hunter2}\n".to_owned(),
            "web.yml`: what stands for user `anna` is no bcrypt hash",
        ),
        (
            "tls_server_config: {}\n".to_owned(),
            "web.yml`: `cert_file` is missing",
        ),
        (
            "tls_server_config: {cert_file: server.pem}\n".to_owned(),
            "web.yml`: `key_file` is missing",
        ),
        (
            TLS.replace("server.pem", "none.pem"),
            "none.pem`: cannot be read: No such file",
        ),
        (
            TLS.replace("server.pem", "."),
            ".`: cannot be read: not a regular file",
        ),
        (
            TLS.replace("server.pem", "server.key"),
            "server.key`: holds no certificate in PEM form",
        ),
        (
            TLS.replace("server.key", "server.pem"),
            "server.pem`: holds no private key in PEM form",
        ),
        (
            TLS.replace("server.key", "client.key"),
            "server.pem`: this certificate cannot be used with its key",
        ),
        (
            format!("{TLS}  min_version: TLS10\n"),
            "web.yml`: `min_version` can be `TLS12` or `TLS13`",
        ),
        (
            format!("{TLS}  client_ca_file: authority.pem\n"),
            "web.yml`: `client_ca_file` is of no effect",
        ),
        (
            format!("{TLS}  client_auth_type: RequireAnyClientCert\n"),
            "web.yml`: `client_auth_type` can be",
        ),
        (
            format!("{TLS}  client_auth_type: VerifyClientCertIfGiven\n"),
            "web.yml`: `client_ca_file` is missing",
        ),
    ] {
        let shown = mistake(&text, "hunter2");
        assert!(shown.starts_with(expected), "{text}\n{shown}\n{expected}");
    }
}

#[tokio::test]
async fn who_never_reads_loses_the_encrypted_connection_as_well() {
    let folder = Folder::new(TLS);
    let pages = Arc::new(Fixed::new(&"x".repeat(32 << 20)));
    let limits = Limits {
        write: std::time::Duration::from_millis(150),
        ..Limits::default()
    };
    let server = Running::new(&pages, limits, Some(folder.open().unwrap()));
    let mut stream = encrypted(&server, None).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request)
        .await
        .unwrap();
    eventually(async || pages.waiting() == 1).await;
    // What lies in the kernel's buffers is less than the text.
    eventually(async || server.open_connections() == 0).await;
    assert!(until_end(&mut stream).await.len() < 32 << 20);
}

#[test]
fn a_file_of_any_size_and_kind_is_refused() {
    let folder = Folder::new(&"#".repeat(2 << 20));
    assert!(folder.open().is_err());
    fs::remove_file(folder.path()).unwrap();
    assert!(folder.open().is_err());
    fs::write(folder.path(), b"\xff\xfe").unwrap();
    assert!(folder.open().is_err());
}
