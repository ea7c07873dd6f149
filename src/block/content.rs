//! What a block's bytes look like without knowing their meaning.

/// Whether all bytes are zero. Stops at the first that is not, so data costs next to nothing.
pub fn is_zero(bytes: &[u8]) -> bool {
    // The first is zero, and each is as the one before: comparing memory is what every system does fastest.
    bytes.split_first().is_none_or(|(first, rest)| *first == 0 && *rest == bytes[..rest.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_bit_anywhere_is_not_zero() {
        let mut bytes = vec![0; 1003];
        assert!(is_zero(&bytes) && is_zero(&[]));
        for position in 0..bytes.len() {
            bytes[position] = 1;
            assert!(!is_zero(&bytes), "byte {position}");
            bytes[position] = 0;
        }
    }
}
