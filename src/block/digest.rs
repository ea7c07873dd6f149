//! SHA-256 of a block, the checksum of the EBS direct APIs and our content address.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// SHA-256 of some bytes, usually one block. Written in hex for people, in base64 on AWS's wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is no SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest")]
pub struct DigestError;

impl Digest {
    /// Bytes in a digest.
    pub const LEN: usize = 32;

    /// The digest of a block of zeros: 524,288 of them.
    pub const ZERO_BLOCK: Self = Self([
        0x07, 0x85, 0x4d, 0x2f, 0xef, 0x29, 0x7a, 0x06, 0xba, 0x81, 0x68, 0x5e, 0x66, 0x0c, 0x33, 0x2d, 0xe3,
        0x6d, 0x5d, 0x18, 0xd5, 0x46, 0x92, 0x7d, 0x30, 0xda, 0xad, 0x6d, 0x7f, 0xda, 0x15, 0x41,
    ]);

    /// Hashes the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hashes parts, one after the other, as if they were one.
    pub fn of_parts<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut hash = Sha256::new();
        parts.into_iter().for_each(|part| hash.update(part));
        Self(hash.finalize().into())
    }

    /// A digest computed elsewhere.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// As AWS writes it: standard base64, 44 characters.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads AWS's form.
    pub fn from_base64(text: &str) -> Result<Self, DigestError> {
        STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(DigestError)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(hex: &str) -> Result<Self, DigestError> {
        if hex.len() != 2 * Self::LEN || !hex.is_ascii() {
            return Err(DigestError);
        }
        let mut bytes = [0; Self::LEN];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| DigestError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| DigestError)?;
        }
        Ok(Self(bytes))
    }
}

/// The LINEAR aggregate of a snapshot's written blocks: SHA-256 over their raw digests, by ascending index.
///
/// AWS's text leaves open whether digests or their base64 are joined; live recordings and AWS's own client
/// settle it for the raw 32 bytes. The vectors below were accepted by AWS.
#[derive(Clone, Default)]
pub struct LinearDigest(Sha256);

impl LinearDigest {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next block's digest; the caller keeps the indexes ascending.
    pub fn push(&mut self, block: &Digest) {
        self.0.update(block.0);
    }

    /// The aggregate of all blocks pushed.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Debug for LinearDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinearDigest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payloads of a live recording: a line repeated and cut to one block.
    fn recorded(name: &str) -> Digest {
        let line = format!("stackd-ebs-synthetic-{name}\n");
        Digest::of(&line.bytes().cycle().take(524_288).collect::<Vec<_>>())
    }

    fn linear(blocks: &[Digest]) -> String {
        let mut linear = LinearDigest::new();
        blocks.iter().for_each(|block| linear.push(block));
        linear.finish().to_base64()
    }

    #[test]
    fn the_zero_block_has_the_digest_aws_gives_it() {
        assert_eq!(Digest::of(&vec![0; 524_288]), Digest::ZERO_BLOCK);
        assert_eq!(Digest::ZERO_BLOCK.to_base64(), "B4VNL+8pega6gWheZgwzLeNtXRjVRpJ9MNqtbX/aFUE=");
    }

    #[test]
    fn linear_aggregates_are_those_aws_accepted() {
        let (a, b, c, zero) = (recorded("a"), recorded("b"), recorded("c"), Digest::ZERO_BLOCK);
        assert_eq!(a.to_base64(), "Qib0wLZSCPxxAsnoZ1mqGTwYYUfxBvjcHbuEUOOwNdw=");
        assert_eq!(linear(&[b, a, zero, c]), "Pq34jf4xh07iqiQpo/morRl/xL06mqy1ERimH+Hypi8=");
        assert_eq!(linear(&[a, b, c]), "wm6XDs5ybxRoDkE8heCaE75pVBlqBFwUL7pa/0Ov62s=");
        assert_eq!(linear(&[zero, zero]), "nXImO+I7J/Eb7uV+SQqV/renEAlPuF0+9WVrhRS/gHY=");
        assert_eq!(linear(&[]), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn both_spellings_read_back() {
        let digest = recorded("a");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(Digest::from_base64(&digest.to_base64()), Ok(digest));
        for bad in ["", "zz", "Qib0", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(bad.parse::<Digest>(), Err(DigestError));
            assert_eq!(Digest::from_base64(bad), Err(DigestError));
        }
    }
}
