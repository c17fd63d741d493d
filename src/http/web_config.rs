//! TLS and passwords from a file in the format of Prometheus' exporter-toolkit ("web-config.yml").
//!
//! The file and those it names are looked at before each connection and each request, and read again
//! when one has changed: a renewed certificate needs no reload, a removed user is out at
//! once. A new state that cannot be used leaves the old one in force, which is said once; at the
//! start it is an error.
//!
//! A setting that is not implemented is an error with its line, never passed over: who asks for
//! protection gets it or learns that there is none.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;

use super::basic_auth::{Users, UsersError};

#[cfg(test)]
mod tests;

/// Most bytes of the file and of each file it names.
const FILE_BYTES: u64 = 1 << 20;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebConfigError {
    /// It, or a file it names, cannot be read.
    #[error("`{}`: cannot be read", shown(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// It is no YAML, or has settings that we do not know.
    #[error("`{}`:{line}:{column}: {message}", shown(.path))]
    Parse {
        /// The file.
        path: PathBuf,
        /// From 1; 0 when the place is not known.
        line: u64,
        /// From 1; 0 when the place is not known.
        column: u64,
        /// Without the values of the file, which are secrets.
        message: String,
    },
    /// Settings contradict each other, or ask for what is not offered.
    #[error("`{}`: {message}", shown(.path))]
    Setting {
        /// The file.
        path: PathBuf,
        /// Names the setting.
        message: String,
    },
    /// A password's hash cannot be used.
    #[error("`{}`: {error}", shown(.path))]
    Users {
        /// The file.
        path: PathBuf,
        /// Names the user.
        error: UsersError,
    },
    /// No certificate or key in a file that should hold one.
    #[error("`{}`: holds no {what} in PEM form", shown(.path))]
    Pem {
        /// The certificate's or key's file.
        path: PathBuf,
        /// "certificate" or "private key".
        what: &'static str,
    },
    /// Certificate and key cannot be used together.
    #[error("`{}`: this certificate cannot be used with its key", shown(.path))]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// What the TLS library said.
        #[source]
        error: rustls::Error,
    },
    /// The authorities for clients cannot be used.
    #[error("`{}`: these authorities cannot be used", shown(.path))]
    Authorities {
        /// The authorities' file.
        path: PathBuf,
        /// What the TLS library said.
        #[source]
        error: VerifierBuilderError,
    },
}

/// The file, and what it said when it was last usable.
#[derive(Debug)]
pub struct WebConfig {
    path: PathBuf,
    state: Mutex<State>,
    /// Held by who reads anew; others go on with what is there.
    reading: Mutex<()>,
}

#[derive(Clone, Debug)]
struct State {
    current: Arc<Current>,
    seen: Seen,
}

/// The files and how they looked before they were read.
type Seen = BTreeMap<PathBuf, Option<Stamp>>;

/// What changes when a file does: modification and change in nanoseconds, size, inode.
type Stamp = (i64, i64, i64, i64, u64, u64);

/// What holds for a connection or request.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) users: Users,
}

impl WebConfig {
    /// Reads the file and those it names.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(path: &Path) -> Result<WebConfig, WebConfigError> {
        let mut seen = Seen::new();
        let current = Arc::new(load(path, &mut seen)?);
        Ok(WebConfig {
            path: path.to_owned(),
            state: Mutex::new(State { current, seen }),
            reading: Mutex::new(()),
        })
    }

    /// Whether the file has users, and so asks for passwords.
    pub fn asks_for_passwords(&self) -> bool {
        !self.current().users.is_empty()
    }

    /// Whether the file has a certificate, and so connections are TLS.
    pub(super) fn encrypts(&self) -> bool {
        self.current().tls.is_some()
    }

    /// What the file says; what it said before while it cannot be used. Reads files.
    pub(super) fn current(&self) -> Arc<Current> {
        let State { current, seen } = self.state().clone();
        if seen.iter().all(|(path, stamp)| stamp_of(path) == *stamp) {
            return current;
        }
        let Ok(_reading) = self.reading.try_lock() else {
            return current;
        };
        let mut seen = Seen::new();
        let current = match load(&self.path, &mut seen) {
            Ok(loaded) => {
                let path = shown(&self.path);
                tracing::info!(
                    path,
                    "{path}: the web configuration has changed and is in use"
                );
                Arc::new(loaded)
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(
                    error,
                    "the web configuration has changed and cannot be used, the one before stays in force: {error}"
                );
                current
            }
        };
        let mut state = self.state();
        state.current = Arc::clone(&current);
        state.seen = seen;
        current
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Both fields are replaced without a step that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    tls_server_config: Option<WrittenTls>,
    basic_auth_users: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenTls {
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    client_auth_type: Option<String>,
    client_ca_file: Option<PathBuf>,
    min_version: Option<String>,
}

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientAuth {
    No,
    IfGiven,
    Required,
}

/// Reads everything. `seen` holds all files looked at, also when one of them is the reason for an
/// error.
fn load(path: &Path, seen: &mut Seen) -> Result<Current, WebConfigError> {
    let text = read(path, seen)?;
    let written = parse(path, &text)?;
    let provider = Arc::new(ring::default_provider());
    let hashes = written.basic_auth_users.unwrap_or_default();
    let users = Users::new(hashes, provider.secure_random);
    let users = users.map_err(|error| WebConfigError::Users {
        path: path.to_owned(),
        error,
    })?;
    let tls = match written.tls_server_config {
        Some(tls) => Some(Arc::new(server_config(path, &tls, provider, seen)?)),
        None => None,
    };
    Ok(Current { tls, users })
}

fn parse(path: &Path, text: &[u8]) -> Result<Written, WebConfigError> {
    let fault = |place: Option<(u64, u64)>, message: String| {
        let (line, column) = place.unwrap_or_default();
        WebConfigError::Parse {
            path: path.to_owned(),
            line,
            column,
            message,
        }
    };
    let text = std::str::from_utf8(text).map_err(|_| fault(None, "not UTF-8".to_owned()))?;
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim().starts_with('#'))
    {
        // As in Prometheus, an empty file asks for nothing.
        return Ok(Written::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|place| (place.line(), place.column()));
        fault(place, told(&error.without_snippet().to_string()))
    })
}

