//! A certificate authority that lives as long as a run, and the one server certificate it signs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::account::Account;

/// The authority's certificate, and a certificate with its key for a server called `localhost`.
///
/// `127.0.0.1` is left out on purpose: a client that connects by address must see a wrong host name.
pub(crate) struct Certificate {
    authority: String,
    server: String,
    key: String,
}

impl Certificate {
    pub(crate) fn issue() -> Result<Self> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "Orderly development authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_certificate = authority.self_signed(&authority_key)?;

        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(vec!["localhost".to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, "localhost");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = server.signed_by(&key, &Issuer::new(authority, authority_key))?;

        Ok(Self {
            authority: authority_certificate.pem(),
            server: server.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Writes `ca.pem` for clients.
    pub(crate) fn write_authority(&self, folder: &Path) -> Result<()> {
        write(&folder.join("ca.pem"), &self.authority, 0o644)
    }

    /// Writes `ca.pem`, `server.pem` and `server.key` for a server that runs under `account`.
    pub(crate) fn write(&self, folder: &Path, account: Account) -> Result<()> {
        self.write_authority(folder)?;
        write(&folder.join("server.pem"), &self.server, 0o644)?;
        let key = folder.join("server.key");
        write(&key, &self.key, 0o600)?;
        account.take(&key)
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .with_context(|| format!("cannot write {}", path.display()))
}
