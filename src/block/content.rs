//! What a block's bytes look like without knowing their meaning.

/// Whether all bytes are zero. Stops at the first that is not, so data costs next to nothing.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Sixteen bytes at a time: the compiler turns this into vector compares.
    let (chunks, rest) = bytes.as_chunks::<16>();
    chunks.iter().all(|chunk| u128::from_ne_bytes(*chunk) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_bit_anywhere_is_not_zero() {
        let mut bytes = vec![0; 1003];
        assert!(is_zero(&bytes));
        for position in 0..bytes.len() {
            bytes[position] = 1;
            assert!(!is_zero(&bytes), "byte {position}");
            bytes[position] = 0;
        }
    }
}
