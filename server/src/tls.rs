//! Certificates: from files, or made on the spot.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::options::ServeOptions;

/// Why there is no TLS. `Display` is a sentence with the file's name.
#[derive(Debug, thiserror::Error)]
#[error("TLS: {0}")]
pub struct TlsError(String);

/// `None`: plain HTTP. Reads the files anew each time.
pub(crate) fn acceptor(options: &ServeOptions) -> Result<Option<TlsAcceptor>, TlsError> {
    let (chain, key) = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => from_files(cert, key)?,
        _ if options.tls_self_signed => self_signed(options)?,
        _ => return Ok(None),
    };
    let failed = |error| TlsError(format!("certificate and key do not do: {error}"));
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(failed)?;
    // No HTTP/2: browsers open WebSockets over HTTP/1.1 (RFC 6455).
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn from_files(cert: &Path, key: &Path) -> Result<Pair, TlsError> {
    let failed =
        |path: &Path, error: &dyn std::fmt::Display| TlsError(format!("{}: {error}", path.display()));
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(cert).map_err(|error| failed(cert, &error))?.collect();
    let chain = chain.map_err(|error| failed(cert, &error))?;
    if chain.is_empty() {
        return Err(failed(cert, &"no certificate in it"));
    }
    Ok((chain, PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?))
}

fn self_signed(options: &ServeOptions) -> Result<Pair, TlsError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(options.host.iter().cloned());
    if !options.listen.ip().is_unspecified() {
        names.push(options.listen.ip().to_string());
    } else if let Ok(interfaces) = if_addrs::get_if_addrs() {
        names.extend(interfaces.iter().map(|interface| interface.ip().to_string()));
    }
    names.sort();
    names.dedup();
    let failed = |error: rcgen::Error| TlsError(format!("no certificate could be made: {error}"));
    let made = rcgen::generate_simple_self_signed(names).map_err(failed)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let key = key.map_err(|error| TlsError(format!("no key could be made: {error}")))?;
    Ok((vec![made.cert.der().clone()], key))
}