/// A message of the parser without the place, which we tell ourselves, without its options, which
/// nobody can set here, and without what it quotes of the file: `invalid type: string "secret",
/// expected a map` may stand where a password does.
fn told(message: &str) -> String {
    let end = [" at line ", ", set DuplicateKeyPolicy"].map(|rest| message.find(rest));
    let end = end.into_iter().flatten().min().unwrap_or(message.len());
    let message = message.get(..end).unwrap_or(message);
    match message.rsplit_once(", expected ") {
        Some((what, expected)) if what.starts_with("invalid ") => {
            let end = what.find(['"', '`']).unwrap_or(what.len());
            let kind = what.get(..end).unwrap_or_default().trim_end();
            format!("{kind}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

fn server_config(
    path: &Path,
    written: &WrittenTls,
    provider: Arc<CryptoProvider>,
    seen: &mut Seen,
) -> Result<ServerConfig, WebConfigError> {
    let fault = |message: &str| WebConfigError::Setting {
        path: path.to_owned(),
        message: message.to_owned(),
    };
    let beside = |file: &Option<PathBuf>, name: &str| {
        let file = file.as_ref().filter(|file| !file.as_os_str().is_empty());
        let file = file.ok_or_else(|| fault(&format!("`{name}` is missing")))?;
        Ok(path.parent().unwrap_or(Path::new("")).join(file))
    };
    let certificate_path = beside(&written.cert_file, "cert_file")?;
    let key_path = beside(&written.key_file, "key_file")?;
    let versions: &[_] = match written.min_version.as_deref() {
        None | Some("" | "TLS12") => &[&TLS13, &TLS12],
        Some("TLS13") => &[&TLS13],
        Some(_) => return Err(fault("`min_version` can be `TLS12` or `TLS13`")),
    };
    let certificates = certificates(&certificate_path, seen)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&key_path, seen)?);
    let key = key.map_err(|_| WebConfigError::Pem {
        path: key_path,
        what: "private key",
    })?;
    let unusable = |error| WebConfigError::Certificate {
        path: certificate_path.clone(),
        error,
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(unusable)?;
    let client_auth = client_auth(written).map_err(|message| fault(&message))?;
    let builder = if client_auth == ClientAuth::No {
        builder.with_no_client_auth()
    } else {
        let authorities = beside(&written.client_ca_file, "client_ca_file")?;
        let roots = Arc::new(roots(&authorities, seen)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let verifier = if client_auth == ClientAuth::IfGiven {
            verifier.allow_unauthenticated()
        } else {
            verifier
        };
        let verifier = verifier.build();
        builder.with_client_cert_verifier(verifier.map_err(|error| {
            WebConfigError::Authorities {
                path: authorities,
                error,
            }
        })?)
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn client_auth(written: &WrittenTls) -> Result<ClientAuth, String> {
    let has_authorities = written
        .client_ca_file
        .as_ref()
        .is_some_and(|file| !file.as_os_str().is_empty());
    match written.client_auth_type.as_deref().unwrap_or_default() {
        "" | "NoClientCert" if has_authorities => Err(
            "`client_ca_file` is of no effect without `client_auth_type: RequireAndVerifyClientCert`"
                .to_owned(),
        ),
        "" | "NoClientCert" => Ok(ClientAuth::No),
        "VerifyClientCertIfGiven" => Ok(ClientAuth::IfGiven),
        "RequireAndVerifyClientCert" => Ok(ClientAuth::Required),
        _ => Err("`client_auth_type` can be `NoClientCert`, `VerifyClientCertIfGiven` or `RequireAndVerifyClientCert`".to_owned()),
    }
}

fn certificates(
    path: &Path,
    seen: &mut Seen,
) -> Result<Vec<CertificateDer<'static>>, WebConfigError> {
    let text = read(path, seen)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| WebConfigError::Pem {
        path: path.to_owned(),
        what: "certificate",
    })
}

fn roots(path: &Path, seen: &mut Seen) -> Result<RootCertStore, WebConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, seen)? {
        roots
            .add(certificate)
            .map_err(|error| WebConfigError::Certificate {
                path: path.to_owned(),
                error,
            })?;
    }
    Ok(roots)
}

/// Reads a file, and notes before how it looks: a change while it is read is found the next time.
fn read(path: &Path, seen: &mut Seen) -> Result<Vec<u8>, WebConfigError> {
    seen.insert(path.to_owned(), stamp_of(path));
    let read = || {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut text = Vec::new();
        fs::File::open(path)?
            .take(FILE_BYTES + 1)
            .read_to_end(&mut text)?;
        if u64::try_from(text.len()).is_ok_and(|length| length > FILE_BYTES) {
            return Err(io::Error::other("more than 1 MiB"));
        }
        Ok(text)
    };
    read().map_err(|error| WebConfigError::Read {
        path: path.to_owned(),
        error,
    })
}

/// A path for people: what could move a terminal's cursor is escaped.
fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let all = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    all.collect::<Vec<_>>().join(": ")
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some((
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
        found.size(),
        found.ino(),
    ))
}
