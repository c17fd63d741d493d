//! Certificates and secrets, from files: a command line is for everybody to read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, parse_pem};

use super::{ClientError, Secret};
use crate::commands::base64::base64;
use crate::diagnostic::Untrusted;

/// Most bytes of a file with a secret.
const MAX_SECRET: u64 = 16 << 10;
/// Where systems keep the certificates that they believe; the first that is there counts.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates of a file, or of the system.
pub(super) fn certificates(named: Option<&Path>) -> Result<Vec<Certificate<'static>>, ClientError> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::var_os("SSL_CERT_FILE")
            .map(PathBuf::from)
            .or_else(|| BUNDLES.iter().map(PathBuf::from).find(|path| path.exists()))
            .ok_or(ClientError::NoBundle)?,
    };
    let pem = fs::read(&path).map_err(|source| ClientError::File {
        path: path.clone(),
        source,
    })?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match found.is_empty() {
        true => Err(ClientError::Contents {
            path,
            expected: "there is no certificate in it; it should be PEM, `-----BEGIN CERTIFICATE-----`",
        }),
        false => Ok(found),
    }
}

/// The value of the header, from a file that should be nobody else's.
pub(super) fn authorization(
    secret: &Secret,
    warnings: &mut Vec<String>,
) -> Result<String, ClientError> {
    let (Secret::Basic(path) | Secret::Bearer(path)) = secret;
    let text = read_secret(path, warnings).map_err(|source| ClientError::File {
        path: path.clone(),
        source,
    })?;
    let text = text.trim_end_matches(['\r', '\n']);
    let wrong = |expected| ClientError::Contents {
        path: path.clone(),
        expected,
    };
    match secret {
        Secret::Basic(_) => {
            let fits = text.contains(':') && !text.contains(char::is_control);
            let expected = "should be one line of the form `user:password`";
            fits.then(|| format!("Basic {}", base64(text.as_bytes())))
                .ok_or_else(|| wrong(expected))
        }
        Secret::Bearer(_) => {
            let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            fits.then(|| format!("Bearer {text}"))
                .ok_or_else(|| wrong("should be one line with nothing but a token"))
        }
    }
}

fn read_secret(path: &Path, warnings: &mut Vec<String>) -> io::Result<String> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o004 != 0 {
        let shown = Untrusted(path.as_os_str().as_encoded_bytes());
        warnings.push(format!(
            "everybody on this host can read the secret in {shown} (chmod o-r)"
        ));
    }
    let mut text = String::new();
    file.take(MAX_SECRET).read_to_string(&mut text)?;
    Ok(text)
}
