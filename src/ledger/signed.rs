//! The bytes of an entry, and of it what is signed.
//!
//! The signature is the file's last field. What is signed are the bytes of the file without it, so that a signature
//! holds whatever fields a later version adds, and other programs can check it:
//!
//! ```text
//! {"format":2, .. ,"signature":"<128 hexadecimal digits>"}      the file
//! {"format":2, .. }                                             the signed bytes
//! ```

use crate::ledger::Entry;

const FIELD: &[u8] = b",\"signature\":\"";
const END: &[u8] = b"\"}";
/// Hexadecimal digits of an Ed25519 signature.
const DIGITS: usize = 128;

/// Makes the signature of bytes.
pub type Signer<'a> = &'a dyn Fn(&[u8]) -> [u8; DIGITS / 2];

/// What a signed entry's signature is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBytes {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their signature.
    pub signature: Vec<u8>,
}

/// Returns the bytes of an entry's file. `sign` makes the signature of what it is given; without one the entry is not
/// signed.
pub fn encode(entry: &Entry, sign: Option<Signer<'_>>) -> Vec<u8> {
    let bare = Entry { signature: None, ..entry.clone() };
    // Strings, numbers and lists of them always have a JSON form.
    let mut bytes = serde_json::to_vec(&bare).unwrap_or_default();
    if let Some(sign) = sign {
        let signature = sign(&bytes);
        bytes.truncate(bytes.len().saturating_sub(1));
        bytes.extend_from_slice(FIELD);
        signature.iter().for_each(|byte| bytes.extend_from_slice(format!("{byte:02x}").as_bytes()));
        bytes.extend_from_slice(END);
    }
    bytes
}

/// Takes the bytes of an entry's file apart; `None` where no signature is where it has to be.
pub(super) fn split(bytes: &[u8]) -> Option<SignedBytes> {
    let at = bytes.len().checked_sub(FIELD.len() + DIGITS + END.len())?;
    let digits = bytes[at..].strip_prefix(FIELD)?.strip_suffix(END)?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.is_ascii())?;
    let byte = |nth: usize| u8::from_str_radix(&digits[2 * nth..2 * nth + 2], 16).ok();
    let signature = (0..DIGITS / 2).map(byte).collect::<Option<_>>()?;
    Some(SignedBytes { bytes: [&bytes[..at], b"}"].concat(), signature })
}
