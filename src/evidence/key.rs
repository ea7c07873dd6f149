//! Keys that evidence is signed with, in the files that openssl writes as well.

use crate::disk::{Access, Disk, Opening};
use crate::fault::{Fault, Kind, Place};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::str::FromStr;

/// Longer than any PEM of an Ed25519 key, comments included.
const LONGEST: usize = 16 << 10;

/// An Ed25519 key that signs.
#[derive(Clone)]
pub struct Key(SigningKey);

/// The public half of a key. Displayed in hexadecimal, 64 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A text that is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an Ed25519 public key: expected 64 hexadecimal digits, or PEM that begins with BEGIN PUBLIC KEY"
)]
pub struct PublicKeyError;

impl Key {
    /// A new one.
    pub fn generate() -> Result<Self, Fault> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| {
            Fault::new(Kind::Local, Place::File("/dev/urandom".into()), "no random numbers").because(error)
        })?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// Reads one in PKCS #8 PEM, as `openssl genpkey -algorithm ed25519` writes it. A file that others may read is
    /// refused: what it signed would prove nothing.
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Self, Fault> {
        let unsuitable = |what: &str| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
        let missing = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => unsuitable("there is no such key").hint("icecore evidence key makes one"),
            _ => Fault::local(path, "read the key", error),
        };
        let facts = disk.open(path, Opening::Read).and_then(|file| file.facts()).map_err(missing)?;
        if !facts.is_private() {
            return Err(unsuitable("others than its owner may use this key").hint("chmod 600 it"));
        }
        let bytes = disk.read(path, LONGEST).map_err(missing)?;
        let pem = std::str::from_utf8(&bytes).ok();
        let key = pem.and_then(|pem| SigningKey::from_pkcs8_pem(pem).ok());
        key.map(Self).ok_or_else(|| {
            unsuitable("is not an Ed25519 key in PEM")
                .hint("icecore evidence key makes one, as does openssl genpkey -algorithm ed25519")
        })
    }

    /// Writes it to a new file that only its owner may read.
    pub fn write_new(&self, disk: &dyn Disk, path: &Path) -> Result<(), Fault> {
        // Without the public half beside it, which older openssl does not read.
        let bytes = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = bytes.to_pkcs8_pem(LineEnding::LF).map_err(|error| {
            Fault::new(Kind::Local, Place::File(path.to_owned()), "cannot write the key as PEM")
                .because(error)
        })?;
        disk.place_new(path, pem.as_bytes(), Access::Owner).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), "there is a file of this name")
                    .hint("choose another: a key that signed evidence is needed as long as that")
            }
            _ => Fault::local(path, "write the key", error),
        })
    }

    /// The half that verifies.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature of these bytes.
    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; Signature::BYTE_SIZE] {
        self.0.sign(bytes).to_bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key(of {})", self.public())
    }
}

impl PublicKey {
    /// As `openssl pkeyutl -verify -pubin` takes it.
    pub fn to_pem(self) -> Option<String> {
        self.0.to_public_key_pem(LineEnding::LF).ok()
    }

    /// Whether this is its signature of these bytes.
    pub(crate) fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(bytes, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let text = text.trim();
        let key = match text.parse::<crate::block::Digest>() {
            // 32 bytes in hexadecimal, as a digest is.
            Ok(bytes) => VerifyingKey::from_bytes(bytes.as_bytes()).ok(),
            Err(_) => VerifyingKey::from_public_key_pem(text).ok(),
        };
        key.map(Self).ok_or(PublicKeyError)
    }
}
